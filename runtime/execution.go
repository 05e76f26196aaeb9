package runtime

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Submit is a plan to execute, with what the caller says beside it.
type Submit struct {
	Plan           []byte           // JSON or YAML
	Inputs         schemas.Object   // members that replace those of the plan's inputs
	SessionID      string           // a living session of the caller; empty: none
	Priority       int              // 0: the plan's
	IdempotencyKey string           // empty: the plan's
	Timeout        schemas.Duration // of the whole execution; 0: the plan's
	Retry          *schemas.Retry   // for nodes without a retry of their own; nil: the plan's defaults
	RerunOf        string           // the execution that this one repeats
	reuse          []schemas.Event  // what a rerun takes over: node_reused
	id             string           // of the execution, where whoever submits may do so twice; empty: a new one
	scheduled      *time.Time       // firing of the workflow's schedule that this is
	parent         string           // execution whose workflow node this is
	accepted       *schemas.Plan    // a plan in canonical form in place of Plan: what a rerun executes again
	workflow       string           // name@version that this is an execution of
	within         []string         // workflows that the plan is part of
	session        schemas.Value    // what expressions read of the session; Execute takes it from the session
}

// Validate compiles a plan against the live tools and starts nothing. Findings are the answer; an error means that the
// plan could not be looked at.
func (r *Runtime) Validate(ctx context.Context, source []byte) (schemas.Validation, error) {
	p, findings, err := r.compile(ctx, &Submit{Plan: source})
	if err != nil {
		return schemas.Validation{}, err
	}
	v := schemas.Validation{Valid: p != nil, Findings: findings}
	if findings == nil {
		v.Findings = []schemas.Finding{}
	}
	if p != nil {
		v.Explain = new(p.Explain())
	}
	return v, nil
}

// compile makes a program of what was submitted, or nil and the findings that refuse it. An error means that the plan could
// not be looked at.
func (r *Runtime) compile(ctx context.Context, sub *Submit) (*plan.Program, []schemas.Finding, error) {
	parsed, findings := sub.accepted, []schemas.Finding(nil)
	if parsed == nil {
		parsed, findings = plan.Parse(sub.Plan, r.limits.Plan)
	}
	if parsed == nil {
		return nil, findings, nil
	}
	named, err := r.namedWorkflows(ctx, parsed, "", sub.within)
	if err != nil {
		return nil, nil, err
	}
	findings = append(findings, named...)
	refused := slices.ContainsFunc(findings, isError) // the rest is looked at all the same: all findings at once
	if len(sub.Inputs) > 0 {
		merged, err := schemas.ReplaceMembers(parsed.Inputs, sub.Inputs)
		if err != nil {
			return nil, append(findings, schemas.Finding{Severity: schemas.SeverityError, Code: "invalid_inputs", Path: "/inputs", Message: err.Error()}), nil //nolint:nilerr // the finding tells it
		}
		parsed.Inputs = merged
	}
	if sub.Priority != 0 {
		parsed.Priority = sub.Priority
	}
	if parsed.Priority == 0 {
		parsed.Priority = schemas.PriorityDefault
	}
	if parsed.MaxParallel == 0 || parsed.MaxParallel > r.limits.MaxParallel {
		parsed.MaxParallel = r.limits.MaxParallel
	}
	if sub.IdempotencyKey != "" {
		parsed.IdempotencyKey = sub.IdempotencyKey
	}
	if sub.Timeout > 0 {
		parsed.Timeout = sub.Timeout
	}
	if sub.Retry != nil {
		if parsed.Defaults == nil {
			parsed.Defaults = &schemas.Defaults{}
		}
		parsed.Defaults.Retry = sub.Retry.Or(parsed.Defaults.Retry)
	}
	program, more := plan.Compile(parsed, r.Capabilities.Realms.Catalog(ctx, r.Capabilities.WithFallbacks(plan.Realms(parsed))), r.limits.Plan)
	if refused {
		program = nil
	}
	return program, append(findings, slices.DeleteFunc(more, func(f schemas.Finding) bool { return inPlaceOf(named, f) })...), nil
}

func isError(f schemas.Finding) bool { return f.Severity == schemas.SeverityError }

// Execute accepts a plan: when it returns, the execution is durable and will be run, whatever happens to this process.
// An invalid plan is an error of code invalid_plan that carries the findings; nothing was started then.
func (r *Runtime) Execute(ctx context.Context, sub Submit) (schemas.Execution, error) {
	if err := caller.CheckHops(ctx); err != nil {
		return schemas.Execution{}, err
	}
	if sub.SessionID != "" {
		s, err := r.Sessions.Use(ctx, sub.SessionID)
		if err != nil {
			return schemas.Execution{}, err
		}
		sub.session = schemas.Value(s.Data)
	}
	program, findings, err := r.compile(ctx, &sub)
	if err != nil {
		return schemas.Execution{}, err
	}
	if program == nil {
		return schemas.Execution{}, invalidPlan(findings)
	}
	id := cmp.Or(sub.id, r.newID())
	if key := program.Definition.Plan.IdempotencyKey; key != "" {
		reserved, known, err := r.reserve(ctx, key, id, program)
		if err != nil {
			return schemas.Execution{}, err
		}
		id = reserved
		if known {
			if h, err := r.journal.HeadFor(ctx, id); err == nil {
				return h.Execution, nil
			} else if !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
				return schemas.Execution{}, err
			} // else the first submitter died between the reservation and the execution: finish his work
		}
	}
	if err := r.Capabilities.Quotas.Execution(ctx, caller.From(ctx).Principal, sub.SessionID); err != nil {
		return schemas.Execution{}, err
	}
	if err := r.create(ctx, id, program, sub); err != nil {
		return schemas.Execution{}, err
	}
	h, err := r.journal.HeadFor(ctx, id)
	return h.Execution, err
}

func invalidPlan(findings []schemas.Finding) *schemas.Error {
	var first string
	n := 0
	for _, f := range findings {
		if isError(f) {
			if n++; n == 1 {
				first = strings.TrimPrefix(f.Path+": "+f.Message, ": ")
			}
		}
	}
	if n > 1 {
		first = fmt.Sprintf("%s (and %d more)", first, n-1)
	}
	return schemas.Errorf(schemas.CodeInvalidPlan, "%s", first).With(func(e *schemas.Error) { e.Findings = findings })
}

// reserve binds the key to id, or finds the execution that it is bound to already.
func (r *Runtime) reserve(ctx context.Context, key, id string, p *plan.Program) (bound string, known bool, err error) {
	submitted := p.Definition.Plan
	if submitted.MaxParallel == r.limits.MaxParallel { // a setting, which may change between two submissions
		submitted.MaxParallel = 0
	}
	canonical, err := json.Marshal(submitted)
	if err != nil {
		return "", false, fmt.Errorf("digest plan: %w", err)
	}
	sum := sha256.Sum256(canonical)
	mine := journal.Reservation{ExecutionID: id, Digest: hex.EncodeToString(sum[:])}
	value, err := json.Marshal(mine)
	if err != nil {
		return "", false, fmt.Errorf("encode reservation: %w", err)
	}
	at := journal.IdempotencyKey(caller.From(ctx).Principal, key)
	put := store.Put{Key: at, Value: value, TTL: r.limits.Idempotency}
	_, err = r.store.Commit(ctx, store.Batch{Puts: []store.Put{put}, Sync: true})
	if err == nil {
		return id, false, nil
	}
	if !errors.Is(err, store.ErrConflict) {
		return "", false, records.Error(err)
	}
	rec, err := r.store.Get(ctx, at)
	if err != nil {
		return "", false, records.Error(err)
	}
	var theirs journal.Reservation
	if err := json.Unmarshal(rec.Value, &theirs); err != nil {
		return "", false, fmt.Errorf("read reservation: %w", err)
	}
	if theirs.Digest != mine.Digest {
		put.Version = rec.Version
		if rebound, err := r.rebind(ctx, theirs.ExecutionID, put); err != nil || rebound {
			return id, false, err
		}
		return "", false, schemas.Errorf(schemas.CodeConflict, "idempotency_key %q already stands for another plan, execution %q", key, theirs.ExecutionID).
			WithHint("use a new key for a new plan; the same key is for the same plan submitted again").
			WithField("idempotency_key").With(func(e *schemas.Error) { e.ExecutionID = theirs.ExecutionID })
	}
	return theirs.ExecutionID, true, nil
}

// rebind gives the key to another plan where the first one was never accepted: the queue was full, or its submitter died.
func (r *Runtime) rebind(ctx context.Context, id string, put store.Put) (bool, error) {
	if _, _, err := r.journal.ReadHead(ctx, id); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		return false, err
	}
	_, err := r.store.Commit(ctx, store.Batch{Puts: []store.Put{put}, Sync: true})
	if errors.Is(err, store.ErrConflict) { // somebody else was faster
		return false, nil
	}
	return err == nil, records.Error(err)
}

// create commits a new execution; that somebody with the same idempotency key was faster is as good. Where nobody waits
// and this process has room it owns it from the same commit on; else it takes its turn in the queue, or is refused when that is full.
func (r *Runtime) create(ctx context.Context, id string, p *plan.Program, sub Submit) error {
	record, err := schemas.Encode(journal.Definition{Definition: p.Definition, Session: sub.session})
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	now := records.Now()
	h := journal.Head{Principal: caller.From(ctx).Principal, Hops: caller.Hops(ctx), Execution: schemas.Execution{
		ExecutionID: id, Name: p.Definition.Plan.Name, SessionID: sub.SessionID, RerunOf: sub.RerunOf, Workflow: sub.workflow, ParentID: sub.parent, CreatedAt: now,
		ScheduledAt: sub.scheduled,
	}}
	x := newExecution(id, h)
	x.SetProgram(p, sub.session)
	x.State = machine.New(p)
	x.State.Forbid(r.Capabilities.Forbids)
	base := store.Batch{Puts: []store.Put{{Key: journal.PlanKey(id), Value: record, Version: store.AnyVersion}}}
	create := func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		e := schemas.Event{Type: schemas.EventCreated, By: h.Principal, Priority: p.Definition.Plan.Priority, Name: h.Name}
		if d := p.Definition.Plan.Timeout.Std(); d > 0 {
			e.Due = new(now.Add(d))
		}
		if d := p.Definition.Plan.QueueTimeout.Std(); d > 0 {
			e.QueueDue = new(now.Add(d))
		}
		return append([]schemas.Event{e}, sub.reuse...), nil
	}
	if r.owner(id) != nil { // the same key is just making it: true once its owner has committed something
		err := r.transition(ctx, id, func(*machine.State, time.Time) ([]schemas.Event, error) { return nil, nil })
		if !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			return err
		}
	}
	if !r.running.Load() || !r.Queue.StartsAtOnce(ctx, sub.parent != "") || !r.slots.TryAcquire(1) {
		if sub.parent == "" {
			if err := r.Queue.Admit(ctx); err != nil {
				return err
			}
		}
		q := &request{decide: create}
		if _, err := r.step(ctx, x, []*request{q}, visit, base); err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
		return q.err
	}
	base.Claim = &store.Claim{Key: journal.ExecutionKey(id), Owner: r.worker, TTL: r.limits.Lease}
	q := &request{done: make(chan struct{}), decide: func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		events, err := create(s, now)
		if err == nil && len(events) > 0 {
			events = append(events, schemas.Event{Type: schemas.EventStarted, By: r.worker})
		}
		return events, err
	}}
	r.adopt(x, nil, time.Time{}, []*request{q}, base) //nolint:contextcheck // an owner outlives the request that made it
	select {
	case <-q.done:
		switch {
		case errors.Is(q.err, store.ErrConflict):
			return nil
		case errors.Is(q.err, errLetGo):
			return r.create(ctx, id, p, sub)
		}
		return q.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Suspend stops an execution, and with it those of its workflow nodes, from starting anything. In mode drain, the default,
// calls in flight finish and are recorded; in mode now, which may follow a drain, those that may be repeated are stopped.
func (r *Runtime) Suspend(ctx context.Context, id, mode, reason string) (schemas.Execution, error) {
	return r.change(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if !machine.Legal(schemas.EventSuspended, s.Status, "") {
			return nil, illegal("suspend", id, s.Status)
		}
		return suspends(s, mode, reason, caller.From(ctx).Principal, ""), nil
	})
}

// Resume lets a suspended execution go on, after the patch has been applied to its held nodes, and with it the children that
// were suspended on its behalf. A patch alone may also go to an execution that runs: its other branches went on.
func (r *Runtime) Resume(ctx context.Context, id string, patch *schemas.Patch) (schemas.Execution, error) {
	var live map[int]plan.Tool
	if patch != nil {
		x, err := r.journal.LoadFor(ctx, id)
		if err != nil {
			return schemas.Execution{}, err
		}
		live = r.accepted(ctx, x.State, patch)
	}
	return r.change(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		events, err := patched(s, id, patch, live, caller.From(ctx).Principal)
		if err != nil {
			return nil, err
		}
		switch s.Status {
		case schemas.StatusSuspending, schemas.StatusSuspended:
			return append(events, schemas.Event{Type: schemas.EventResumed, By: caller.From(ctx).Principal}), nil
		case schemas.StatusRunning:
			return events, nil
		}
		return nil, illegal("resume", id, s.Status)
	})
}

// CancelOptions say how an execution ends.
type CancelOptions struct {
	Reason     string
	Grace      time.Duration // how long calls in flight may take to answer; 0: the default
	Compensate bool          // undo what succeeded and can be undone
}

// Cancel ends an execution. Calls in flight are told to stop and have the grace period to answer; what does not is listed
// with outcome unknown. Executions of its workflow nodes are cancelled with it.
func (r *Runtime) Cancel(ctx context.Context, id string, o CancelOptions) (schemas.Execution, error) {
	if o.Grace <= 0 {
		o.Grace = r.limits.Grace
	}
	return r.change(ctx, id, func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		switch {
		case s.Status == schemas.StatusCancelling, s.Status == schemas.StatusCancelled:
			return nil, nil
		case s.Status.Terminal() || s.Status == schemas.StatusCompensating:
			return nil, illegal("cancel", id, s.Status)
		}
		e := schemas.Event{Type: schemas.EventCancelling, Reason: o.Reason, By: caller.From(ctx).Principal, Due: new(now.Add(o.Grace))}
		if o.Compensate {
			e.Name = machine.CancelUndo
		}
		return []schemas.Event{e}, nil
	})
}

// MaxSignalData is the largest data of one signal in bytes: an execution keeps up to machine.MaxSignals of them in memory.
const MaxSignalData = 16 << 10

// Signal delivers an event with data to an execution, which keeps it in its log.
func (r *Runtime) Signal(ctx context.Context, id, name string, data schemas.Value) (schemas.Execution, error) {
	return r.change(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		switch {
		case s.Status.Terminal() || s.Status == schemas.StatusCancelling:
			return nil, illegal("signal", id, s.Status)
		case len(data) > MaxSignalData:
			return nil, schemas.Errorf(schemas.CodePayloadTooLarge, "the data of a signal may have %d bytes, this has %d", MaxSignalData, len(data)).WithField("data").
				WithHint("send a reference to the data instead")
		case len(s.Signals) >= machine.MaxSignals:
			return nil, schemas.Errorf(schemas.CodeQuotaExceeded, "execution %q already holds %d signals", id, machine.MaxSignals)
		}
		return []schemas.Event{{Type: schemas.EventSignal, Name: name, Data: data, By: caller.From(ctx).Principal}}, nil
	})
}

// change passes a caller's decision through the door and shows what became of the execution.
func (r *Runtime) change(ctx context.Context, id string, decide decision) (schemas.Execution, error) {
	if _, err := r.journal.HeadFor(ctx, id); err != nil {
		return schemas.Execution{}, err
	}
	if err := r.transition(ctx, id, decide); err != nil {
		return schemas.Execution{}, err
	}
	h, err := r.journal.HeadFor(ctx, id)
	return r.shown(ctx, h.Execution), err
}

func illegal(verb, id string, s schemas.Status) *schemas.Error {
	code := schemas.CodeConflict
	if s.Terminal() {
		code = schemas.CodeAlreadyFinished
	}
	return schemas.Errorf(code, "cannot %s execution %q: it is %s", verb, id, s).With(func(e *schemas.Error) { e.ExecutionID = id })
}
