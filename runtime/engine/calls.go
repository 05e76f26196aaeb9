package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// flight is a call in flight.
type inFlight struct {
	unit, attempt int
	effect        schemas.Effect
	cancel        context.CancelCauseFunc
}

// once tells whether the call must not be made twice.
func (f *inFlight) once() bool { return f.effect.Rank() >= schemas.EffectOnce.Rank() }

// undecided tells whether the state has given the call up and does not know what became of it.
func (f *inFlight) undecided(s *machine.State) bool {
	return s != nil && f.unit < len(s.Units) && s.Undecided(f.unit, f.attempt)
}

// makeCall makes a call that was just committed as started.
func (o *owner) makeCall(l pendingCall) {
	ctx, cancel := context.WithCancelCause(caller.WithHops(o.r.callsCtx, o.x.Head.Hops))
	f := &inFlight{unit: l.unit, attempt: l.attempt, effect: l.effect, cancel: cancel}
	o.calls[l.unit] = f
	if f.once() && o.x.State.Units[l.unit].Phase == machine.PhaseRun {
		o.x.rollbacks.recent.noteCall(&l)
	}
	c := &call.Call{
		Realm: l.target.Realm, Capability: l.target.Capability, Inputs: l.inputs, Effect: l.effect, Attempt: l.attempt,
		Key: l.key, IdempotencyArg: l.target.IdempotencyArg, Timeout: l.target.Timeout.Std(), TimeoutFrom: l.target.TimeoutFrom,
		Heartbeat: l.target.HeartbeatTimeout.Std(), Rules: o.r.capabilities.RulesOf(l.target.Realm, l.target.Capability), Hash: l.hash, Accepted: l.hash != l.target.Hash,
		Principal: o.x.Head.Principal, SessionID: o.x.Head.SessionID, ExecutionID: o.x.ID, NodeID: l.name, Leave: o.checkLease,
	}
	o.r.owners.Go(func() {
		growStack()
		defer cancel(nil)
		began := time.Now()
		res, err := o.r.capabilities.Attempt(ctx, c)
		if q := (&request{call: f, decide: o.callEnded(l, res, err, time.Since(began))}); !o.submit(q) {
			o.r.applyLate(o.x.ID, q)
		}
	})
}

// abortCalls stops the calls that the execution does not want any more. A `once` call is stopped by a cancel alone: its result
// is worth waiting for.
func (o *owner) abortCalls(m mode) {
	s := o.x.State
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

// growStack makes room for deep calls on the stack of a new goroutine at once. Left to grow by doubling, with ever more frames to move,
// the stacks of calls cost a chain a tenth of its time.
//
//go:noinline
func growStack() byte {
	var room [8 << 10]byte
	return room[len(emptyString)]
}

var emptyString string // to the compiler, which would see that nobody needs the room

// launch is a call that the commit just made has started.
type pendingCall struct {
	unit, attempt int
	name          string // of the unit
	target        *plan.Target
	inputs        json.RawMessage
	hash          string         // of the definition that it goes by
	effect        schemas.Effect // of the call, by the plan or by a definition that was accepted later
	key           string         // the same for every attempt at the same effect
	at            time.Time      // of the start
}

// exists tells whether the state knows the unit: of a store that lost commits, one that was made anew may have other items.
func (l *pendingCall) exists(s *machine.State) bool {
	return l.unit < len(s.Units) && s.Name(l.unit) == l.name
}

// isStarted tells whether the start is in the log, and the attempt in flight.
func (l *pendingCall) isStarted(s *machine.State) bool {
	return l.exists(s) && s.Attempt(l.unit, l.attempt) && s.Units[l.unit].Since.Equal(l.at)
}
