package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// Replicas is one store over several handles on the same data: each call goes to a random handle, with a fixed seed. So Run tests
// that what one replica wrote is visible to all at once. Close closes every handle.
func Replicas(handles ...store.Store) store.Store {
	return &replicas{handles: handles, random: rand.New(rand.NewPCG(1, 1))}
}

type replicas struct {
	handles []store.Store
	mu      sync.Mutex
	random  *rand.Rand
}

func (r *replicas) any() store.Store {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.handles[r.random.IntN(len(r.handles))]
}

func (r *replicas) Get(ctx context.Context, key store.Key) (store.Record, error) {
	return r.any().Get(ctx, key)
}

func (r *replicas) List(ctx context.Context, q store.Query) ([]store.Record, error) {
	return r.any().List(ctx, q)
}

func (r *replicas) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	return r.any().Commit(ctx, b)
}

func (r *replicas) Log(ctx context.Context, key store.Key, after int64, limit int) ([]store.Entry, error) {
	return r.any().Log(ctx, key, after, limit)
}

func (r *replicas) Claim(ctx context.Context, q store.ClaimRequest) ([]store.Lease, error) {
	return r.any().Claim(ctx, q)
}

func (r *replicas) Renew(ctx context.Context, ls []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	return r.any().Renew(ctx, ls, ttl)
}

func (r *replicas) Queue(ctx context.Context, kind string) (store.Queue, error) {
	return r.any().Queue(ctx, kind)
}

func (r *replicas) Places(ctx context.Context, keys []store.Key) ([]store.Place, error) {
	return r.any().Places(ctx, keys)
}

func (r *replicas) Take(ctx context.Context, l store.Limit) (time.Duration, error) {
	return r.any().Take(ctx, l)
}

func (r *replicas) Watch(ctx context.Context) (<-chan store.Key, error) { return r.any().Watch(ctx) }

func (r *replicas) Close() error {
	var all []error
	for _, s := range r.handles {
		all = append(all, s.Close())
	}
	return errors.Join(all...)
}
