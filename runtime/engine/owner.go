package engine

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// owner runs one execution from its claim until only waiting is left. Its goroutine decides and commits; calls run in goroutines of their
// own and send their results to its inbox.
type owner struct {
	r *Engine
	x *execution

	mu       sync.Mutex
	inbox    []*request
	closed   bool           // the execution is released: the inbox takes nothing more
	stale    bool           // another process or a guest has changed the execution
	lease    *store.Lease   // nil: the first commit has yet to claim one
	fence    fence          // of the lease
	gone     bool           // the lease is lost
	nudgedAt time.Time      // when the last nudge that was read expires
	signal   records.Signal // the inbox is not empty, or a field above has changed

	lost          chan struct{}     // closed when the lease is lost
	claimed       bool              // the lease came by a claim: what was left in flight is to be decided on
	calls         map[int]*inFlight // by unit
	companionWake time.Time         // when a companion needs the next step; zero: none does
	taken         bool              // another worker continues the execution
	left          chan struct{}     // closed when nothing of this owner is to come any more

	lastError atomic.Pointer[error] // why the last commit failed; nil: it did not
}

// errReleased answers requests that came while the owner released the execution: the caller tries again.
var errReleased = errors.New("execution released")

// owner returns the owner of the execution in this process; nil: it has none, or one that has released it.
func (r *Engine) owner(id string) *owner {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.owned[id]; o != nil && !o.isClosed() {
		return o
	}
	return nil
}

func (o *owner) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// run makes step after step until the execution is released or lost. requests and base are those of the first step.
func (o *owner) run(requests []*request, base store.Batch) {
	defer o.leave()
	m := running
	var delay time.Duration
	for {
		if m == draining && len(o.calls) == 0 {
			m = releasing
		}
		decided := requests
		if o.claimed { // after the results that have come
			decided = append(slices.Clip(requests), o.claimDecisions()...)
		}
		stepMode := m
		if stepMode == running && base.Claim == nil && !o.leaseHolds() {
			stepMode = fenced
		}
		s, err := o.r.step(o.r.storeCtx, o.x, decided, stepMode, base)
		if err != nil {
			var again bool
			if requests, delay, again = o.stepFailed(requests, base, err, delay); !again {
				return
			}
			continue
		}
		delay, base, o.claimed = 0, store.Batch{}, s.takeOver
		o.lastError.Store(nil)
		o.noteLease()
		for _, c := range s.calls {
			o.makeCall(c)
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
			var owned bool
			if m, owned = o.wait(m, s.at); !owned {
				return
			}
		}
		requests = o.take()
	}
}

// claimDecisions returns what is to be decided after a claim.
func (o *owner) claimDecisions() []*request {
	requests := []*request{{decide: o.takeOver}}
	for _, c := range o.x.companions {
		if d := c.claimed(o); d != nil {
			requests = append(requests, &request{decide: d})
		}
	}
	return requests
}

// isCalling reports whether this owner makes the call of the attempt, or is about to.
func (o *owner) isCalling(unit, attempt int) bool {
	if f := o.calls[unit]; f != nil && f.attempt == attempt {
		return true
	}
	return slices.ContainsFunc(o.x.uncertain, func(c pendingCall) bool {
		return c.unit == unit && c.attempt == attempt && c.isStarted(o.x.State)
	})
}

// noteLease notes the lease that the first commit of a new execution has claimed.
func (o *owner) noteLease() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lease == nil && o.x.lease != nil {
		o.lease, o.fence = o.x.lease, newFence(o.x.leaseSent, o.r.limits.Lease)
	}
}

// wait blocks until there is something to do after a step that was made at the given time. It returns false if the execution is lost.
func (o *owner) wait(m mode, at time.Time) (_ mode, owned bool) {
	stop := o.r.stop
	if m != running {
		stop = nil
	}
	var due <-chan time.Time
	wake := earliest(o.x.State.Wake(at), o.companionWake)
	if !wake.IsZero() {
		t := time.NewTimer(wake.Sub(o.r.store.Now()))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-o.signal:
	case <-due:
	case <-stop:
		return draining, true
	case <-o.lost:
		o.r.log.Warn("lost the lease: another worker continues the execution", "execution_id", o.x.ID)
		o.taken = true
		return m, false
	case <-o.r.storeCtx.Done():
		return m, false
	}
	return m, true
}

// leave ends the ownership. What only this owner knows is recorded: what companions remember, if another worker has taken the execution, and
// that the calls whose starts were not confirmed were not made.
func (o *owner) leave() {
	uncertain := o.x.uncertain // recording a rollback may drop them
	o.r.endAlone(o.x)
	o.release()
	if o.taken {
		o.x.lease = nil // what follows is done as a guest
		for _, c := range o.x.companions {
			c.lost(o)
		}
	}
	for _, c := range uncertain {
		if c.effect.Rank() >= schemas.EffectOnce.Rank() { // all others are repeated anyway
			o.r.owners.Go(func() { o.r.applyLate(o.x.ID, &request{decide: o.r.neverMade(c)}) })
		}
	}
	o.x.State = nil // work for children and calls that have not ended keep the owner
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	if o.r.owned[o.x.ID] == o {
		delete(o.r.owned, o.x.ID)
	}
	close(o.left)
}

// awaitLeft returns when the last owner of the execution in this process has left it: the log may lack what its calls stand on until then.
func (r *Engine) awaitLeft(id string) {
	r.mu.Lock()
	o := r.owned[id]
	r.mu.Unlock()
	if o == nil || !o.isClosed() {
		return
	}
	select {
	case <-o.left:
	case <-r.storeCtx.Done():
	}
}

// release ends the ownership: the inbox takes nothing more, and calls are cancelled unless their results may still be used.
func (o *owner) release() {
	o.mu.Lock()
	o.closed = true
	left, lease, gone := o.inbox, o.lease, o.gone
	o.inbox = nil
	o.mu.Unlock()
	answer(left, errReleased)
	o.r.unmark(o.x)
	o.x.DropCache()
	o.r.room.leave(&o.x.items)
	for _, q := range left {
		if q.call != nil {
			o.r.owners.Go(func() { o.r.applyLate(o.x.ID, q) })
		}
	}
	if lease != nil && lease != o.x.lease { // claimed again too late for this owner
		o.r.store.Release(lease, o.r.store.Now())
	}
	for _, f := range o.calls {
		if !f.once() || !gone && !f.outcomeOpen(o.x.State) { // the next owner can use the result of a `once` call
			f.cancel(schemas.Errorf(schemas.CodeCancelled, "the result of the call is not needed any more"))
		}
	}
}
