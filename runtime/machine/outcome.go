package machine

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// Failed decides what follows when attempt n of a node ended with the error: another attempt, a hold, the end. The
// event is nil where the attempt is not in flight any more: its end was decided without it. took is the attempt's length;
// random gives numbers in [0,1).
//
//	effect       not_run   ran_failed   unknown
//	read         retry?    retry?       retry?
//	idempotent   retry?    retry?       retry?
//	once         retry?    retry?       on_unknown
//
// "retry?" is the retry policy: codes, attempts, elapsed time.
func (s *State) Failed(node, n int, err *schemas.Error, took time.Duration, now time.Time, random func() float64) *schemas.Event {
	if !s.Attempt(node, n) {
		return nil
	}
	p, e := &s.program.Nodes[node], s.about(node, n, err, took)
	switch {
	case s.Status == schemas.StatusCancelling, s.Failing && err.Code == schemas.CodeCancelled:
		e.Type = schemas.EventNodeCancelled
	case refusal(err):
		e.Type, e.Reason = schemas.EventNodePostponed, string(err.Code)
		e.Due = new(now.Add(max(time.Duration(err.RetryAfterSeconds*float64(time.Second)), minPostpone)))
	case err.Outcome == schemas.Unknown && p.Effect.Rank() >= schemas.EffectOnce.Rank() && p.OnUnknown != schemas.OnUnknownRetry:
		s.undecided(node, e)
	case err.Code == schemas.CodeCancelled: // stopped by a suspend or a shutdown: not the capability's failure
		e.Type, e.Error = schemas.EventAttemptLost, nil
	default:
		s.again(node, e, now, random)
	}
	return e
}

// minPostpone keeps a refusal without a time from becoming a busy loop.
const minPostpone = 100 * time.Millisecond

// refusal: the call was turned away before it left, by a limit that will pass; it spends no attempt.
func refusal(err *schemas.Error) bool {
	return err.Outcome == schemas.NotRun && (err.Code == schemas.CodeRateLimited || err.Code == schemas.CodeCircuitOpen)
}

func (s *State) about(node, n int, err *schemas.Error, took time.Duration) *schemas.Event {
	return &schemas.Event{
		Node: s.program.Nodes[node].ID, Attempt: n, Error: err,
		DurationMS: float64(took.Microseconds()) / 1000,
	}
}

// undecided makes e what on_unknown says of a `once` call that may have happened.
func (s *State) undecided(node int, e *schemas.Event) {
	p := &s.program.Nodes[node]
	cause := e.Error
	e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "%s.%s may have happened: %s", p.Realm, p.Capability, cause.Message).WithOutcome(schemas.Unknown)
	if p.OnUnknown == schemas.OnUnknownFail {
		e.Type = schemas.EventNodeFailed
		return
	}
	e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonUnknown
}

// again makes e the next attempt's backoff, or the node's failure where the policy allows none.
func (s *State) again(node int, e *schemas.Event, now time.Time, random func() float64) {
	p, st := &s.program.Nodes[node], &s.Nodes[node]
	e.Type = schemas.EventNodeFailed
	tries := st.Failures + 1
	if tries >= p.Retry.MaxAttempts || !(Retryable(p.Retry, p.RetryExplicit, e.Error) || e.Error.Outcome == schemas.Unknown && p.OnUnknown == schemas.OnUnknownRetry) {
		return
	}
	wait, _ := Backoff(p.Retry, st.Failures, random).Next()
	if after := time.Duration(e.Error.RetryAfterSeconds * float64(time.Second)); after > wait {
		wait = after
	}
	due := now.Add(wait)
	if limit := p.Retry.MaxElapsed.Std(); limit > 0 && due.Sub(st.First) > limit {
		return
	}
	e.Type, e.Due = schemas.EventAttemptFailed, &due
}

// DefaultMaxRecoveries is how often an execution may be taken over after a crash without one of its nodes ending,
// before it is suspended: a plan that kills its worker must not kill every worker for ever.
const DefaultMaxRecoveries = 5

// Recover decides about the attempts in flight of an execution whose worker is gone: what may be repeated is lost and
// runs again without spending an attempt, a `once` call is up to on_unknown. Attempts that are alive, because the new
// worker makes them itself, are left alone; nil: none is. Nothing in flight needs no event. The events are to be applied in order.
func (s *State) Recover(by string, maxRecoveries int, alive func(node, attempt int) bool) []schemas.Event {
	if s.inFlight == 0 {
		return nil
	}
	events := []schemas.Event{{Type: schemas.EventRecovered, By: by}}
	for i := range s.Nodes {
		if !s.calling(i) || alive != nil && alive(i, s.Nodes[i].Attempts) {
			continue
		}
		p := &s.program.Nodes[i]
		gone := schemas.Errorf(schemas.CodeOutcomeUnknown, "the runtime stopped while the call was in flight").WithOutcome(schemas.Unknown)
		e := s.about(i, s.Nodes[i].Attempts, gone, 0)
		switch {
		case s.Status == schemas.StatusCancelling || s.Failing:
			e.Type = schemas.EventNodeCancelled
		case p.Effect.Rank() < schemas.EffectOnce.Rank() || p.OnUnknown == schemas.OnUnknownRetry:
			e.Type, e.Error = schemas.EventAttemptLost, nil
		default:
			s.undecided(i, e)
		}
		events = append(events, *e)
	}
	if len(events) == 1 {
		return nil
	}
	if s.Status == schemas.StatusRunning && s.Recoveries >= maxRecoveries && len(events) == 1+s.inFlight {
		events = append(events, schemas.Event{
			Type:   schemas.EventSuspended,
			Reason: "its worker died again and again while it ran: resume_execution tries once more",
		})
	}
	return events
}
