package runtime

import (
	"context"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/store"
)

// hooks is a store whose calls a test may replace; a nil hook passes the call on.
type hooks struct {
	store.Store
	passes bool // commit gets the commits of rounds too, which come at any time
	commit func(ctx context.Context, b store.Batch) (store.Committed, error)
	claim  func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error)
	renew  func(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error)
	watch  func(ctx context.Context) (<-chan store.Key, error)
	get    func(ctx context.Context, k store.Key) (store.Record, error)
	log    func(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error)
	queue  func(ctx context.Context, kind string) (store.Queue, error)
}

func (h *hooks) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if h.get != nil {
		return h.get(ctx, k)
	}
	return h.Store.Get(ctx, k)
}

func (h *hooks) Log(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
	if h.log != nil {
		return h.log(ctx, k, after, limit)
	}
	return h.Store.Log(ctx, k, after, limit)
}

func (h *hooks) Queue(ctx context.Context, kind string) (store.Queue, error) {
	if h.queue != nil {
		return h.queue(ctx, kind)
	}
	return h.Store.Queue(ctx, kind)
}

func (h *hooks) Watch(ctx context.Context) (<-chan store.Key, error) {
	if h.watch != nil {
		return h.watch(ctx)
	}
	return h.Store.Watch(ctx)
}

func (h *hooks) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if own := len(b.Puts) == 1 && b.Puts[0].Key.Kind == records.KindReconcile; h.commit != nil && (!own || h.passes) {
		return h.commit(ctx, b)
	}
	return h.Store.Commit(ctx, b)
}

func (h *hooks) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	if h.claim != nil {
		return h.claim(ctx, r)
	}
	return h.Store.Claim(ctx, r)
}

func (h *hooks) Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	if h.renew != nil {
		return h.renew(ctx, leases, ttl)
	}
	return h.Store.Renew(ctx, leases, ttl)
}

// withoutWatch is a store whose watch reports nothing.
func withoutWatch(s store.Store) store.Store {
	return &hooks{Store: s, watch: func(ctx context.Context) (<-chan store.Key, error) {
		keys := make(chan store.Key)
		context.AfterFunc(ctx, func() { close(keys) })
		return keys, nil
	}}
}
