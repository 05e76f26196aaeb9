package engine

import (
	"context"
	"slices"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A fence keeps a process whose lease may have expired from calling anything: a stopped process that continues, or one that the store does
// not answer. It holds from the moment at which the request that claimed or renewed the lease was sent, for the lease's time to live less
// a margin for clocks that run at different speeds. The version of the head fences what is written; this fences what is called.
//
// It is checked in three places: by the owner before it decides on starts, by the goroutine of the call once its start is durable, and by
// the realm once it is connected and only the write is left. A process that is stopped between the last check and the write, for longer
// than the margin, still makes the call when it continues. No clock can close that gap. Its consequences: a call that may be repeated runs
// twice, which its effect allows. The start of a `once` call is in the log, so the new owner has held the node as unknown, or verifies it,
// and does not make the call again; the result of the late call is evidence for that node, see machine.State.OutcomeOpen.
type fence struct {
	until time.Time // by both clocks; zero: the fence never held
}

// fenceMargin is the part of a lease's time to live that is not relied on: one in fenceMargin.
const fenceMargin = 10

// newFence returns the fence of a lease that was claimed or renewed, for ttl, by a request sent at the given time.
func newFence(sent time.Time, ttl time.Duration) fence {
	return fence{until: sent.Add(ttl - ttl/fenceMargin)}
}

// holds reports whether the lease is certainly alive. It checks the wall clock beside the monotonic one, which on some systems stops while
// the machine sleeps. A wall clock that jumps ahead costs a pause until the next renewal.
func (f fence) holds(now time.Time) bool {
	return now.Before(f.until) && now.Round(0).Before(f.until.Round(0))
}

// leaseHolds reports whether the owner may start calls.
func (o *owner) leaseHolds() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.gone && !o.closed && o.fence.holds(time.Now())
}

// checkLease is called by the calls of the owner at the last moment before they are sent.
func (o *owner) checkLease() error {
	if o.leaseHolds() {
		return nil
	}
	o.r.Counters.Fenced.Add(1)
	return schemas.Errorf(schemas.CodeCancelled, "call not sent: the execution's lease may have expired").WithOutcome(schemas.NotRun)
}

// extendFence extends the fence after a renewal of the lease that was sent at the given time.
func (o *owner) extendFence(l store.Lease, sent time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone || o.lease == nil || o.lease.Token != l.Token {
		return
	}
	held := o.fence.holds(time.Now())
	o.fence = newFence(sent, o.r.limits.Lease)
	if !held {
		o.signal.Set() // there may be calls that were not started
	}
}

// takeLease gives the owner a new lease: the old one expired before it was renewed, and this process has claimed the execution again. It
// returns false if the owner has lost or released the execution.
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

// leaseLost notes that another worker may have the execution, unless the owner has a newer lease.
func (o *owner) leaseLost(l store.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.gone && o.lease != nil && o.lease.Token == l.Token {
		o.gone = true
		close(o.lost)
	}
}

// renewClaimed renews leases just claimed if the claim took so long that they might expire before their first renewal. It returns those
// that are held, and the time from which they are.
func (r *Engine) renewClaimed(ctx context.Context, leases []store.Lease, sent time.Time) ([]store.Lease, time.Time) {
	if len(leases) == 0 || time.Since(sent) < r.limits.Lease/renewals {
		return leases, sent
	}
	again := time.Now()
	lost, err := r.renewOnce(ctx, leases)
	if err != nil {
		r.log.Debug("renew claimed leases: the next renewal tries again", "error", err)
		return leases, sent
	}
	return slices.DeleteFunc(leases, func(l store.Lease) bool {
		return slices.ContainsFunc(lost, func(gone store.Lease) bool { return gone.Key == l.Key })
	}), again
}
