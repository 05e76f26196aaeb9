package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// callEnded decides what the end of a call means. If its attempt was given up before, the result is evidence if the outcome is still open,
// and changes nothing otherwise.
func (o *owner) callEnded(c pendingCall, res *call.Result, err error, took time.Duration) Decision {
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		if !c.exists(s) {
			return nil, nil
		}
		if err != nil {
			if e := s.Failed(c.unit, c.attempt, schemas.AsError(err), took, now, o.r.random); e != nil {
				return []schemas.Event{*e}, nil
			}
		}
		if err != nil || s.OutcomeOpen(c.unit, c.attempt) {
			return o.r.lateResult(c, res, schemas.AsError(err), took)(s, now)
		}
		if !s.Attempt(c.unit, c.attempt) {
			return nil, nil
		}
		u := &s.Units[c.unit]
		e := s.Succeeded(c.unit)
		e.Attempt, e.DurationMS = c.attempt, float64(took.Microseconds())/1000
		switch u.Phase {
		case units.PhaseUndo:
			e.Type = schemas.EventNodeCompensated
		case units.PhaseVerify:
			if s != o.x.State { // the execution is released: its next owner verifies again
				return nil, nil
			}
			return o.verifyResult(c, res, e, took, now)
		default:
			setAnswer(&e, s, res)
		}
		return []schemas.Event{e}, nil
	}
}

// lateAnswer returns the function that takes what becomes known of a call after its attempt has ended without an answer.
func (r *Engine) lateAnswer(id string, c pendingCall, began time.Time) func(*call.Result, error) {
	c.inputs, c.target = nil, nil // not needed, and perhaps large
	return func(res *call.Result, err error) {
		q := &request{call: &inFlight{unit: c.unit, attempt: c.attempt}, decide: r.lateResult(c, res, schemas.AsError(err), time.Since(began))}
		if o := r.owner(id); o != nil && o.submit(q) {
			return
		}
		r.mu.Lock()
		if r.stopping {
			r.mu.Unlock()
			r.applyLate(id, q)
			return
		}
		r.owners.Add(1)
		r.mu.Unlock()
		defer r.owners.Done()
		r.applyLate(id, q)
	}
}

// lateResult decides what a late answer means: it is evidence while the outcome is open. A nil failure is success.
func (r *Engine) lateResult(c pendingCall, res *call.Result, failure *schemas.Error, took time.Duration) Decision {
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		switch {
		case !c.exists(s):
		case s.OutcomeOpen(c.unit, c.attempt) && failure != nil:
			return s.LateFailure(c.unit, c.attempt, failure, took, r.worker, now), nil //nolint:nilerr // the failure is what is recorded
		case s.OutcomeOpen(c.unit, c.attempt):
			events := s.LateSuccess(c.unit, c.attempt, took, r.worker)
			setAnswer(&events[0], s, res)
			return events, nil
		}
		return nil, nil
	}
}

// neverMade decides what it means that a call was not made though its start may be in the log: the commit of the start was not confirmed
// before the lease was lost. The next owner must take it for a call of unknown outcome.
func (r *Engine) neverMade(c pendingCall) Decision {
	err := schemas.Errorf(schemas.CodeCancelled, "call not made: its worker lost the execution before the start was confirmed").
		WithOutcome(schemas.NotRun)
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		switch {
		case c.isStarted(s):
			return []schemas.Event{*s.Failed(c.unit, c.attempt, err, 0, now, r.random)}, nil
		case c.exists(s) && s.OutcomeOpen(c.unit, c.attempt) && s.Units[c.unit].UnknownSince.Equal(c.at): // not an attempt of another worker
			return s.LateFailure(c.unit, c.attempt, err, 0, r.worker, now), nil
		}
		return nil, nil
	}
}

// setAnswer copies the answer of a call into the event of its unit.
func setAnswer(e *schemas.Event, s *machine.State, res *call.Result) {
	unit, _ := s.Unit(e.Node, e.Item)
	e.Output, e.Text, e.ServedBy = schemas.Value(res.Output), res.Text, res.ServedBy
	e.Content, e.Blocks = schemas.Value(res.Content), res.Blocks
	e.AgeSeconds, e.Notes = res.Age.Seconds(), res.Notes
	e.Degraded = res.Degraded || s.Units[unit].Fallback > 0
}

// verifyResult decides by the answer of a verification: either the call has happened, or it is made again.
func (o *owner) verifyResult(c pendingCall, res *call.Result, e schemas.Event, took time.Duration, now time.Time) ([]schemas.Event, error) {
	s := o.x.State
	v := s.Node(c.unit).Verify
	sc := o.r.journal.Scope(o.r.storeCtx, o.x.Execution, c.unit).WithAnswer(res.Output)
	var happened bool
	err := o.r.caught(o.x.ID, func() (err error) {
		happened, err = v.Happened.Bool(o.r.storeCtx, sc, o.r.limits.Plan.Limits)
		e.Output, e.Reason, e.ServedBy = schemas.Value(res.Output), "verified", res.ServedBy
		if err == nil && happened && v.Output != nil {
			var out json.RawMessage
			out, err = v.Output.Render(o.r.storeCtx, sc, o.r.limits.Plan.Limits)
			e.Output = schemas.Value(out)
		}
		return err
	})
	switch {
	case notEvaluated(err):
		return nil, err
	case err == nil && !happened:
		e = *s.NotDone(c.unit, c.attempt, took, now, o.r.random) // not nil: callEnded has checked that the verification is in flight
	case err != nil && (s.Status == schemas.StatusCancelling || s.Dropped(c.unit)):
		e.Type, e.Output = schemas.EventNodeCancelled, nil
	case err != nil:
		e.Type, e.Output, e.Reason = schemas.EventNodeHeld, nil, schemas.ReasonUnknown
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "the call may have happened, and the answer of its verification cannot be read: %s",
			schemas.AsError(err).Message).WithOutcome(schemas.Unknown)
	}
	return []schemas.Event{e}, nil
}

// applyLate applies the result of a call whose owner has released the execution: if the attempt is still in flight it is its result, and
// if its outcome is unknown it is evidence. While the store is unavailable it tries again, until Run ends.
func (r *Engine) applyLate(id string, q *request) {
	r.awaitLeft(id)
	used := false
	decide := func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		events, err := q.decide(s, now)
		used = len(events) > 0
		return events, err
	}
	err := whileUnavailable(r.storeCtx, func() error { return r.Decide(r.storeCtx, id, decide) })
	switch {
	case errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}): // it was never created, or it was deleted
	case err != nil:
		r.log.Warn("apply the late result of a call: the result is lost", "execution_id", id, "error", err)
	case used:
		r.Counters.LateUsed.Add(1)
		r.log.Info("the late result of a call was used", "execution_id", id)
	default:
		r.Counters.LateUnused.Add(1)
		r.log.Info("the late result of a call was not used", "execution_id", id)
	}
}

// whileUnavailable calls f until the store is available, or ctx ends, with growing pauses. A fault that lasts, such as damage, is returned.
func whileUnavailable(ctx context.Context, f func() error) error {
	err := f()
	for delay := records.NextDelay(0); errors.Is(err, records.ErrUnavailable) && !records.Lasting(err) && ctx.Err() == nil; delay = records.NextDelay(delay) {
		records.Pause(ctx, delay)
		err = f()
	}
	return err
}
