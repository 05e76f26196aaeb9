package engine

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// callEnded decides what a call's end means. What comes after its attempt was given up is evidence where nobody knows what
// became of that, and nothing otherwise: what was committed stands.
func (o *owner) callEnded(l pendingCall, res *call.Result, err error, took time.Duration) Decision {
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		if !l.exists(s) {
			return nil, nil
		}
		if err != nil {
			e := s.Failed(l.unit, l.attempt, schemas.AsError(err), took, now, o.r.random)
			switch {
			case e != nil:
				return []schemas.Event{*e}, nil
			case s.Undecided(l.unit, l.attempt):
				return s.SettledFailed(l.unit, l.attempt, schemas.AsError(err), took, o.r.worker), nil
			}
			return nil, nil
		}
		if s.Undecided(l.unit, l.attempt) {
			events := s.Settled(l.unit, l.attempt, took, o.r.worker)
			setAnswer(&events[0], s, res)
			return events, nil
		}
		if !s.Attempt(l.unit, l.attempt) {
			return nil, nil
		}
		u := &s.Units[l.unit]
		e := s.Event(schemas.EventNodeSucceeded, l.unit)
		e.Attempt, e.DurationMS = l.attempt, float64(took.Microseconds())/1000
		switch u.Phase {
		case machine.PhaseUndo:
			e.Type = schemas.EventNodeCompensated
		case machine.PhaseVerify:
			if s != o.x.State { // too late for this owner; the next one verifies again
				return nil, nil
			}
			return o.verifyResult(l, res, e, took, now)
		default:
			setAnswer(&e, s, res)
		}
		return []schemas.Event{e}, nil
	}
}

// setAnswer puts into the event of a unit what its call answered.
func setAnswer(e *schemas.Event, s *machine.State, res *call.Result) {
	unit, _ := s.Unit(e.Node, e.Item)
	e.Output, e.Text, e.ServedBy = schemas.Value(res.Output), res.Text, res.ServedBy
	e.AgeSeconds = res.Age.Seconds()
	e.Degraded = res.Degraded || s.Units[unit].Fallback > 0
}

// verifyResult decides by the answer of a verification: the call had happened, or it is made again.
func (o *owner) verifyResult(l pendingCall, res *call.Result, e schemas.Event, took time.Duration, now time.Time) ([]schemas.Event, error) {
	s := o.x.State
	v := s.Node(l.unit).Verify
	sc := o.r.journal.Scope(o.r.storeCtx, o.x.Execution, l.unit).WithAnswer(res.Output)
	happened, err := v.Happened.Bool(sc)
	e.Output, e.Reason, e.ServedBy = schemas.Value(res.Output), "verified", res.ServedBy
	if err == nil && happened && v.Output != nil {
		var out json.RawMessage
		out, err = v.Output.Render(sc, o.r.limits.Plan)
		e.Output = schemas.Value(out)
	}
	switch {
	case errors.Is(err, records.Unavailable):
		return nil, err
	case err == nil && !happened:
		e = *s.NotDone(l.unit, l.attempt, took, now, o.r.random) // it is in flight: the caller has looked
	case err != nil && s.Status == schemas.StatusCancelling:
		e.Type, e.Output = schemas.EventNodeCancelled, nil
	case err != nil:
		e.Type, e.Output, e.Reason = schemas.EventNodeHeld, nil, schemas.ReasonUnknown
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "the call may have happened, and the answer of its verification cannot be read: %s", schemas.AsError(err).Message).
			WithOutcome(schemas.Unknown)
	}
	return []schemas.Event{e}, nil
}

// applyLate passes on a call's end that came when its owner had let go: nobody else knows of it. Where the attempt still counts
// as in flight somebody waits for it, and where its outcome is unknown it is evidence.
func (r *Engine) applyLate(id string, q *request) {
	used := false
	decide := func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		events, err := q.decide(s, now)
		used = len(events) > 0
		return events, err
	}
	err := r.Decide(r.storeCtx, id, decide)
	for delay := records.MinDelay; errors.Is(err, records.Unavailable) && r.storeCtx.Err() == nil; delay = min(2*delay, records.MaxDelay) {
		select {
		case <-time.After(delay):
		case <-r.storeCtx.Done():
		}
		err = r.Decide(r.storeCtx, id, decide)
	}
	switch {
	case err != nil:
		r.log.Warn("the result of a call came late and is lost", "execution_id", id, "error", err)
	case used:
		r.Counters.LateUsed.Add(1)
		r.log.Info("the result of a call came late and counts", "execution_id", id)
	default:
		r.Counters.LateUnused.Add(1)
		r.log.Info("the result of a call came too late", "execution_id", id)
	}
}
