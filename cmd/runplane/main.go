// Command runplane is the runtime plane for LLM agents: an MCP server that runs execution plans durably, and the same runtime as
// a command line. It owns the configuration, the commands and the wiring (wire.go): it makes a store, the pool of realms, the
// runtime and the server, calls their Run methods and stops them in order. No package imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	_ "time/tzdata" // the time zones of schedules, if the machine has none

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// Exit codes. Invalid: the plan, a flag or the configuration is wrong, and nothing ran. Failed: an error while running. Unreachable:
// what the command is about cannot be reached or read.
const (
	exitOK          = 0
	exitFailed      = 1
	exitInvalid     = 2
	exitUnreachable = 4
)

func main() { os.Exit(process()) }

// process runs the program on the streams of the process.
func process() int {
	limitMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills the process without waiting for calls in flight; the store tolerates that
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

// cli is one run of the program: its streams and where it reads its configuration.
type cli struct {
	in       io.Reader
	out, err io.Writer
	sources  sources
	redact   *redact.Redactor // knows the secrets of the configuration once it is loaded; nil: none
}

// invalidCodes are the errors that exit with exitInvalid.
var invalidCodes = []schemas.Code{schemas.CodeInvalidArgument, schemas.CodeInvalidPlan, schemas.CodeNotFound}

// exit is an error that was already printed: the program ends with this code and prints nothing more.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// main runs a command line and returns the exit code.
func (c *cli) main(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:   "runplane",
		Short: "The runtime plane for LLM agents: durable execution plans over MCP servers",
		Long: "Runplane runs execution plans, DAGs of tool calls on MCP servers, durably. `serve` serves agents as an MCP server; " +
			"`run` runs a plan from a shell.",
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
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, "%s", err) })
	root.AddCommand(c.serveCommand(), c.runCommand(), c.validateCommand(), c.doctorCommand()) //nolint:contextcheck // cobra passes the context
	root.AddCommand(c.reviewsCommand(), c.heldCommand(), c.queueCommand(), c.storeCommand())  //nolint:contextcheck // cobra passes the context
	root.AddCommand(c.schemaCommand(), c.versionCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	c.printError(err)
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok || slices.Contains(invalidCodes, e.Code) {
		return exitInvalid
	}
	return exitFailed
}

// printError prints an error for a person: the message and the hint.
func (c *cli) printError(err error) {
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok {
		fmt.Fprintf(forPeople{c.err}, "runplane: %s\n", c.redact.Text(err.Error()))
		return
	}
	fmt.Fprintf(forPeople{c.err}, "runplane: %s\n", c.redact.Text(e.Message))
	if e.Hint != "" {
		fmt.Fprintf(forPeople{c.err}, "  hint: %s\n", c.redact.Text(e.Hint))
	}
}

// config loads the configuration with the flags of a command, and prints its error.
func (c *cli) config(cmd *cobra.Command) (Config, error) {
	src := c.sources
	src.flags = givenFlags(cmd.Flags())
	cfg, err := loadConfig(src)
	if err != nil {
		c.printError(err)
		return cfg, exit(exitInvalid)
	}
	c.redact = redact.New()
	c.redact.Add(cfg.secrets())
	cfg.Redact = c.redact
	return cfg, nil
}

// exactArgs checks that a command is given exactly these arguments.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usageError(cmd, "%s needs %s", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return usageError(cmd, "%s: unexpected argument %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// usageError is the error of an invalid command line; its hint names the help.
func usageError(cmd *cobra.Command, format string, args ...any) error {
	return schemas.Errorf(schemas.CodeInvalidArgument, format, args...).WithHint("see %s --help", cmd.CommandPath())
}
