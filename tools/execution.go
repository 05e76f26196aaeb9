package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Plan is the argument execution_plan: an object, or a string of JSON or YAML.
type Plan json.RawMessage

// UnmarshalJSON keeps the bytes.
func (p *Plan) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0:0], b...)
	return nil
}

// JSONSchema is short on purpose: each tool that takes a plan would repeat its whole schema. validate_plan explains what is wrong.
func (Plan) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Extras: map[string]any{"type": []string{"object", "string"}}}
}

// ListedSchema has one type: clients convert no others to the dialects of all models. A string is accepted all the same.
func (Plan) ListedSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "object"} }

// Submission holds the options of every tool that starts an execution.
type Submission struct {
	SessionID      string `json:"session_id,omitempty" jsonschema:"description=the plan reads it as ${session.…}"`
	WaitSeconds    *int   `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=3600,description=default 20; most 25 unless configured"`
	Priority       int    `json:"priority,omitempty" jsonschema:"minimum=1,maximum=5,description=1 is first and 5 last (default 3)"`
	IdempotencyKey string `json:"idempotency_key,omitempty" jsonschema:"maxLength=255,description=same plan and key: same execution"`
	OnReview       string `json:"on_review,omitempty" jsonschema:"enum=return,description=a review is returned in waiting_for"`
}

// sameSubmission is Submission for tools that are described as being like execute_plan: a list of tools explains the options once.
type sameSubmission struct {
	SessionID      string `json:"session_id,omitempty"`
	WaitSeconds    *int   `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=3600"`
	Priority       int    `json:"priority,omitempty" jsonschema:"minimum=1,maximum=5"`
	IdempotencyKey string `json:"idempotency_key,omitempty" jsonschema:"maxLength=255"`
	OnReview       string `json:"on_review,omitempty" jsonschema:"enum=return"`
}

// defaultWait is below the shortest call timeout of the common clients, in seconds.
const defaultWait = 20

// submit starts the execution and waits as the caller asked.
func (s Submission) submit(ctx context.Context, rt *runtime.Runtime, sub engine.Submit, r Request) (schemas.Execution, error) {
	return s.run(ctx, rt, r, func(options engine.Submit) (schemas.Execution, error) {
		sub.SessionID, sub.Priority, sub.IdempotencyKey = options.SessionID, options.Priority, options.IdempotencyKey
		return rt.Executions.Execute(ctx, sub)
	})
}

// run starts an execution with the options and waits as the caller asked.
func (s Submission) run(ctx context.Context, rt *runtime.Runtime, r Request,
	start func(options engine.Submit) (schemas.Execution, error),
) (schemas.Execution, error) {
	if err := checkWait(rt, s.WaitSeconds); err != nil {
		return schemas.Execution{}, err
	}
	e, err := start(engine.Submit{SessionID: s.SessionID, Priority: s.Priority, IdempotencyKey: s.IdempotencyKey})
	if err != nil {
		return e, err
	}
	return await(ctx, rt, e, s.WaitSeconds, r)
}

// await waits up to waitSeconds for an execution that was just started; nil: the default. Its error carries the id, so that
// the caller can ask again.
func await(ctx context.Context, rt *runtime.Runtime, e schemas.Execution, waitSeconds *int, r Request) (schemas.Execution, error) {
	wait := min(seconds(defaultWait), rt.Executions.MaxWait())
	if waitSeconds != nil {
		wait = seconds(*waitSeconds)
	}
	now, err := rt.Executions.Await(ctx, e.ExecutionID, schemas.ViewFailures, wait, r.follow())
	if err != nil {
		return now, schemas.AsError(err).With(func(c *schemas.Error) { c.ExecutionID = e.ExecutionID })
	}
	if e.Earlier {
		now = journal.AsEarlier(now)
	}
	now.Nodes = schemas.SameErrors(now.Nodes)
	return now.Brief(schemas.MaxAnswer), nil
}

// checkWait returns an error for a wait that is too long, before anything is started.
func checkWait(rt *runtime.Runtime, waitSeconds *int) error {
	if waitSeconds == nil {
		return nil
	}
	return rt.Executions.CheckWait(seconds(*waitSeconds))
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// follow turns changes of an execution into progress of the call that waits for it.
func (r Request) follow() func(schemas.Execution) {
	if r.Progress == nil {
		return nil
	}
	last := -1
	return func(e schemas.Execution) {
		p := e.Progress
		if done := p.Succeeded + p.Failed + p.Skipped; done > last {
			last = done
			r.Progress(float64(done), float64(p.Total), fmt.Sprintf("%s: %d of %d nodes ended, %d running", e.Status, done, p.Total, p.Running))
		}
	}
}

type executePlan struct {
	ExecutionPlan Plan `json:"execution_plan" jsonschema:"description=the plan; JSON or YAML text too"`
	Submission
}

type executeWithTimeout struct {
	ExecutionPlan  Plan    `json:"execution_plan"`
	TimeoutSeconds float64 `json:"timeout_seconds" jsonschema:"exclusiveMinimum=0,maximum=31536000"`
	sameSubmission
}

type executeWithRetry struct {
	ExecutionPlan Plan          `json:"execution_plan"`
	RetryConfig   schemas.Retry `json:"retry_config"`
	sameSubmission
}

type validatePlan struct {
	ExecutionPlan Plan `json:"execution_plan"`
}

type executionID struct {
	ExecutionID string `json:"execution_id"`
}

type suspendExecution struct {
	executionID
	Mode   string `json:"mode,omitempty" jsonschema:"enum=drain,enum=now,description=drain (default): calls in flight finish; now stops those that are safe to repeat"`
	Reason string `json:"reason,omitempty" jsonschema:"maxLength=1000"`
}

type resumeExecution struct {
	executionID
	Patch *schemas.Patch `json:"patch,omitempty" jsonschema:"description=decisions"`
}

type cancelExecution struct {
	executionID
	Reason       string  `json:"reason,omitempty" jsonschema:"maxLength=1000"`
	GraceSeconds float64 `json:"grace_seconds,omitempty" jsonschema:"minimum=0,maximum=3600,description=for calls in flight (default 10)"`
	Compensate   bool    `json:"compensate,omitempty" jsonschema:"description=default false"`
}

type executionStatus struct {
	executionID
	View        schemas.View `json:"view,omitempty" jsonschema:"enum=summary,enum=nodes,enum=failures,description=default summary; failures: failed and held nodes"`
	WaitSeconds int          `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=3600,description=default 0"`
}

type nodeOutput struct {
	ExecutionID string `json:"execution_id,omitempty"`
	NodeID      string `json:"node_id,omitempty" jsonschema:"description=$output: the execution's own"`
	Ref         string `json:"ref,omitempty" jsonschema:"description=instead of both ids"`
	Item        *int   `json:"item,omitempty" jsonschema:"minimum=0,description=one item of a for_each"`
	Part        string `json:"part,omitempty" jsonschema:"enum=content"`
	Pointer     string `json:"pointer,omitempty" jsonschema:"description=such as /items/0"`
	Offset      int    `json:"offset,omitempty" jsonschema:"minimum=0,description=next_offset"`
	MaxBytes    int    `json:"max_bytes,omitempty" jsonschema:"minimum=1,maximum=65536"`
}

type listExecutions struct {
	Status    schemas.Status `json:"status,omitempty"`
	SessionID string         `json:"session_id,omitempty"`
	Workflow  string         `json:"workflow,omitempty" jsonschema:"description=name or name@version"`
	Limit     int            `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,description=default 20"`
	Cursor    string         `json:"cursor,omitempty"`
}

type executionEvents struct {
	executionID
	After int64 `json:"after,omitempty" jsonschema:"minimum=0,description=last_seq"`
	Limit int   `json:"limit,omitempty" jsonschema:"minimum=1,maximum=500,description=default 100"`
}

type rerunExecution struct {
	executionID
	FromNode    string `json:"from_node,omitempty"`
	WaitSeconds *int   `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=3600,description=default 20"`
}

type signalExecution struct {
	executionID
	EventName string        `json:"event_name" jsonschema:"minLength=1,maxLength=255"`
	Data      schemas.Value `json:"data,omitempty" jsonschema:"description=JSON; text stays text unless format is json"`
	Format    string        `json:"format,omitempty" jsonschema:"enum=json"`
}

// Execution is the contract Execution.
func Execution() []Method {
	const contract = "Execution"
	return []Method{
		method(contract, "execute_plan", "Execute a plan", Acts,
			"Runs a plan, a DAG of capability calls, durably: dependencies, retries and crash recovery are handled, and intermediate results "+
				"stay out of your context. Use it instead of several invoke_capability. Returns the execution with its output, or its "+
				"state when the wait ends first: then call get_execution_status. cancel_execution stops it.\n\n"+strings.TrimSpace(plan.Card),
			func(ctx context.Context, rt *runtime.Runtime, in executePlan, r Request) (schemas.Execution, error) {
				return in.submit(ctx, rt, engine.Submit{Plan: in.ExecutionPlan}, r)
			}),
		method(contract, "execute_with_timeout", "Execute a plan with a timeout", Acts,
			`Like execute_plan, but the whole execution ends as timed_out after timeout_seconds. Calls in flight are then abandoned and listed.`,
			func(ctx context.Context, rt *runtime.Runtime, in executeWithTimeout, r Request) (schemas.Execution, error) {
				timeout := schemas.Duration(duration(in.TimeoutSeconds))
				return Submission(in.sameSubmission).submit(ctx, rt, engine.Submit{Plan: in.ExecutionPlan, Timeout: timeout}, r)
			}),
		method(contract, "execute_with_retry", "Execute a plan with retries", Acts,
			`Like execute_plan, but every node without a retry of its own uses retry_config. Errors that a tool itself reports are then `+
				`retried too. A call of unknown outcome that must not be repeated is still held.`,
			func(ctx context.Context, rt *runtime.Runtime, in executeWithRetry, r Request) (schemas.Execution, error) {
				return Submission(in.sameSubmission).submit(ctx, rt, engine.Submit{Plan: in.ExecutionPlan, Retry: &in.RetryConfig}, r)
			}),
		method(contract, "validate_plan", "Check a plan", Reads,
			`Checks a plan against the live tools and runs nothing. Returns every finding with its place and, where one exists, a JSON Patch `+
				`that repairs it; for a valid plan what it would do.`,
			func(ctx context.Context, rt *runtime.Runtime, in validatePlan, _ Request) (schemas.Validation, error) {
				return brief(rt.Executions.Validate(ctx, in.ExecutionPlan))
			}),
		method(contract, "get_execution_status", "Get an execution's status", Reads,
			`Shows how far an execution is and, once it succeeded, its output. With wait_seconds it answers when the execution has finished, `+
				`was suspended or needs a decision. waiting_for lists what it waits for; view nodes shows each node's output and error.`,
			func(ctx context.Context, rt *runtime.Runtime, in executionStatus, r Request) (schemas.Execution, error) {
				if err := checkWait(rt, &in.WaitSeconds); err != nil {
					return schemas.Execution{}, err
				}
				e, err := rt.Executions.Status(ctx, in.ExecutionID, in.View, seconds(in.WaitSeconds), r.follow())
				if in.View == schemas.ViewNodes || in.View == schemas.ViewFailures {
					return e.Brief(schemas.MaxAsked), err
				}
				return brief(e, err)
			}),
		method(contract, "get_execution_metrics", "Get an execution's metrics", Reads,
			`Counts and times of one execution, in total and for each node. Use it to find what was slow or flaky.`,
			func(ctx context.Context, rt *runtime.Runtime, in executionID, _ Request) (schemas.ExecutionMetrics, error) {
				return brief(rt.Executions.Metrics(ctx, in.ExecutionID))
			}),
		method(contract, "get_node_output", "Read a node's output", Reads,
			`Reads a node's output (part content: its content blocks), or what the ref of an answer stands for; with pointer a part of it. What is `+
				`large comes in pages: pass next_offset as offset.`,
			func(ctx context.Context, rt *runtime.Runtime, in nodeOutput, _ Request) (schemas.NodeOutput, error) {
				return readOutput(ctx, rt, in)
			}),
		method(contract, "list_executions", "List executions", Reads,
			`Lists executions, newest first, without their nodes and outputs.`,
			func(ctx context.Context, rt *runtime.Runtime, in listExecutions, _ Request) (schemas.ExecutionList, error) {
				return rt.Executions.List(ctx, journal.Query{
					Status: in.Status, SessionID: in.SessionID, Workflow: in.Workflow, Limit: orBrief(in.Limit), Cursor: in.Cursor,
				})
			}),
		method(contract, "get_execution_events", "Read an execution's events", Reads,
			`Reads the log of an execution, oldest event first: use it to find out why something happened. Continue with after = last_seq.`,
			func(ctx context.Context, rt *runtime.Runtime, in executionEvents, _ Request) (schemas.EventList, error) {
				return rt.Executions.Events(ctx, in.ExecutionID, in.After, orBrief(in.Limit))
			}),
		method(contract, "suspend_execution", "Suspend an execution", Sets,
			`Keeps an execution and its nested plans from starting more calls; nothing is lost. It is suspended when calls in flight have `+
				`ended. resume_execution continues it.`,
			func(ctx context.Context, rt *runtime.Runtime, in suspendExecution, _ Request) (schemas.Execution, error) {
				return brief(rt.Executions.Suspend(ctx, in.ExecutionID, in.Mode, in.Reason))
			}),
		method(contract, "resume_execution", "Resume an execution", Acts,
			`Continues a suspended execution. patch decides about held nodes: `+
				`{"nodes":{"<id>":{"retry":true}}} calls it again, {"skip":true} leaves it out, {"output":…} counts it as done, {"inputs":{…}} `+
				`calls it with others; with "force":true even if the call may still run. {"limits":{"calls":200}} raises the plan's limits.`,
			func(ctx context.Context, rt *runtime.Runtime, in resumeExecution, _ Request) (schemas.Execution, error) {
				return brief(rt.Executions.Resume(ctx, in.ExecutionID, in.Patch))
			}),
		method(contract, "cancel_execution", "Cancel an execution", Destroys,
			`Ends an execution for good. Effects that happened stay; calls that did not answer in time are listed as unknown. With compensate, `+
				`what succeeded and has a compensate is undone first. To pause it, use suspend_execution.`,
			func(ctx context.Context, rt *runtime.Runtime, in cancelExecution, _ Request) (schemas.Execution, error) {
				return brief(rt.Executions.Cancel(ctx, in.ExecutionID, engine.CancelOptions{
					Reason: in.Reason, Grace: duration(in.GraceSeconds), Compensate: in.Compensate,
				}))
			}),
		method(contract, "rerun_execution", "Run an execution again", Acts,
			`Starts a new execution of the same plan and returns it. With from_node, only that node and all that depend on it run again: use it `+
				`after the cause of a failure was fixed.`,
			func(ctx context.Context, rt *runtime.Runtime, in rerunExecution, r Request) (schemas.Execution, error) {
				if err := checkWait(rt, in.WaitSeconds); err != nil {
					return schemas.Execution{}, err
				}
				e, err := rt.Executions.Rerun(ctx, in.ExecutionID, in.FromNode)
				if err != nil {
					return e, err
				}
				return await(ctx, rt, e, in.WaitSeconds, r)
			}),
		method(contract, "signal_execution", "Send an event to an execution", Adds,
			`Sends a named event with data to an execution: the nodes that wait_for it continue with the data as their output. An event that `+
				`no node waits for yet is kept for the next one that does.`,
			func(ctx context.Context, rt *runtime.Runtime, in signalExecution, _ Request) (schemas.Execution, error) {
				data, err := fromText("data", in.Data, in.Format)
				if err != nil {
					return schemas.Execution{}, err
				}
				return brief(rt.Executions.Signal(ctx, in.ExecutionID, in.EventName, data))
			}),
	}
}
