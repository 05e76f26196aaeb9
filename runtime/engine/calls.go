package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// pendingCall is a call that is started by a commit, and made after it.
type pendingCall struct {
	unit, attempt int
	name          string // of the unit
	target        *plan.Target
	inputs        json.RawMessage
	hash          string         // of the tool's definition that the call relies on
	effect        schemas.Effect // by the plan, or by a definition that was accepted later
	key           string         // the same for every attempt at the same effect
	at            time.Time      // of the start
	allowed       bool           // the turn has asked the policies, and a person where they want that
}

// exists reports whether the state has the unit. In an execution that was created again, because the store lost it, the items may differ.
func (c *pendingCall) exists(s *machine.State) bool {
	return c.unit < len(s.Units) && s.Name(c.unit) == c.name
}

// isStarted reports whether the start is in the log and the attempt in flight.
func (c *pendingCall) isStarted(s *machine.State) bool {
	return c.exists(s) && s.Attempt(c.unit, c.attempt) && s.Units[c.unit].Since.Equal(c.at)
}

// inFlight is a call in flight.
type inFlight struct {
	unit, attempt int
	effect        schemas.Effect
	cancel        context.CancelCauseFunc
}

// once reports whether the call must not be made twice.
func (f *inFlight) once() bool { return f.effect.Rank() >= schemas.EffectOnce.Rank() }

// outcomeOpen reports whether the state has given up the call without knowing its outcome.
func (f *inFlight) outcomeOpen(s *machine.State) bool {
	return s != nil && f.unit < len(s.Units) && s.OutcomeOpen(f.unit, f.attempt)
}

// makeCall makes a call in a goroutine of its own. The result goes to the owner's inbox, or to applyLate.
func (o *owner) makeCall(c pendingCall) {
	ctx, cancel := context.WithCancelCause(caller.WithHops(o.r.callsCtx, o.x.Head.Hops))
	f := &inFlight{unit: c.unit, attempt: c.attempt, effect: c.effect, cancel: cancel}
	o.calls[c.unit] = f
	if f.once() && o.x.State.Units[c.unit].Phase == units.PhaseRun {
		o.x.rollbacks.recent.noteCall(&c)
	}
	attempt := &call.Call{
		Realm: c.target.Realm, Capability: c.target.Capability, Inputs: c.inputs, Secrets: c.target.SecretNames(), Effect: c.effect, Attempt: c.attempt,
		Key: c.key, IdempotencyArg: c.target.IdempotencyArg, Timeout: c.target.Timeout.Std(), TimeoutFrom: c.target.TimeoutFrom,
		Heartbeat: c.target.HeartbeatTimeout.Std(), Rules: o.r.capabilities.RulesOf(c.target.Realm, c.target.Capability),
		Hash: c.hash, Accepted: c.hash != c.target.Hash, BeforeSend: o.checkLease, Allowed: c.allowed,
		Principal: o.x.Head.Principal, SessionID: o.x.Head.SessionID, ExecutionID: o.x.ID, NodeID: c.name,
	}
	if f.once() && o.x.State.Units[c.unit].Phase == units.PhaseRun {
		attempt.Late = o.r.lateAnswer(o.x.ID, c, time.Now())
	}
	o.r.inputs.Add(int64(len(c.inputs)))
	o.r.owners.Go(func() {
		growStack()
		defer o.r.inputs.Add(-int64(len(c.inputs)))
		defer cancel(nil)
		began := time.Now()
		res, err := o.r.capabilities.Attempt(ctx, attempt)
		if q := (&request{call: f, decide: o.callEnded(c, res, err, time.Since(began))}); !o.submit(q) {
			o.r.applyLate(o.x.ID, q)
		}
	})
}

// abortCalls stops the calls whose results the execution does not need any more. A `once` call is stopped only if the execution is
// cancelled; otherwise its result is waited for.
func (o *owner) abortCalls(m mode) {
	s := o.x.State
	for _, f := range o.calls {
		if f.unit < len(s.Units) && s.Units[f.unit].Dropped > 0 && s.Attempt(f.unit, f.attempt) {
			f.cancel(s.WhyDropped(f.unit))
		}
	}
	if len(o.calls) == 0 {
		return
	}
	var why string
	switch {
	case s.Status == schemas.StatusCancelling:
		why = "the execution was cancelled"
	case s.Failing && s.Status == schemas.StatusRunning:
		why = "the execution failed at another node"
	case s.Status == schemas.StatusSuspending && s.Now:
		why = "the execution was suspended"
	case m != running:
		why = "the runtime is stopping"
	default:
		return
	}
	for _, f := range o.calls {
		if s.Status == schemas.StatusCancelling || !f.once() {
			f.cancel(schemas.Errorf(schemas.CodeCancelled, "the call was stopped: %s", why))
		}
	}
}

// growStack grows the stack of a new goroutine to what a call needs, at once. Growing it by doubling, with more frames to copy each time,
// takes a tenth of the time of a chain.
//
//go:noinline
func growStack() byte {
	var room [8 << 10]byte
	return room[len(emptyString)]
}

var emptyString string // a variable, so that the compiler does not remove the array
