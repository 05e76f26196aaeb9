package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
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
			"What was interrupted goes on with --resume ID; what is held waits for a decision: --resume ID --patch '{\"nodes\": {\"NODE\": {\"retry\": true}}}' " +
			"calls again, skip leaves the node out, output counts it as done.",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.resume == "":
				return takes("PLAN")(cmd, args)
			case len(args) > 0 || len(o.inputs) > 0:
				return misused(cmd, "an execution that is resumed has its plan and inputs already")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args, o) },
	}
	addConfigFlags(cmd.Flags(), "store", "shards", "log.level", "log.json", "drain")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the whole execution as JSON instead of its output")
	cmd.Flags().StringArrayVar(&o.inputs, "input", nil, "NAME=VALUE replaces an input of the plan; VALUE is JSON, or else a string; may be repeated")
	cmd.Flags().StringVar(&o.resume, "resume", "", "follow execution `ID` of the store to its end instead of starting one")
	cmd.Flags().StringVar(&o.patch, "patch", "", "with --resume: `JSON` with the decisions about held nodes, as resume_execution takes it")
	return cmd
}

func (c *cli) run(cmd *cobra.Command, args []string, o runOptions) (err error) {
	var sub engine.Submit
	var patch *schemas.Patch
	if o.resume == "" {
		if o.patch != "" {
			return misused(cmd, "--patch decides about an execution that is held: it needs --resume ID")
		}
		if sub.Plan, err = c.planFile(args[0]); err != nil {
			return err
		}
		if sub.Inputs, err = inputs(o.inputs, sub.Plan); err != nil {
			return err
		}
	} else if patch, err = decisions(o.patch); err != nil {
		return err
	}
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	if cfg.Log.Level == "info" && !cmd.Flags().Changed("log-level") {
		cfg.Log.Level = "warn" // the progress says what info would
	}
	p, err := open(cmd.Context(), cfg, c.err, false)
	if err != nil {
		return err
	}
	stop := p.start(cmd.Context())
	defer func() { err = errors.Join(err, stop()) }()

	// A run that is interrupted ends its wait; the execution itself is handed back to the store by stop.
	ctx := cmd.Context()
	events := p.runtime.Telemetry.Subscribe("", 4096)
	defer func() { events.Close() }()
	id := o.resume
	if id == "" {
		e, err := p.runtime.Executions.Execute(ctx, sub)
		if err != nil {
			return c.refused(args[0], err, o.json, cfg)
		}
		id = e.ExecutionID
	} else if err := c.resume(ctx, p.runtime, id, patch, storeName(cfg.Store)); err != nil {
		return err
	}
	e, err := c.follow(ctx, p.runtime, id, events, o.json)
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(c.err, "interrupted; it goes on with: runplane run --resume %s\n(calls in flight may finish first, for %s at most; a second Ctrl-C does not wait)\n", id, cfg.Drain)
			return exit(exitFailed)
		}
		return err
	}
	return c.conclude(e, o.json)
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

// inputs reads NAME=VALUE pairs. A name that stands nowhere in the plan would change nothing: that is a slip, not an input.
func inputs(pairs []string, plan []byte) (schemas.Object, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	values := map[string]json.RawMessage{}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, schemas.Errorf(schemas.CodeInvalidArgument, "--input %q is not NAME=VALUE", pair).WithHint("such as --input order_id=A-17")
		}
		if !bytes.Contains(plan, []byte(name)) {
			return nil, schemas.Errorf(schemas.CodeInvalidArgument, "--input %s: the plan names no such input", name).WithHint("its inputs stand in the plan under inputs")
		}
		value := json.RawMessage(text)
		if !json.Valid(value) {
			value, _ = json.Marshal(text) // a string always marshals
		}
		values[name] = value
	}
	return json.Marshal(values)
}

// decisions reads --patch; empty is none.
func decisions(text string) (*schemas.Patch, error) {
	if text == "" {
		return nil, nil
	}
	patch := new(schemas.Patch)
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(patch); err != nil {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "--patch: %v", err).WithHint(`it looks like {"nodes": {"NODE": {"retry": true}}}; instead of retry: skip, output or inputs`)
	}
	return patch, nil
}

// resume lets an execution go on: with the decisions, or because it was suspended by hand. One that is interrupted needs
// nothing, and one that is held stays so until it is decided about.
func (c *cli) resume(ctx context.Context, rt *runtime.Runtime, id string, patch *schemas.Patch, setting string) error {
	e, err := rt.Executions.Status(ctx, id, schemas.ViewSummary, 0, nil)
	if e, ok := errors.AsType[*schemas.Error](err); ok && e.Code == schemas.CodeNotFound {
		return e.WithHint("the store is %s; --store or --config may name the one that it is in", setting)
	}
	if err != nil {
		return err
	}
	if patch != nil || e.Status == schemas.StatusSuspended && len(e.WaitingFor) == 0 {
		_, err = rt.Executions.Resume(ctx, id, patch)
	}
	return err
}

// follow shows the progress of an execution until it comes to rest.
func (c *cli) follow(ctx context.Context, rt *runtime.Runtime, id string, events *telemetry.Subscription, quiet bool) (schemas.Execution, error) {
	first, err := rt.Executions.Status(ctx, id, schemas.ViewNodes, 0, nil)
	if err != nil {
		return first, err
	}
	show := newProgress(c.err, first, quiet, c.screen)
	defer show.done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		e, err := rt.Executions.Status(ctx, id, schemas.ViewSummary, 0, nil)
		if err != nil {
			return e, err
		}
		if journal.AtRest(&e) {
			show.drain(events, id)
			if e, err = rt.Executions.Status(ctx, id, schemas.ViewNodes, 0, nil); err == nil {
				show.settle(e)
			}
			return e, err
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

// refused prints why a plan was not started.
func (c *cli) refused(file string, err error, asJSON bool, cfg Config) error {
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok || e.Code != schemas.CodeInvalidPlan {
		return err
	}
	if asJSON {
		return errors.Join(c.printJSON(map[string]any{"error": e}), exit(exitInvalid))
	}
	c.printFindings(file, e.Findings, cfg)
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
		fmt.Fprintf(c.err, "the execution is %s: %s\n", e.Status, e.Hint)
	}
	for _, w := range e.WaitingFor {
		if w.Reason == schemas.ReasonUnknown {
			fmt.Fprintf(c.err, "  from here: runplane run --resume %s --patch '{\"nodes\": {%q: {\"retry\": true}}}' (or skip, or output)\n", e.ExecutionID, w.NodeID)
		}
	}
	return exit(exitFailed)
}

func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
