package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/store"
)

// claimDue adopts due executions until ctx ends, as long as there is room for them and the queue is not paused. While it waits it reserves
// one slot; when an execution has come it takes as many others as are due and fit. It lets the queue know whether it found room left.
func (r *Engine) claimDue(ctx context.Context) {
	var delay, wait time.Duration
	for ctx.Err() == nil {
		open, end := r.queue.WhileOpen(ctx)
		if open == nil {
			return
		}
		if !r.slots.TryAcquire(1) {
			r.queue.SetEmpty(false)
			wait = 0
			if r.slots.Acquire(open, 1) != nil {
				end()
				continue
			}
		}
		room := 1
		for wait == 0 && room < records.ClaimMax && r.slots.TryAcquire(1) {
			room++
		}
		sent := time.Now()
		leases, err := r.store.Claim(open, store.ClaimRequest{
			Kind: journal.KindExecution, Owner: r.worker, Max: room, TTL: r.limits.Lease, Wait: wait,
		})
		interrupted := open.Err() != nil
		end()
		if wait = records.ClaimWait; err != nil || len(leases) == room {
			wait = 0
		}
		if err == nil {
			r.queue.SetEmpty(len(leases) < room)
		}
		if len(leases) > 0 && r.queue.Paused(ctx) != nil {
			r.store.ReleaseAll(leases) //nolint:contextcheck // claimed leases are returned even if ctx has ended
			leases = nil
		}
		leases, sent = r.renewClaimed(ctx, leases, sent)
		r.slots.Release(int64(room - len(leases)))
		for i := range leases {
			x := newExecution(r.journal.New(leases[i].Key.ID, journal.Head{}))
			r.adopt(x, &leases[i], sent, nil, store.Batch{}) //nolint:contextcheck // an owner outlives the claiming
		}
		if err == nil || interrupted {
			delay = 0
			continue
		}
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		r.log.Warn("claim executions: trying again", "error", err)
		delay = records.NextDelay(delay)
		records.Pause(ctx, delay)
	}
}

// renewals is how often a lease is renewed in its time to live. A renewal that failed is tried again sooner.
const renewals = 3

// renewLeases renews the leases of all owned executions, in one round trip each third of their time to live, until ctx ends.
func (r *Engine) renewLeases(ctx context.Context) {
	tick := time.NewTimer(r.limits.Lease / renewals)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		tick.Reset(r.limits.Lease / renewals)
		leases, owners := r.ownedLeases()
		if len(leases) == 0 {
			continue
		}
		r.readNudges(ctx)
		sent := time.Now()
		lost, err := r.renewOnce(ctx, leases)
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("renew leases: trying again", "error", err)
			}
			tick.Reset(r.limits.Lease / (5 * renewals))
			some, ok := errors.AsType[*store.Unrenewed](err)
			if !ok {
				continue
			}
			for _, l := range some.Leases {
				delete(owners, l.Key.ID)
			}
		}
		for _, l := range lost {
			if o := owners[l.Key.ID]; o != nil {
				delete(owners, l.Key.ID)
				o.leaseLost(l)
			}
		}
		for _, l := range leases {
			if o := owners[l.Key.ID]; o != nil {
				o.extendFence(l, sent)
			}
		}
	}
}

// renewOnce renews leases, and gives up in time for the next renewal. It returns the leases that are lost.
func (r *Engine) renewOnce(ctx context.Context, leases []store.Lease) ([]store.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, r.limits.Lease/renewals)
	defer cancel()
	return r.store.Renew(ctx, leases, r.limits.Lease)
}

// ownedLeases returns the leases of all owned executions, and their owners by id.
func (r *Engine) ownedLeases() ([]store.Lease, map[string]*owner) {
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
