package recordstest

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/store"
)

// ErrUnreachable is the error of a store that cannot be reached.
var ErrUnreachable = errors.New("no route to host")

// Outage is a store that cannot be reached between two times: calls fail at once, or with Hang do not return before it is back or
// their ctx ends.
type Outage struct {
	store.Store
	Hang     bool
	From, To time.Time
}

func (o *Outage) reach(ctx context.Context) error {
	if now := time.Now(); now.Before(o.From) || !now.Before(o.To) {
		return nil
	}
	if !o.Hang {
		return ErrUnreachable
	}
	select {
	case <-time.After(time.Until(o.To)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// through makes a call unless the store is out of reach; a call that began before does not return while it is.
func through[T any](ctx context.Context, o *Outage, call func() (T, error)) (T, error) {
	var none T
	if err := o.reach(ctx); err != nil {
		return none, err
	}
	out, err := call()
	if lost := o.reach(ctx); lost != nil {
		return none, lost
	}
	return out, err
}

func (o *Outage) Get(ctx context.Context, k store.Key) (store.Record, error) {
	return through(ctx, o, func() (store.Record, error) { return o.Store.Get(ctx, k) })
}

func (o *Outage) List(ctx context.Context, q store.Query) ([]store.Record, error) {
	return through(ctx, o, func() ([]store.Record, error) { return o.Store.List(ctx, q) })
}

func (o *Outage) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	return through(ctx, o, func() (store.Committed, error) { return o.Store.Commit(ctx, b) })
}

func (o *Outage) Log(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
	return through(ctx, o, func() ([]store.Entry, error) { return o.Store.Log(ctx, k, after, limit) })
}

// Claim waits for a short time only, so that no claim waits through an outage and is answered in it.
func (o *Outage) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	r.Wait = min(r.Wait, 100*time.Millisecond)
	return through(ctx, o, func() ([]store.Lease, error) { return o.Store.Claim(ctx, r) })
}

func (o *Outage) Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	return through(ctx, o, func() ([]store.Lease, error) { return o.Store.Renew(ctx, leases, ttl) })
}

func (o *Outage) Places(ctx context.Context, keys []store.Key) ([]store.Place, error) {
	return through(ctx, o, func() ([]store.Place, error) { return o.Store.Places(ctx, keys) })
}
