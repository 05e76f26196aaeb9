package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/store"
)

// claimWait is how long one Claim waits for work.
const claimWait = 30 * time.Second

// claimMax is how many executions one Claim takes at most.
const claimMax = 32

// claim adopts due executions as long as there is room for them. While it waits it keeps room for one; when that one has
// come it takes what else is due.
func (r *Runtime) claim(ctx context.Context) {
	var delay time.Duration
	wait := claimWait
	for ctx.Err() == nil {
		if r.slots.Acquire(ctx, 1) != nil {
			return
		}
		room := 1
		for wait == 0 && room < claimMax && r.slots.TryAcquire(1) {
			room++
		}
		leases, err := r.store.Claim(ctx, store.ClaimRequest{
			Kind: kindExecution, Owner: r.worker, Max: room, TTL: r.limits.Lease, Wait: wait,
		})
		r.slots.Release(int64(room - len(leases)))
		for i := range leases {
			r.adopt(r.newExecution(leases[i].Key.ID, head{}, nil), &leases[i], nil, store.Batch{}) //nolint:contextcheck // an owner ends by itself, behind the claiming
		}
		wait = claimWait
		if len(leases) == room {
			wait = 0
		}
		if err == nil {
			delay = 0
			continue
		}
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		r.log.Warn("claim failed: trying again", "error", err)
		delay = min(max(2*delay, 100*time.Millisecond), maxDelay)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

// renew keeps the leases of everything owned, in one trip each third of their life.
func (r *Runtime) renew(ctx context.Context) {
	tick := time.NewTicker(r.limits.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		leases, owners := r.leases()
		if len(leases) == 0 {
			continue
		}
		lost, err := r.store.Renew(ctx, leases, r.limits.Lease)
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("renew leases", "error", err)
			}
			continue
		}
		for _, l := range lost {
			if o := owners[l.Key.ID]; o != nil {
				o.loseLease(l)
			}
		}
	}
}

func (r *Runtime) leases() ([]store.Lease, map[string]*owner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	leases := make([]store.Lease, 0, len(r.owned))
	owners := make(map[string]*owner, len(r.owned))
	for id, o := range r.owned {
		o.mu.Lock()
		if o.lease != nil && !o.closed && !o.gone {
			leases = append(leases, *o.lease)
			owners[id] = o
		}
		o.mu.Unlock()
	}
	return leases, owners
}
