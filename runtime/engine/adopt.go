package engine

import (
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// adopt makes this process the owner of an execution and runs it in a goroutine of its own. An execution that was claimed comes with its
// lease, and with the time at which the claim was sent; a new execution comes without one, and base claims it. The caller has acquired a
// slot, which is released with the execution.
func (r *Engine) adopt(x *execution, lease *store.Lease, sent time.Time, first []*request, base store.Batch) {
	o := &owner{
		r: r, x: x, lease: lease, fence: newFence(sent, r.limits.Lease), claimed: lease != nil,
		signal: records.NewSignal(), lost: make(chan struct{}), left: make(chan struct{}), calls: map[int]*inFlight{},
	}
	x.owned(lease)
	r.mu.Lock()
	old := r.owned[x.ID]
	switch {
	case r.stopping:
		r.mu.Unlock()
		r.endPlace(x)
		r.store.Release(x.lease, r.store.Now())
		answer(first, schemas.Errorf(schemas.CodeUnavailable, "the runtime is stopping").WithHint("try again when it is back"))
		return
	case old != nil && lease == nil && !old.isClosed(): // another request with the same idempotency key is creating it
		r.mu.Unlock()
		r.endPlace(x)
		answer(first, errReleased)
		return
	case old != nil && old.takeLease(lease, sent):
		r.mu.Unlock()
		r.endPlace(x)
		answer(first, errReleased)
		return
	}
	r.owned[x.ID] = o
	r.owners.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.owners.Done()
		defer r.endPlace(x)
		if old != nil { // what it knows comes first
			select {
			case <-old.left:
			case <-r.storeCtx.Done():
			}
		}
		o.run(first, base)
	}()
}
