package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Status shows an execution, after waiting up to wait for it to come to rest: finished, suspended, or held for a decision.
// progress, if any, is told of every change meanwhile. The end of ctx ends the wait, never the execution. While the store does not
// answer, an execution that runs in this process is shown as it was committed last, without its nodes; its hint says so.
func (r *Runtime) Status(ctx context.Context, id string, view schemas.View, wait time.Duration, progress func(schemas.Execution)) (schemas.Execution, error) {
	if wait > 0 {
		if err := r.await(ctx, id, min(wait, r.limits.MaxWait), progress); err != nil {
			return schemas.Execution{}, err
		}
	}
	h, stale, err := r.seenFor(ctx, id)
	if err != nil {
		return schemas.Execution{}, err
	}
	e := r.shown(ctx, h.Execution)
	if stale {
		e.Hint = hintStale
		return e, nil
	}
	if view == schemas.ViewNodes || view == schemas.ViewFailures {
		x, err := r.load(ctx, id)
		if err != nil {
			return schemas.Execution{}, err
		}
		e = r.shown(ctx, x.head.Execution)
		e.Nodes = x.state.NodeViews(view)
	}
	return e, nil
}

const hintStale = "the store does not answer: this is what was committed last. Calls under way go on, and what they answer is committed when it is back; ask again then"

// AtRest tells whether nothing will change soon without somebody's doing: it finished, is suspended, or waits for decisions
// and events alone. A state is for others to set.
func AtRest(e *schemas.Execution) bool {
	if e.Status.Terminal() || e.Status == schemas.StatusSuspended {
		return true
	}
	if !e.Waiting || len(e.WaitingFor) == 0 {
		return false
	}
	for _, w := range e.WaitingFor {
		switch w.Reason {
		case schemas.ReasonTimer, schemas.ReasonBudget, schemas.ReasonWorkflow, schemas.ReasonState: // it goes on without whoever waits for it
			return false
		}
	}
	return true
}

// poll is how often a wait looks for itself, in case a notification got lost.
const poll = 2 * time.Second

func (r *Runtime) await(ctx context.Context, id string, wait time.Duration, progress func(schemas.Execution)) error {
	sub := r.feed.Subscribe(id, 64)
	defer func() { sub.Close() }()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		h, _, err := r.seenFor(ctx, id)
		if err != nil {
			return err
		}
		if e := r.shown(ctx, h.Execution); AtRest(&e) {
			return nil
		}
		for looked := false; !looked; {
			select {
			case u, ok := <-sub.C:
				if !ok { // lagged behind: begin anew from the head
					sub = r.feed.Subscribe(id, 64)
					looked = true
				} else if progress != nil {
					progress(u.Execution)
				}
				looked = looked || AtRest(&u.Execution)
			case <-tick.C:
				looked = true
			case <-timeout.C:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// shown is the execution with what only the queue knows: whether it waits for a pause to end.
func (r *Runtime) shown(ctx context.Context, e schemas.Execution) schemas.Execution {
	if e.Status != schemas.StatusPending {
		return withHint(e)
	}
	p := r.paused(ctx)
	if p == nil {
		e.Hint = "it waits in the queue for a worker: get_queue_status tells how full that is, get_execution_status with wait_seconds waits for the result"
		return e
	}
	since := p.Since
	if e.CreatedAt.After(since) {
		since = e.CreatedAt
	}
	e.Waiting, e.WaitingFor = true, []schemas.WaitingFor{{Reason: schemas.ReasonQueue, Since: since}}
	e.Hint = "it is accepted and waits in the queue; " + pausedWords(p) + ". It starts once an operator has resumed the queue (resume_queue, or `runplane queue resume`); cancel_execution withdraws it"
	return e
}

// withHint adds what to call next where the execution itself does not say.
func withHint(e schemas.Execution) schemas.Execution {
	switch {
	case e.Status.Terminal():
	case e.Status == schemas.StatusSuspended && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonUnknown:
		e.Hint = fmt.Sprintf("find out whether the call of node %q happened, then resume_execution with a patch for it: retry, skip or output", e.WaitingFor[0].NodeID)
	case e.Status == schemas.StatusSuspended && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonError:
		e.Hint = fmt.Sprintf("mend node %q with resume_execution and a patch: inputs, retry, output or skip", e.WaitingFor[0].NodeID)
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonReview:
		e.Hint = "a person has to decide: `runplane reviews`"
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonEvent && e.Status == schemas.StatusRunning:
		e.Hint = fmt.Sprintf("signal_execution with event_name %q lets it go on", e.WaitingFor[0].EventName)
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonState && e.Status == schemas.StatusRunning:
		e.Hint = fmt.Sprintf("it goes on when state_key %q of state_type %q is as node %q waits for it: get_state shows it, set_state sets it",
			e.WaitingFor[0].State.Key, e.WaitingFor[0].State.Type, e.WaitingFor[0].NodeID)
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonWorkflow && e.Status == schemas.StatusRunning:
		e.Hint = fmt.Sprintf("get_execution_status with wait_seconds waits for the result; with execution_id %q it shows what workflow node %q waits for",
			e.WaitingFor[0].Child, e.WaitingFor[0].NodeID)
	case e.Status == schemas.StatusSuspended:
		e.Hint = "resume_execution lets it go on; cancel_execution ends it"
	default:
		e.Hint = "get_execution_status with wait_seconds waits for the result"
	}
	return e
}

// Metrics counts what an execution has done so far.
func (r *Runtime) Metrics(ctx context.Context, id string) (schemas.ExecutionMetrics, error) {
	x, err := r.loadFor(ctx, id)
	if err != nil {
		return schemas.ExecutionMetrics{}, err
	}
	m := x.state.Metrics(records.Now())
	m.ExecutionID = id
	return m, nil
}

func (r *Runtime) loadFor(ctx context.Context, id string) (*journaled, error) {
	if _, err := r.headFor(ctx, id); err != nil {
		return nil, err
	}
	return r.load(ctx, id)
}

// ListQuery selects executions.
type ListQuery struct {
	Status    schemas.Status
	SessionID string
	Workflow  string // a workflow's name, or name@version
	Limit     int
	Cursor    string
}

// List shows the caller's executions, newest first, without outputs.
func (r *Runtime) List(ctx context.Context, q ListQuery) (schemas.ExecutionList, error) {
	caller := caller.From(ctx).Principal
	term := "principal=" + caller
	byWorkflow := ""
	name, _, ofVersion := strings.Cut(q.Workflow, "@")
	if q.Workflow != "" {
		byWorkflow = termWorkflow(caller, name)
	}
	switch {
	case len(byWorkflow) > store.MaxTerm:
		return schemas.ExecutionList{Executions: []schemas.Execution{}}, nil
	case byWorkflow != "":
		term = byWorkflow
	case q.SessionID != "":
		r.Sessions.Touch(ctx, q.SessionID)
		term = "session=" + q.SessionID
	case q.Status != "":
		term = "status=" + string(q.Status)
	}
	l := records.Listing{Tool: "list_executions", Query: store.Query{Kind: kindExecution, Term: term, Reverse: true}, Limit: q.Limit, Cursor: q.Cursor}
	page, next, err := records.List(ctx, r.store, l, func(rec store.Record) (schemas.Execution, bool, error) {
		var h head
		if err := json.Unmarshal(rec.Value, &h); err != nil {
			return h.Execution, false, err
		}
		h.Output = nil
		return h.Execution, h.Principal == caller && (byWorkflow == "" || slices.Contains(rec.Terms, byWorkflow)) && (!ofVersion || h.Workflow == q.Workflow) && (q.Status == "" || h.Status == q.Status) && (q.SessionID == "" || h.SessionID == q.SessionID), nil
	})
	return schemas.ExecutionList{Executions: page, NextCursor: next}, err
}

// Events reads an execution's log behind sequence number after.
func (r *Runtime) Events(ctx context.Context, id string, after int64, limit int) (schemas.EventList, error) {
	out := schemas.EventList{ExecutionID: id, Events: []schemas.Event{}, LastSeq: after}
	h, err := r.headFor(ctx, id)
	if err != nil {
		return out, err
	}
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 500)
	entries, err := r.store.Log(ctx, executionKey(id), after, limit+1)
	if err != nil {
		return out, records.Error(err)
	}
	if len(entries) == 0 && after < h.Seq {
		return out, r.gone(ctx, id, nil)
	}
	total := 0
	for i, entry := range entries {
		if total += len(entry.Value); i == limit || i > 0 && total > records.PageBytes {
			out.More = true
			break
		}
		var e schemas.Event
		if err := json.Unmarshal(entry.Value, &e); err != nil {
			return out, fmt.Errorf("read event %d of %s: %w", entry.Seq, id, err)
		}
		if len(e.Output) > schemas.MaxViewOutput {
			e.OutputRef, e.Output = &schemas.OutputRef{NodeID: e.Node, Bytes: len(e.Output)}, nil
		}
		out.Events = append(out.Events, e)
		out.LastSeq = e.Seq
	}
	return out, nil
}

// Rerun executes the plan of an older execution again, compiled against today's tools. With from, the outputs of all
// nodes that succeeded and do not depend on that node are taken over; what a person was asked, a person is asked again. Where its session has ended, the new execution belongs to none, and reads what the session held.
func (r *Runtime) Rerun(ctx context.Context, id, from string) (schemas.Execution, error) {
	old, err := r.loadFor(ctx, id)
	if err != nil {
		return schemas.Execution{}, err
	}
	p := old.program.Definition.Plan
	p.IdempotencyKey = ""
	sub := Submit{accepted: &p, SessionID: old.head.SessionID, RerunOf: id, workflow: old.head.Workflow, session: schemas.Value(old.session.Raw())}
	if sub.SessionID != "" {
		if _, err := r.Sessions.Use(ctx, sub.SessionID); errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) || errors.Is(err, session.ErrEnded) {
			sub.SessionID = "" // what the plan reads of it is known
		} else if err != nil {
			return schemas.Execution{}, err
		}
	}
	if from == "" {
		return r.Execute(ctx, sub)
	}
	first, ok := old.program.Index(from)
	if !ok {
		_, err := r.wholeOutput(ctx, old, from, nil)
		return schemas.Execution{}, schemas.AsError(err).WithField("from_node")
	}
	again := descendants(old.state, first)
	for i := range old.program.Nodes {
		n := &old.state.Units[i]
		if again[i] || n.Status != schemas.NodeSucceeded || old.program.Nodes[i].Kind == plan.KindReview { // a yes counts once
			continue
		}
		node := old.program.Nodes[i].ID
		raw, err := r.output(ctx, id, node, n.Output, n.OutputRef)
		if err != nil {
			return schemas.Execution{}, err
		}
		text, err := r.output(ctx, id, node+textPart, schemas.Value(n.Text), n.TextRef)
		if err != nil {
			return schemas.Execution{}, err
		}
		sub.reuse = append(sub.reuse, schemas.Event{
			Type: schemas.EventNodeReused, Node: node, Output: raw, Text: string(text), ServedBy: n.ServedBy, Degraded: n.Degraded, Reason: id,
		})
	}
	return r.Execute(ctx, sub)
}

// descendants marks a node and everything that depends on it.
func descendants(s *machine.State, node int) map[int]bool {
	marked := map[int]bool{node: true}
	for queue := []int{node}; len(queue) > 0; queue = queue[1:] {
		for _, d := range s.Program().Nodes[queue[0]].Dependents {
			if !marked[d] {
				marked[d] = true
				queue = append(queue, d)
			}
		}
	}
	return marked
}
