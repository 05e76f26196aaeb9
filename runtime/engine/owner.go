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

// adopt makes this process the owner of an execution and runs it in a goroutine of its own: one that was claimed, by its lease and when
// the claim was sent, or without one a new execution by what base claims. The caller has a slot, which the owner gives back.
func (r *Engine) adopt(x *execution, lease *store.Lease, sent time.Time, first []*request, base store.Batch) {
	o := &owner{
		r: r, x: x, lease: lease, fence: newFence(sent, r.limits.Lease), claimed: lease != nil, signal: records.NewSignal(), lost: make(chan struct{}), calls: map[int]*inFlight{},
	}
	x.owned(lease)
	r.mu.Lock()
	old := r.owned[x.ID]
	switch {
	case r.stopping:
		r.mu.Unlock()
		r.slots.Release(1)
		r.store.GiveBack(x.lease, records.Now())
		answer(first, schemas.Errorf(schemas.CodeUnavailable, "the runtime is stopping").WithHint("try again when it is back"))
		return
	case old != nil && lease == nil: // the same idempotency key is just making it
		r.mu.Unlock()
		r.slots.Release(1)
		answer(first, errReleased)
		return
	case old != nil && old.takeLease(lease, sent):
		r.mu.Unlock()
		r.slots.Release(1)
		return
	}
	r.owned[x.ID] = o
	r.owners.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.owners.Done()
		defer r.slots.Release(1)
		o.run(first, base)
	}()
}

// owner is who owns the execution in this process; nil: nobody.
func (r *Engine) owner(id string) *owner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[id]
}

// InMemory counts the executions that this process owns.
func (r *Engine) InMemory() int { return r.Load().InMemory }

// Owns reports whether this process owns the execution.
func (r *Engine) Owns(id string) bool { return r.owner(id) != nil }

// Load is what this process has taken on.
type Load struct {
	InMemory    int   // executions that it owns
	Capacity    int   // how many it may own
	Uncommitted int   // of InMemory, those whose last commit failed
	Trouble     error // why one of those failed; nil: none did
}

// Load reads the load of this process.
func (r *Engine) Load() Load {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := Load{InMemory: len(r.owned), Capacity: r.limits.MaxExecutions}
	for _, o := range r.owned {
		if err := o.lastError.Load(); err != nil {
			l.Trouble = *err
			l.Uncommitted++
		}
	}
	return l
}

// submit hands a request to the owner; false: it has let go.
func (o *owner) submit(q *request) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.inbox = append(o.inbox, q)
	o.signal.Set()
	return true
}

// markStale tells the owner that somebody else changed the execution.
func (o *owner) markStale() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stale = true
	o.signal.Set()
}

// takeLease gives the owner a new lease: the last one lapsed before it was renewed, and this process claimed the execution
// anew. false: the owner is going, or has gone.
func (o *owner) takeLease(l *store.Lease, sent time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.gone {
		return false
	}
	o.lease, o.fence, o.stale = l, newFence(sent, o.r.limits.Lease), true
	o.signal.Set()
	return true
}

// take empties the inbox.
func (o *owner) take() []*request {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stale {
		o.stale = false
		o.x.State, o.x.changed = nil, true
	}
	if o.lease != nil && o.lease != o.x.lease {
		o.x.lease, o.x.claimed, o.claimed = o.lease, true, true
	}
	requests := o.inbox
	o.inbox = nil
	for _, q := range requests {
		if f := q.call; f != nil && o.calls[f.unit] == f {
			delete(o.calls, f.unit)
		}
	}
	return requests
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

// leaseLost tells the owner that another worker may have the execution by now, unless it has a newer lease.
func (o *owner) leaseLost(l store.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.gone && o.lease != nil && o.lease.Token == l.Token {
		o.gone = true
		close(o.lost)
	}
}

// leaseGone lets the companions know that the lease is lost.
func (o *owner) leaseGone() {
	for _, c := range o.x.companions {
		c.lost(o)
	}
}

// answer ends the wait of those who asked; a nil err leaves each request its own.
func answer(requests []*request, err error) {
	for _, q := range requests {
		if err != nil {
			q.err = err
		}
		if q.done != nil {
			close(q.done)
		}
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
