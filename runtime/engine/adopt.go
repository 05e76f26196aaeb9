package engine

import (
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

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
