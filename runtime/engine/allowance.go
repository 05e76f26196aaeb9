package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/budget"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// allowance is the companion that keeps an execution within the budget of its tree (package budget). A unit starts only if enough is left
// for it. A root that has too little fails the unit. A child asks its parent for more: meanwhile nothing starts, and the owner stays.
type allowance struct {
	idle
	asking       bool           // the owner asks the parent
	refused      *schemas.Error // the last answer of the parent; nil: it granted more
	refusedUntil time.Time      // until when that counts; then the parent is asked again
	carried      time.Duration  // spent on expressions, and in no event yet
	queueFull    bool           // children wait, as too many executions do
	items        int            // of a list for which there was no room in memory; 0: there was
	itemsOf      int            // the node of that list

	// Of the turn:
	lacking schemas.Budget // what units that could not start need
	least   schemas.Budget // what the first of them needs
	lacks   map[int]bool   // those units

	roomless *schemas.WaitingFor // a list waits for room in memory; nil: none does
	crowded  bool                // a call waits until those of all executions take less memory
}

const (
	refusalAge   = time.Second            // how long a refusal counts
	askAgain     = time.Second            // after a parent could not be asked
	crowdedAgain = 200 * time.Millisecond // how often an execution whose call waits looks whether it may be made
	queueRecheck = 2 * time.Second        // how often an execution whose children wait looks whether the queue has room again
)

func (a *allowance) begin(t *turn) {
	a.lacking, a.least, a.lacks, a.roomless, a.crowded = schemas.Budget{}, schemas.Budget{}, nil, nil, false
	s := t.x.State
	a.queueFull = t.mode == running && s.Status == schemas.StatusRunning && t.x.Program.Size().Height > 0 && t.r.queue.Full(t.ctx)
	s.HoldStarts(a.asking)
	s.HoldChildren(a.queueFull)
}

// prepare keeps the owner while it asks, and has it come back for children that wait for room in the queue, and lists for room in memory.
func (a *allowance) prepare(t *turn) {
	t.keepOwner = t.keepOwner || t.mode == running && (a.asking || len(a.lacks) > 0)
	if a.queueFull && t.x.State.ReadyChildren() {
		t.needOwner(t.now.Add(queueRecheck))
	}
	if a.roomless != nil {
		t.needOwner(t.now.Add(t.r.room.again()))
	}
	if s := t.x.State; s.Status.Terminal() && t.x.Head.ParentID != "" {
		t.head.Used = &s.Account().Used
	}
}

// afford reports whether enough is left for a unit that is about to start. If it is not ok and there is no error, the unit stays ready.
func (t *turn) afford(unit int, need schemas.Budget) (ok bool, err error) {
	a, s := t.x.allowance, t.x.State
	if most := t.r.limits.MaxAge; most > 0 && t.now.Sub(t.x.Head.Began()) > most {
		return false, schemas.Errorf(schemas.CodeQuotaExceeded, "the execution and those above it were created %s ago (limit %s, limits.max_tree_time)",
			schemas.Duration(t.now.Sub(t.x.Head.Began()).Round(time.Second)), schemas.Duration(most)).
			WithHint("rerun_execution starts again, with from_node to keep what succeeded; an operator can raise limits.max_tree_time")
	}
	lacks := s.Account().Lacks(need)
	switch {
	case lacks == nil:
		return true, nil
	case t.x.Head.ParentID == "":
		return false, lacks
	case a.refused != nil && t.now.Before(a.refusedUntil):
		return false, a.refused
	}
	switch {
	case a.lacks == nil:
		a.least, a.lacking, a.lacks = need, need, map[int]bool{unit: true}
	case !a.lacks[unit]: // a turn may try it several times
		a.lacking = a.lacking.Plus(need)
		a.lacks[unit] = true
	}
	return false, nil
}

// stepped asks the parent for what was lacking.
func (a *allowance) stepped(o *owner, s *stepResult) (again time.Time) {
	if a.roomless != nil {
		again = s.at.Add(o.r.room.again())
	}
	if a.crowded {
		again = earliest(again, s.at.Add(crowdedAgain))
	}
	if len(a.lacks) == 0 || a.asking || o.x.lease == nil {
		return again
	}
	a.asking = true
	asked, needed := o.x.State.Account().Ask(a.lacking, a.least)
	parent, id := o.x.Head.ParentID, o.x.ID
	o.r.owners.Go(func() {
		total, err := o.r.askFor(o.r.storeCtx, parent, id, asked, needed)
		refused, isRefusal := errors.AsType[*schemas.Error](err)
		if isRefusal = isRefusal && refused.Code == schemas.CodeQuotaExceeded; err != nil && !isRefusal {
			o.r.log.Warn("ask the parent of a workflow for more of its budget: asking again", "execution_id", id, "parent_id", parent, "error", err)
			records.Pause(o.r.storeCtx, askAgain)
		}
		granted := err == nil
		o.submit(&request{decide: func(s *machine.State, now time.Time) ([]schemas.Event, error) {
			a.asking, a.refused = false, nil
			s.HoldStarts(false)
			if isRefusal {
				a.refused, a.refusedUntil = refused, now.Add(refusalAge)
			}
			if !granted {
				return nil, nil
			}
			return grantedEvents(s, total), nil
		}})
	})
	return again
}

// grantedEvents returns the event by which an execution takes note of what it is granted: none if it has as much already.
func grantedEvents(s *machine.State, total schemas.Budget) []schemas.Event {
	more := budget.Most(s.Allowance, total)
	if more == s.Allowance || !machine.Legal(schemas.EventGranted, s.Status, "") {
		return nil
	}
	return []schemas.Event{{Type: schemas.EventGranted, Budget: &more}}
}

// askFor asks the parent of an execution to grant it a total, of which it needs a part to continue. It returns what the execution is granted
// in all, or quota_exceeded. A parent that has too little left asks its own parent first. It may be repeated: a grant states the total.
func (r *Engine) askFor(ctx context.Context, parent, id string, asked, needed schemas.Budget) (total schemas.Budget, err error) {
	for range records.MaxConflicts {
		var granted bool
		var above, aboveNeeded schemas.Budget // what the parent itself has to ask for
		var refusal *schemas.Error
		err := r.Decide(ctx, parent, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
			unit := childUnit(s, id)
			if unit < 0 || abandonsChildren(s) {
				return nil, schemas.Errorf(schemas.CodeQuotaExceeded, "execution %s no longer waits for %s, and grants it nothing more", parent, id).
					WithHint("it is about to be cancelled")
			}
			account, has := s.Account(), s.Granted(unit)
			if total, granted = account.Grant(has, asked, needed); !granted {
				above, aboveNeeded, refusal = account.AskFor(has, asked, needed)
				return nil, nil
			}
			if g := s.Units[unit].Grant; g != nil && *g == total {
				return nil, nil
			}
			e := s.Event(schemas.EventNodeGranted, unit)
			e.Child, e.Budget = id, new(total)
			return []schemas.Event{e}, nil
		})
		if err != nil || granted {
			return total, refusalIfGone(err, parent)
		}
		h, _, err := r.journal.ReadHead(ctx, parent)
		if err != nil {
			return total, refusalIfGone(err, parent)
		}
		if h.ParentID == "" {
			return total, refusal
		}
		got, err := r.askFor(ctx, h.ParentID, parent, above, aboveNeeded)
		if err != nil {
			return total, err
		}
		err = r.Decide(ctx, parent, func(s *machine.State, _ time.Time) ([]schemas.Event, error) { return grantedEvents(s, got), nil })
		if err != nil {
			return total, err
		}
	}
	return total, schemas.Errorf(schemas.CodeConflict, "execution %q grants too much at once", parent).With(func(e *schemas.Error) { e.Retryable = true })
}

// refusalIfGone makes a refusal of the error that a parent does not exist any more: it would be asked for ever.
func refusalIfGone(err error, parent string) error {
	if !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		return err
	}
	return schemas.Errorf(schemas.CodeQuotaExceeded, "execution %s, of which this one is a part, no longer exists, and grants nothing more", parent).
		WithHint("submit the plan of the workflow again, on its own")
}

// measure adds the time that was spent on expressions to the next event. Waiting for the store is not spent on them.
func (t *turn) measure() {
	if !t.evaluating.IsZero() {
		now, reading := time.Now(), t.x.Reading()
		t.x.allowance.carried += now.Sub(t.evaluating) - (reading - t.reading)
		t.evaluating, t.reading = now, reading
	}
}

// Budget returns the limits of the tree of a root.
func (l *Limits) Budget() schemas.Budget {
	return schemas.Budget{
		Executions: int64(l.MaxChildren), Calls: int64(l.MaxCalls), Items: int64(l.MaxItems), Events: int64(l.MaxEvents), Bytes: l.MaxBytes,
		EvaluationMS: l.MaxEvaluation.Milliseconds(),
	}
}
