package engine

import (
	"context"
	"slices"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A fence keeps a process that may have lost its lease from calling anything: a stopped process that continues, or one that the store
// does not answer. A lease is proven from the moment at which the request that won or renewed it was sent, for its time to
// live less a margin for clocks that run unequally. The version of the head fences what is written; this fences what is called.
//
// Three places ask: the owner before it decides on starts, whoever makes the call once its start is durable, and the realm
// once it is connected, with nothing but the write to come. A process that is stopped just there, behind the last question
// and before the write, for longer than the margin, still calls when it continues. No clock can close that gap. What it comes to:
// a call that may be repeated runs twice, which its effect allows. Of a `once` call the start is in the log, so the new owner
// has held the node as unknown, or verifies it, and does not call again; the result of the late call is evidence for that
// node, see machine.State.Undecided.
type fence struct {
	until time.Time // with both clocks; zero: never proven
}

// fenceMargin is the part of a lease's time to live that is not trusted: one in fenceMargin.
const fenceMargin = 10

// newFence is the fence of a lease that lives for ttl from some moment behind sent.
func newFence(sent time.Time, ttl time.Duration) fence {
	return fence{until: sent.Add(ttl - ttl/fenceMargin)}
}

// holds tells whether the lease is alive for sure. The wall clock is asked beside the monotonic one, which on some systems
// stands still while the machine sleeps; that it jumps ahead costs a pause until the next renewal.
func (f fence) holds(now time.Time) bool {
	return now.Before(f.until) && now.Round(0).Before(f.until.Round(0))
}

// leaseHolds tells whether the owner may start calls.
func (o *owner) leaseHolds() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.gone && !o.closed && o.fence.holds(time.Now())
}

// extendFence prolongs the owner's fence by a renewal of the lease that was sent at the time.
func (o *owner) extendFence(l store.Lease, sent time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone || o.lease == nil || o.lease.Token != l.Token {
		return
	}
	lapsed := !o.fence.holds(time.Now())
	o.fence = newFence(sent, o.r.limits.Lease)
	if lapsed {
		o.signal.Set() // what it did not dare to start
	}
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

// leaseLost tells the owner that another worker may have the execution by now, unless it has a newer lease.
func (o *owner) leaseLost(l store.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.gone && o.lease != nil && o.lease.Token == l.Token {
		o.gone = true
		close(o.lost)
	}
}

// checkLease is asked by whoever makes a call of the owner, at the last moment.
func (o *owner) checkLease() error {
	if o.leaseHolds() {
		return nil
	}
	o.r.Counters.Fenced.Add(1)
	return schemas.Errorf(schemas.CodeCancelled, "the call did not leave: the lease of its execution may have lapsed").WithOutcome(schemas.NotRun)
}

// renewClaimed renews leases that came by a claim which waited so long that they might lapse before anybody looks after them. It
// returns those that are held, and the moment from which they are proven.
func (r *Engine) renewClaimed(ctx context.Context, leases []store.Lease, sent time.Time) ([]store.Lease, time.Time) {
	if len(leases) == 0 || time.Since(sent) < r.limits.Lease/renewals {
		return leases, sent
	}
	again := time.Now()
	lost, err := r.renewOnce(ctx, leases)
	if err != nil {
		r.log.Debug("renew claimed leases: the next renewal will do", "error", err)
		return leases, sent
	}
	return slices.DeleteFunc(leases, func(l store.Lease) bool {
		return slices.ContainsFunc(lost, func(gone store.Lease) bool { return gone.Key == l.Key })
	}), again
}
