package recordstest

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/store"
)

// ErrUnreachable is the error of a store that cannot be reached.
var ErrUnreachable = errors.New("no route to host")

// Outage is a store that cannot be reached between two times: calls fail at once, or with hang do not return before it is back or their
// ctx ends.
func Outage(s store.Store, hang bool, from, to time.Time) store.Store {
	return &outage{s, hang, from, to}
}

type outage struct {
	store.Store
	hang     bool
	from, to time.Time
}

func (o *outage) reach(ctx context.Context) error {
	if now := time.Now(); now.Before(o.from) || !now.Before(o.to) {
		return nil
	}
	if !o.hang {
		return ErrUnreachable
	}
	select {
	case <-time.After(time.Until(o.to)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// through makes a call unless the store is out of reach; a call that began before does not return while it is.
func through[T any](ctx context.Context, o *outage, call func() (T, error)) (T, error) {
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

func (o *outage) Get(ctx context.Context, k store.Key) (store.Record, error) {
	return through(ctx, o, func() (store.Record, error) { return o.Store.Get(ctx, k) })
}

func (o *outage) List(ctx context.Context, q store.Query) ([]store.Record, error) {
	return through(ctx, o, func() ([]store.Record, error) { return o.Store.List(ctx, q) })
}

func (o *outage) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	return through(ctx, o, func() (store.Committed, error) { return o.Store.Commit(ctx, b) })
}

func (o *outage) Log(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
	return through(ctx, o, func() ([]store.Entry, error) { return o.Store.Log(ctx, k, after, limit) })
}

// Claim waits for a short time only, so that no claim waits through an outage and is answered in it.
func (o *outage) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	r.Wait = min(r.Wait, 100*time.Millisecond)
	return through(ctx, o, func() ([]store.Lease, error) { return o.Store.Claim(ctx, r) })
}

func (o *outage) Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	return through(ctx, o, func() ([]store.Lease, error) { return o.Store.Renew(ctx, leases, ttl) })
}

func (o *outage) Places(ctx context.Context, keys []store.Key) ([]store.Place, error) {
	return through(ctx, o, func() ([]store.Place, error) { return o.Store.Places(ctx, keys) })
}
