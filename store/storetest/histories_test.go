package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// The models are applied to stores that violate the contract; each violation must be found.
func TestHistoriesFindBrokenStores(t *testing.T) {
	for _, tt := range []struct {
		name  string
		model porcupine.NondeterministicModel
		calls func(store.Store, string) calling
		spoil func(store.Store) store.Store
		right bool
	}{
		{"a good store of records", registerModel(), registerCalls, func(s store.Store) store.Store { return s }, true},
		{"a good store of logs", logModel(), logCalls, func(s store.Store) store.Store { return s }, true},
		{"a good store of leases", leaseModel(), leaseCalls, func(s store.Store) store.Store { return s }, true},
		{"versions are ignored", registerModel(), registerCalls, func(s store.Store) store.Store { return careless{s} }, false},
		{"reads come from a cache", registerModel(), registerCalls, func(s store.Store) store.Store { return &stale{Store: s, seen: map[store.Key]store.Record{}} }, false},
		{"appends are sent twice", logModel(), logCalls, func(s store.Store) store.Store { return twice{s} }, false},
		{"acknowledged appends are dropped", logModel(), logCalls, func(s store.Store) store.Store { return &forgetful{Store: s} }, false},
		{"a lease is granted twice", leaseModel(), leaseCalls, func(s store.Store) store.Store { return generous{s} }, false},
		{"no lease knows that the last one died", leaseModel(), leaseCalls, func(s store.Store) store.Store { return knowing{s, false} }, false},
		{"every lease says that the last one died", leaseModel(), leaseCalls, func(s store.Store) store.Store { return knowing{s, true} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inner, err := bolt.Open(bolt.Options{Mem: true})
			if err != nil {
				t.Fatal(err)
			}
			defer inner.Close()
			for i := range leaseKeys {
				if _, err := inner.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: leaseKey("h", i), At: time.Now()}}}); err != nil {
					t.Fatal(err)
				}
			}
			h := history{start: time.Now()}
			h.observe(t.Context(), 1, tt.calls(tt.spoil(inner), "h"), 20)
			if err := errors.Join(h.errs...); err != nil {
				t.Fatal(err)
			}
			want := map[bool]porcupine.CheckResult{true: porcupine.Ok, false: porcupine.Illegal}[tt.right]
			if got := porcupine.CheckOperationsTimeout(tt.model.ToModel(), h.calls, deadline); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

type careless struct{ store.Store }

func (c careless) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	for i := range b.Puts {
		b.Puts[i].Version = store.AnyVersion
	}
	return c.Store.Commit(ctx, b)
}

// mu guards the state of the broken stores.
var mu sync.Mutex

type stale struct {
	store.Store
	seen map[store.Key]store.Record
}

func (s *stale) Get(ctx context.Context, k store.Key) (store.Record, error) {
	r, err := s.Store.Get(ctx, k)
	mu.Lock()
	defer mu.Unlock()
	if old, ok := s.seen[k]; ok && old.Version > 0 {
		return old, nil
	}
	s.seen[k] = r
	return r, err
}

type twice struct{ store.Store }

func (s twice) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if c, err := s.Store.Commit(ctx, b); err != nil {
		return c, err
	}
	return s.Store.Commit(ctx, b)
}

type forgetful struct {
	store.Store
	n int
}

func (s *forgetful) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	mu.Lock()
	s.n++
	drop := s.n == 10
	mu.Unlock()
	if drop {
		return store.Committed{Seqs: make([]int64, len(b.Appends))}, nil
	}
	return s.Store.Commit(ctx, b)
}

type generous struct{ store.Store }

func (s generous) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	ls, err := s.Store.Claim(ctx, r)
	for i := range ls { // all leases are of the first key
		ls[i].Key = leaseKey("h", 0)
	}
	return ls, err
}

// knowing says of each lease of a claim that the last one died, or that it did not.
type knowing struct {
	store.Store
	died bool
}

func (k knowing) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	ls, err := k.Store.Claim(ctx, r)
	for i := range ls {
		ls[i].Died = k.died
	}
	return ls, err
}
