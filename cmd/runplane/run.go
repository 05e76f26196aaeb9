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
	"unicode/utf8"

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
		Long: "Runs a plan file (JSON or YAML, - for stdin) with the configured realms and store, shows its progress on stderr and prints " +
			"its output on stdout. Exit code 0: it succeeded; 1: it did not; 2: the plan or the configuration is invalid. " +
			"--resume ID continues an interrupted execution. A held node needs a decision: " +
			"--resume ID --patch '{\"nodes\": {\"NODE\": {\"retry\": true}}}' calls it again, skip leaves it out, output counts it as done.",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.resume == "":
				return exactArgs("PLAN")(cmd, args)
			case len(args) > 0 || len(o.inputs) > 0:
				return usageError(cmd, "--resume takes no plan and no inputs: the execution has them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args, o) },
	}
	addConfigFlags(cmd.Flags(), "store", "shards", "log.level", "log.json", "drain")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the whole execution as JSON instead of its output")
	cmd.Flags().StringArrayVar(&o.inputs, "input", nil, "NAME=VALUE sets an input of the plan; VALUE is JSON, or else a string; may be repeated")
	cmd.Flags().StringVar(&o.resume, "resume", "", "continue execution `ID` of the store and follow it to its end")
	cmd.Flags().StringVar(&o.patch, "patch", "", "with --resume: `JSON` with the decisions about held nodes, as for resume_execution")
	return cmd
}

func (c *cli) run(cmd *cobra.Command, args []string, o runOptions) (err error) {
	var sub engine.Submit
	var patch *schemas.Patch
	if o.resume == "" {
		if o.patch != "" {
			return usageError(cmd, "--patch needs --resume ID: it decides about held nodes of that execution")
		}
		if sub.Plan, err = c.planFile(args[0]); err != nil {
			return err
		}
		if sub.Inputs, err = parseInputs(o.inputs, sub.Plan); err != nil {
			return err
		}
	} else if patch, err = parsePatch(o.patch); err != nil {
		return err
	}
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	if cfg.Log.Level == "info" && !cmd.Flags().Changed("log-level") {
		cfg.Log.Level = "warn" // the progress display shows what info would log
	}
	p, err := open(cmd.Context(), cfg, c.err, false)
	if err != nil {
		return err
	}
	stop := p.start(cmd.Context())
	defer func() { err = errors.Join(err, stop(time.Time{})) }()

	// An interrupt ends the wait; stop releases the execution to the store.
	ctx := cmd.Context()
	events := p.runtime.Telemetry.Subscribe("", 4096)
	defer func() { events.Close() }()
	id := o.resume
	if id == "" {
		e, err := p.runtime.Executions.Execute(ctx, sub)
		if err != nil {
			return c.refused(args[0], err, o.json, cfg)
		}
		if id = e.ExecutionID; e.Earlier {
			fmt.Fprintf(c.err, "the idempotency key was used before: this is the execution of %s, and nothing was started now\n"+
				"(to run the plan again: another idempotency_key)\n", e.CreatedAt.UTC().Format(time.RFC3339))
		}
	} else if err := c.resume(ctx, p.runtime, id, patch, storeName(cfg.Store)); err != nil {
		return err
	}
	e, err := c.follow(ctx, p.runtime, id, events, o.json)
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(c.err, "interrupted; continue with: runplane run --resume %s\n"+
				"(calls in flight may take up to %s to finish; a second Ctrl-C does not wait)\n", id, cfg.Drain)
			return exit(exitFailed)
		}
		return err
	}
	return c.printResult(e, o.json)
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

// readableFlag checks that the value of a flag is text, and as JSON that every reader would read the same in it.
func readableFlag(flag, value string, isJSON bool) error {
	if isJSON {
		if flaw := schemas.FindFlaw([]byte(value), 0); flaw != nil {
			e := flaw.Error()
			return e.With(func(e *schemas.Error) {
				e.Message = fmt.Sprintf("%s: byte %d: %s", schemas.Visible(flag), flaw.Offset, flaw.Text)
			})
		}
		return nil
	}
	if !utf8.ValidString(value) {
		return schemas.Errorf(schemas.CodeInvalidArgument, "%s is not UTF-8: %s", schemas.Visible(flag), schemas.Quote(value, 60)).
			WithHint("check the character set of the terminal; encode other bytes as base64")
	}
	return nil
}

// parseInputs parses NAME=VALUE pairs. A name that does not occur in the plan would have no effect and is an error.
func parseInputs(pairs []string, plan []byte) (schemas.Object, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	values := map[string]json.RawMessage{}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, schemas.Errorf(schemas.CodeInvalidArgument, "--input %q is not NAME=VALUE", pair).
				WithHint("for example --input order_id=A-17")
		}
		if !bytes.Contains(plan, []byte(name)) {
			return nil, schemas.Errorf(schemas.CodeInvalidArgument, "--input %s: the plan has no such input", name).
				WithHint("the field inputs of the plan lists them")
		}
		value := json.RawMessage(text)
		isJSON := json.Valid(value)
		if err := readableFlag("--input "+name, text, isJSON); err != nil {
			return nil, err
		}
		if !isJSON {
			value, _ = json.Marshal(text) // a string always marshals
		}
		values[name] = value
	}
	return json.Marshal(values)
}

// parsePatch parses --patch; empty is none.
func parsePatch(text string) (*schemas.Patch, error) {
	if text == "" {
		return nil, nil
	}
	if err := readableFlag("--patch", text, true); err != nil {
		return nil, err
	}
	patch := new(schemas.Patch)
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(patch); err != nil {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "--patch: %s", schemas.DecodeProblem(err)).
			WithHint(`for example {"nodes": {"NODE": {"retry": true}}}; instead of retry: skip, output or inputs`)
	}
	return patch, nil
}

// resume resumes an execution that was suspended by request, or one with decisions about held nodes. An interrupted one
// needs nothing, and held nodes without a decision stay held.
func (c *cli) resume(ctx context.Context, rt *runtime.Runtime, id string, patch *schemas.Patch, setting string) error {
	e, err := rt.Executions.Status(ctx, id, schemas.ViewSummary, 0, nil)
	if e, ok := errors.AsType[*schemas.Error](err); ok && e.Code == schemas.CodeNotFound {
		return e.WithHint("the store is %s; select another one with --store or --config", setting)
	}
	if err != nil {
		return err
	}
	if patch != nil || e.Status == schemas.StatusSuspended && len(e.WaitingFor) == 0 {
		_, err = rt.Executions.Resume(ctx, id, patch)
	}
	return err
}

// follow shows the progress of an execution until it has ended or waits for a decision.
func (c *cli) follow(ctx context.Context, rt *runtime.Runtime, id string, events *telemetry.Subscription, quiet bool,
) (schemas.Execution, error) {
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
				return e, errors.New("the progress display could not keep up") // its buffer is far larger than a screen
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

// printResult prints the output of an execution, or why it has none.
func (c *cli) printResult(e schemas.Execution, asJSON bool) error {
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
		c.printError(e.Error)
	}
	if !e.Status.Terminal() {
		fmt.Fprintf(forPeople{c.err}, "the execution is %s: %s\n", e.Status, e.Hint)
	}
	for _, w := range e.WaitingFor {
		if w.Reason == schemas.ReasonUnknown {
			fmt.Fprintf(c.err, "  decide with: runplane run --resume %s --patch '{\"nodes\": {%q: {\"retry\": true}}}' (or skip, or output)\n",
				e.ExecutionID, w.NodeID)
		}
	}
	return exit(exitFailed)
}

// printJSON prints a document in which what a reader does not see is escaped: a terminal would obey it, or hide it.
func (c *cli) printJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := c.out.Write(schemas.EscapeHidden(b.Bytes()))
	return err
}
