package engine

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// owner runs one execution from its claim until nothing is left to do but wait. One goroutine decides and commits;
// calls run in their own and send their results to its inbox.
type owner struct {
	r *Engine
	x *execution

	mu       sync.Mutex
	inbox    []*request
	closed   bool
	stale    bool // somebody else changed the execution
	lease    *store.Lease
	fence    fence          // of the lease
	gone     bool           // the lease is lost
	nudgedAt time.Time      // when the last nudge that was read expires
	signal   records.Signal // the inbox is not empty, or one of the words above has changed

	lost          chan struct{} // closed when the lease is gone
	claimed       bool          // the lease came by a claim: what others left in flight is to be decided
	calls         map[int]*inFlight
	companionWake time.Time // when a companion wants the owner back; zero: none does

	lastError atomic.Pointer[error] // why the last commit did not happen; nil: it did
}

// errReleased answers requests that came while the owner was letting go: ask again.
var errReleased = errors.New("owner let go")

// owner is who owns the execution in this process; nil: nobody.
func (r *Engine) owner(id string) *owner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[id]
}

// release ends the ownership; the inbox takes nothing more.
func (o *owner) release() {
	o.r.mu.Lock()
	if o.r.owned[o.x.ID] == o {
		delete(o.r.owned, o.x.ID)
	}
	o.r.mu.Unlock()
	o.mu.Lock()
	o.closed = true
	left, lease, gone := o.inbox, o.lease, o.gone
	o.inbox = nil
	o.mu.Unlock()
	answer(left, errReleased)
	for _, q := range left {
		if q.call != nil {
			o.r.owners.Go(func() { o.r.applyLate(o.x.ID, q) })
		}
	}
	if lease != nil && lease != o.x.lease { // it came back too late
		o.r.store.GiveBack(lease, records.Now())
	}
	for _, f := range o.calls {
		if !f.once() || !gone && !f.undecided(o.x.State) { // what became of a `once` call is worth knowing to the next owner
			f.cancel(schemas.Errorf(schemas.CodeCancelled, "nobody waits for this call any more"))
		}
	}
}

// leaseGone lets the companions know that the lease is lost.
func (o *owner) leaseGone() {
	for _, c := range o.x.companions {
		c.lost(o)
	}
}

// takeOver starts a pending execution, and decides about the calls that the last owner left in flight.
func (o *owner) takeOver(s *machine.State, now time.Time) ([]schemas.Event, error) {
	if s.Status == schemas.StatusPending {
		if len(s.Next(now)) > 0 { // it has waited too long
			return nil, nil
		}
		return []schemas.Event{{Type: schemas.EventStarted, By: o.r.worker}}, nil
	}
	return s.Recover(o.r.worker, now, o.r.limits.MaxRecoveries, o.isCalling), nil
}

// isCalling tells whether the owner itself makes the call of the attempt, or is about to.
func (o *owner) isCalling(unit, attempt int) bool {
	if f := o.calls[unit]; f != nil && f.attempt == attempt {
		return true
	}
	return slices.ContainsFunc(o.x.uncertain, func(l pendingCall) bool {
		return l.unit == unit && l.attempt == attempt && l.isStarted(o.x.State)
	})
}

func (o *owner) run(requests []*request, base store.Batch) {
	defer o.release()
	m := running
	var delay time.Duration
	for {
		if m == draining && len(o.calls) == 0 {
			m = releasing
		}
		decided := requests
		if o.claimed { // after the results that are there
			decided = append(slices.Clip(requests), &request{decide: o.takeOver})
			for _, c := range o.x.companions {
				if d := c.claimed(o); d != nil {
					decided = append(decided, &request{decide: d})
				}
			}
		}
		stepMode := m
		if stepMode == running && base.Claim == nil && !o.leaseHolds() {
			stepMode = fenced
		}
		s, err := o.r.step(o.r.storeCtx, o.x, decided, stepMode, base)
		if err != nil {
			if requests, delay = o.stepFailed(requests, base, err, delay); requests == nil {
				return
			}
			continue
		}
		delay, base, o.claimed = 0, store.Batch{}, s.takeOver
		o.lastError.Store(nil)
		o.mu.Lock()
		if o.lease == nil && o.x.lease != nil {
			o.lease, o.fence = o.x.lease, newFence(o.x.leaseSent, o.r.limits.Lease)
		}
		o.mu.Unlock()
		for _, l := range s.calls {
			o.makeCall(l)
		}
		answer(requests, nil)
		o.companionWake = time.Time{}
		for _, c := range o.x.companions {
			o.companionWake = earliest(o.companionWake, c.stepped(o, &s))
		}
		if s.released || o.x.lease == nil {
			return
		}
		o.abortCalls(m)
		if !s.more && !s.takeOver {
			var ok bool
			if m, ok = o.wait(m, s.at); !ok {
				return
			}
		}
		requests = o.take()
	}
}

// wait blocks until there is something to do after a step at the given time. false: the execution is not ours any more.
func (o *owner) wait(m mode, at time.Time) (mode, bool) {
	stop := o.r.stop
	if m != running {
		stop = nil
	}
	var due <-chan time.Time
	wake := earliest(o.x.State.Wake(at), o.companionWake)
	if !wake.IsZero() {
		t := time.NewTimer(time.Until(wake))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-o.signal:
	case <-due:
	case <-stop:
		return draining, true
	case <-o.lost:
		o.r.log.Warn("lost the lease: another worker goes on", "execution_id", o.x.ID)
		o.leaseGone()
		return m, false
	case <-o.r.storeCtx.Done():
		return m, false
	}
	return m, true
}
