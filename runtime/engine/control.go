package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// Suspend stops an execution, and with it those of its workflow nodes, from starting anything. In mode drain, the default, calls in flight
// finish and their results are recorded. In mode now, which may follow a drain, calls that may be repeated are stopped.
func (r *Engine) Suspend(ctx context.Context, id, mode, reason string) (schemas.Execution, error) {
	e, err := r.DecideFor(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if !machine.Legal(schemas.EventSuspended, s.Status, "") {
			return nil, NotAllowed("suspend", id, s.Status)
		}
		return suspendEvents(s, mode, reason, caller.From(ctx).Principal, ""), nil
	})
	if errors.Is(err, journal.ErrUnread) {
		if h, unavailable := r.journal.HeadFor(ctx, id); unavailable == nil && h.Unread && h.Status == schemas.StatusSuspended {
			return r.shown(ctx, h.Execution), nil
		}
	}
	return e, err
}

// suspendEvents returns the events of a suspend: none if the execution is suspended in that way already. parent is the execution on whose
// behalf it is suspended; empty: a caller suspends it, and then a resume of the parent leaves it suspended.
func suspendEvents(s *machine.State, mode, reason, by, parent string) []schemas.Event {
	e := schemas.Event{Type: schemas.EventSuspending, Name: mode, Reason: reason, By: by, Parent: parent}
	taken := s.WithParent && parent == "" // a caller takes over the parent's suspend
	switch s.Status {
	case schemas.StatusRunning:
	case schemas.StatusPending:
		e.Type, e.Name = schemas.EventSuspended, ""
	case schemas.StatusSuspended:
		if !taken {
			return nil
		}
		e.Type, e.Name = schemas.EventSuspended, ""
	case schemas.StatusSuspending:
		hurried := mode == machine.SuspendNow && !s.Now
		if !taken && !hurried {
			return nil
		}
		if s.Now {
			e.Name = machine.SuspendNow
		}
		if parent != "" && !s.WithParent {
			e.Parent, e.Reason = "", s.Reason
		}
		if !taken {
			e.Reason = cmp.Or(e.Reason, s.Reason)
		}
	default:
		return nil
	}
	return []schemas.Event{e}
}

// Resume applies the patch, if any, to held nodes, and continues a suspended execution, and with it the children that were suspended on
// its behalf. A running execution, whose nodes may be held while other branches run, can be patched in the same way.
func (r *Engine) Resume(ctx context.Context, id string, patch *schemas.Patch) (schemas.Execution, error) {
	var live map[int]plan.Tool
	if patch != nil && patch.Nodes == nil && len(patch.Limits) == 0 {
		return schemas.Execution{}, schemas.Errorf(schemas.CodeInvalidArgument, "patch has neither nodes nor limits").WithField("patch").
			WithHint("leave it out to continue, or give nodes: {<id>: {retry: true}} or limits: {calls: 200}")
	}
	if patch != nil {
		x, err := r.journal.LoadFor(ctx, id)
		if err != nil {
			return schemas.Execution{}, err
		}
		live = r.acceptedTools(ctx, x.State, patch)
	}
	decide := func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		events, err := patchEvents(s, id, patch, live, caller.From(ctx).Principal, now)
		if err != nil {
			return nil, err
		}
		if err := stillReached(s, patch, now); err != nil {
			return nil, err
		}
		switch s.Status {
		case schemas.StatusSuspended:
			if patch == nil && s.Held == "" && s.Limit == nil && s.OnlyHeld() {
				return nil, needsPatch(s, id)
			}
			fallthrough
		case schemas.StatusSuspending:
			return append(events, schemas.Event{Type: schemas.EventResumed, By: caller.From(ctx).Principal}), nil
		case schemas.StatusRunning:
			return events, nil
		}
		return nil, NotAllowed("resume", id, s.Status)
	}
	if patch != nil { // which needs the state
		return r.DecideFor(ctx, id, decide)
	}
	return r.decideOrUnread(ctx, id, decide, r.resumeUnread)
}

// needsPatch is the error of a resume that would suspend the execution again at once.
func needsPatch(s *machine.State, id string) error {
	const most = 10
	v := journal.View(s)
	var held []string
	for _, w := range v.WaitingFor[:min(most, len(v.WaitingFor))] {
		held = append(held, fmt.Sprintf("node %q (%s)", w.NodeID, w.Reason))
	}
	if n := len(v.WaitingFor) - most; n > 0 {
		held = append(held, fmt.Sprintf("%d more", n))
	}
	return schemas.Errorf(schemas.CodeConflict, "nothing of execution %q can go on: it waits for a decision about %s", id, strings.Join(held, ", ")).
		With(func(e *schemas.Error) { e.ExecutionID = id }).WithField("patch").WithHint("%s", journal.WithHint(v).Hint)
}

// CancelOptions say how an execution is cancelled.
type CancelOptions struct {
	Reason     string
	Grace      time.Duration // how long calls in flight may take to answer; 0: [Limits.Grace]
	Compensate bool          // compensate what succeeded and can be compensated
}

// Cancel ends an execution, and with it the executions of its workflow nodes. Calls in flight are cancelled and have the grace period to
// answer; the outcome of those that do not is recorded as unknown. Cancelling a cancelled execution changes nothing.
func (r *Engine) Cancel(ctx context.Context, id string, o CancelOptions) (schemas.Execution, error) {
	if o.Grace <= 0 {
		o.Grace = r.limits.Grace
	}
	decide := func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		switch {
		case s.Status == schemas.StatusCancelling, s.Status == schemas.StatusCancelled:
			return nil, nil
		case s.Status.Terminal() || s.Status == schemas.StatusCompensating:
			return nil, NotAllowed("cancel", id, s.Status)
		}
		e := schemas.Event{Type: schemas.EventCancelling, Reason: o.Reason, By: caller.From(ctx).Principal, Due: new(now.Add(o.Grace))}
		if o.Compensate {
			e.Name = machine.CancelUndo
		}
		return []schemas.Event{e}, nil
	}
	return r.decideOrUnread(ctx, id, decide, func(ctx context.Context, id string) (schemas.Execution, error) {
		return r.cancelUnread(ctx, id, o.Reason)
	})
}

// MaxSignalData is the largest data of one signal in bytes. An execution keeps up to [units.MaxSignals] signals in memory.
const MaxSignalData = 16 << 10

// Signal sends a named event with data to an execution. A node that waits for the name receives it, now or later.
func (r *Engine) Signal(ctx context.Context, id, name string, data schemas.Value) (schemas.Execution, error) {
	return r.DecideFor(ctx, id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		switch {
		case s.Status.Terminal() || s.Status == schemas.StatusCancelling:
			return nil, NotAllowed("signal", id, s.Status)
		case len(data) > MaxSignalData:
			return nil, schemas.Errorf(schemas.CodePayloadTooLarge, "the data of the signal has %d bytes (limit %d)", len(data), MaxSignalData).
				WithField("data").WithHint("send a reference to the data instead")
		case len(s.Signals) >= units.MaxSignals:
			return nil, schemas.Errorf(schemas.CodeQuotaExceeded, "execution %q keeps %d signals (limit %d)", id, len(s.Signals), units.MaxSignals)
		}
		return []schemas.Event{{Type: schemas.EventSignal, Name: name, Data: data, By: caller.From(ctx).Principal}}, nil
	})
}

// DecideFor is [Engine.Decide] for a caller: the execution has to be the caller's, and is returned as it is after the commit.
func (r *Engine) DecideFor(ctx context.Context, id string, decide Decision) (schemas.Execution, error) {
	if _, err := r.journal.HeadFor(ctx, id); err != nil {
		return schemas.Execution{}, err
	}
	if err := r.Decide(ctx, id, decide); err != nil {
		return schemas.Execution{}, err
	}
	h, err := r.journal.HeadFor(ctx, id)
	return r.shown(ctx, h.Execution), err
}

// NotAllowed returns the error of a verb, such as "suspend", that is not allowed while the execution has the status.
func NotAllowed(verb, id string, s schemas.Status) *schemas.Error {
	code := schemas.CodeConflict
	if s.Terminal() {
		code = schemas.CodeAlreadyFinished
	}
	return schemas.Errorf(code, "cannot %s execution %q: it is %s", verb, id, s).With(func(e *schemas.Error) { e.ExecutionID = id })
}
