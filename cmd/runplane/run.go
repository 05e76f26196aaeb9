package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/schemas"
)

type runOptions struct {
	json   bool
	inputs []string
	resume string
	patch  string
}

func (c *cli) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run PLAN",
		Short: "Run a plan here and print its output",
		Long: "Runs a plan file (JSON or YAML, - for stdin) with the configured realms and store, shows its progress on stderr and prints its output on stdout. " +
			"Exit code 0: succeeded; 1: anything else became of it; 2: the plan or the configuration is invalid. " +
			"What was interrupted goes on with --resume ID.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args, o) },
	}
	addConfigFlags(cmd.Flags(), "store", "log.level", "log.json", "drain")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the whole execution as JSON instead of its output")
	cmd.Flags().StringArrayVar(&o.inputs, "input", nil, "NAME=VALUE replaces an input of the plan; VALUE is JSON, or else a string; may be repeated")
	cmd.Flags().StringVar(&o.resume, "resume", "", "let execution `ID` of the store go on and follow it, instead of starting one")
	cmd.Flags().StringVar(&o.patch, "patch", "", "with --resume: `JSON` of decisions about held nodes, such as {\"nodes\":{\"a\":{\"retry\":true}}}")
	return cmd
}

func (c *cli) run(cmd *cobra.Command, args []string, o runOptions) (err error) {
	if (len(args) == 1) == (o.resume != "") {
		return schemas.Errorf(schemas.CodeInvalidArgument, "give either a plan file or --resume ID").WithHint("runplane run plan.yaml")
	}
	var sub runtime.Submit
	if o.resume == "" {
		if sub.Plan, err = c.planFile(args[0]); err != nil {
			return err
		}
		if sub.Inputs, err = inputs(o.inputs); err != nil {
			return err
		}
	}
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	if cfg.Log.Level == "info" {
		cfg.Log.Level = "warn" // the progress says what info would
	}
	p, err := open(cfg, c.err, false)
	if err != nil {
		return err
	}
	stop := p.start()
	defer func() { err = errors.Join(err, stop()) }()

	// A run that is interrupted ends its wait; the execution itself is handed back to the store by stop.
	ctx := cmd.Context()
	events := p.runtime.Feed().Subscribe("", 4096)
	defer func() { events.Close() }()
	id := o.resume
	if id != "" {
		if err := resume(ctx, p.runtime, id, o.patch); err != nil {
			return err
		}
	} else {
		e, err := p.runtime.Execute(ctx, sub)
		if err != nil {
			return c.refused(err, o.json)
		}
		id = e.ExecutionID
	}
	e, err := c.follow(ctx, p.runtime, id, events, o.json)
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(c.err, "interrupted; it goes on with: runplane run --resume %s\n", id)
			return exit(exitFailed)
		}
		return err
	}
	return c.conclude(e, o.json)
}

// resume lets an execution go on that is suspended; one that is not is only followed.
func resume(ctx context.Context, rt *runtime.Runtime, id, patchJSON string) error {
	e, err := rt.Status(ctx, id, schemas.ViewSummary, 0, nil)
	if err != nil || patchJSON == "" && e.Status != schemas.StatusSuspended {
		return err
	}
	var patch *schemas.Patch
	if patchJSON != "" {
		if err := json.Unmarshal([]byte(patchJSON), &patch); err != nil {
			return schemas.Errorf(schemas.CodeInvalidArgument, "--patch: %v", err).
				WithHint(`it looks like {"nodes":{"a":{"inputs":{…}}}}, or with output, skip or retry instead of inputs`)
		}
	}
	_, err = rt.Resume(ctx, id, patch)
	return err
}

// planFile reads a plan from a file, or from stdin for "-".
func (c *cli) planFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.in)
	}
	b, err := c.sources.read(c.sources.absolute(name, c.sources.dir, environmentOf(c.sources.environ)))
	if err != nil {
		return nil, schemas.Errorf(schemas.CodeNotFound, "cannot read the plan: %v", err).WithHint("give the path of a JSON or YAML file, or - for stdin")
	}
	return b, nil
}

// inputs reads NAME=VALUE pairs.
func inputs(pairs []string) (schemas.Object, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	values := map[string]json.RawMessage{}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, schemas.Errorf(schemas.CodeInvalidArgument, "--input %q is not NAME=VALUE", pair)
		}
		value := json.RawMessage(text)
		if !json.Valid(value) {
			value, _ = json.Marshal(text) // a string always marshals
		}
		values[name] = value
	}
	return json.Marshal(values)
}

// follow shows the progress of an execution until it comes to rest.
func (c *cli) follow(ctx context.Context, rt *runtime.Runtime, id string, events *telemetry.Subscription, quiet bool) (schemas.Execution, error) {
	first, err := rt.Status(ctx, id, schemas.ViewNodes, 0, nil)
	if err != nil {
		return first, err
	}
	show := newProgress(c.err, first, quiet)
	defer show.done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		e, err := rt.Status(ctx, id, schemas.ViewSummary, 0, nil)
		if err != nil {
			return e, err
		}
		if runtime.AtRest(&e) {
			show.drain(events, id)
			return rt.Status(ctx, id, schemas.ViewNodes, 0, nil)
		}
		select {
		case u, ok := <-events.C:
			if !ok {
				return e, errors.New("the progress display could not keep up") // its buffer holds far more than a screen
			}
			show.update(u, id)
		case <-tick.C:
		case <-ctx.Done():
			return e, context.Cause(ctx)
		}
	}
}

// refused tells why a plan was not started.
func (c *cli) refused(err error, asJSON bool) error {
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok || e.Code != schemas.CodeInvalidPlan {
		return err
	}
	if asJSON {
		return errors.Join(c.printJSON(map[string]any{"error": e}), exit(exitInvalid))
	}
	c.printFindings(e.Findings)
	return exit(exitInvalid)
}

// conclude prints what became of an execution.
func (c *cli) conclude(e schemas.Execution, asJSON bool) error {
	var err error
	switch {
	case asJSON:
		err = c.printJSON(e)
	case len(e.Output) > 0:
		err = c.printJSON(e.Output)
	case e.OutputRef != nil:
		fmt.Fprintf(c.err, "the output has %d bytes: run with --json to see the nodes, or read it with get_node_output\n", e.OutputRef.Bytes)
	}
	if err != nil {
		return err
	}
	if e.Status == schemas.StatusSucceeded {
		return nil
	}
	if e.Error != nil {
		c.complain(e.Error)
	}
	if !e.Status.Terminal() {
		fmt.Fprintf(c.err, "the execution is %s: %s\nit goes on with: runplane run --resume %s\n", e.Status, e.Hint, e.ExecutionID)
	}
	return exit(exitFailed)
}

func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// terminal is the file behind w if a person looks at it.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isTerminal(f)
}
