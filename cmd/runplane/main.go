// Command runplane is the runtime plane for LLM agents: an MCP server that runs execution plans durably, and the same
// runtime at a shell.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the time zones of schedules, where the machine has none

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/schemas"
)

// Exit codes. A plan that cannot be run, a wrong flag or a wrong configuration is invalid; everything that went wrong
// while running is failed.
const (
	exitOK      = 0
	exitFailed  = 1
	exitInvalid = 2
)

func main() { os.Exit(process()) }

// process is one run of the program on the real streams.
func process() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait for calls in flight: the store can take it
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runplane:", err)
		return exitInvalid
	}
	return (&cli{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		sources: sources{environ: os.Environ(), dir: dir, read: os.ReadFile},
	}).main(ctx, os.Args[1:])
}

// cli is one run of the program and what it may touch.
type cli struct {
	in       io.Reader
	out, err io.Writer
	sources  sources
}

// exit is an error that was already told to the user: the program ends with this code and says nothing more.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// main runs a command line and returns the exit code.
func (c *cli) main(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:           "runplane",
		Short:         "The runtime plane for LLM agents: durable execution plans over MCP servers",
		Long:          "Runplane runs execution plans, DAGs of tool calls on MCP servers, durably. As an MCP server it serves agents; `run` runs a plan from a shell.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetArgs(args)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetVersionTemplate("runplane {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misused(cmd, "%s", err) })
	root.AddCommand(c.serveCommand(), c.runCommand(), c.validateCommand(), c.doctorCommand(), c.reviewsCommand(), c.queueCommand(), c.schemaCommand(), c.versionCommand()) //nolint:contextcheck // cobra hands the context to the command that runs
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	c.complain(err)
	if e, ok := errors.AsType[*schemas.Error](err); ok && e.Code != schemas.CodeInvalidArgument && e.Code != schemas.CodeInvalidPlan && e.Code != schemas.CodeNotFound {
		return exitFailed
	}
	return exitInvalid
}

// complain tells an error to a person: what is wrong, and what to do about it.
func (c *cli) complain(err error) {
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok {
		fmt.Fprintf(c.err, "runplane: %v\n", err)
		return
	}
	fmt.Fprintf(c.err, "runplane: %s\n", e.Message)
	if e.Hint != "" {
		fmt.Fprintf(c.err, "  hint: %s\n", e.Hint)
	}
}

// config loads the configuration with the flags of a command. Whatever is wrong with it, nothing has run.
func (c *cli) config(cmd *cobra.Command) (Config, error) {
	src := c.sources
	src.flags = givenFlags(cmd.Flags())
	cfg, err := loadConfig(src)
	if err != nil {
		c.complain(err)
		return cfg, exit(exitInvalid)
	}
	return cfg, nil
}

// takes is the check of a command that wants exactly these arguments.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return misused(cmd, "%s wants %s", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return misused(cmd, "%s does not take %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// misused is a command line that means nothing, with the place where its form stands.
func misused(cmd *cobra.Command, format string, args ...any) error {
	return schemas.Errorf(schemas.CodeInvalidArgument, format, args...).WithHint("see %s --help", cmd.CommandPath())
}
