package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/runplane/runplane/store"
)

const leaseKeys = 5

func leaseKey(partition string, i int) store.Key {
	return key("lease", fmt.Sprintf("%s/%d", partition, i))
}

// holders is the state of the lease model: the holder of each key, and the last one if it did not release the key. All keys are always
// due, and a lease expires only where a call has it expire.
type holders [leaseKeys]struct {
	client int
	token  int64 // 0: not leased

	left      bool  // the last holder did not release it
	leftBy    int   // by which client; -1: by an earlier one than the one that has released it
	leftToken int64 // of its lease
}

// lease gives a key to a client, and reports whether the answer is right about the last holder.
func (h *holders) lease(g grant, client int) bool {
	k := &h[g.key]
	died := k.left && k.leftBy != client
	k.client, k.token, k.left = client, g.token, false
	return g.died == died
}

// end ends the lease of a key; left: it was not released.
func (h *holders) end(key int, left bool, by int) {
	k := &h[key]
	k.left, k.leftBy, k.leftToken = left, by, k.token
	if by < 0 {
		k.leftToken = 0
	}
	k.client, k.token = 0, 0
}

// The inputs of the lease model.
type (
	claimInput struct{ client, most int } // any due keys
	grabInput  struct{ client, key int }  // one key, in a batch
	renewInput struct {
		key   int
		token int64
	}
	expireInput  renewInput // the lease ends now
	releaseInput struct {   // makes the key due again
		renewInput
		died bool // is passed on
	}
)

// grant is one lease that was given.
type grant struct {
	key   int
	token int64
	died  bool
}

// leaseModel: a key has one holder at a time, a claim gets every due key up to its maximum, and a renewal returns whether the
// lease is held.
func leaseModel() porcupine.NondeterministicModel {
	return porcupine.NondeterministicModel{
		Init: func() []any { return []any{holders{}} },
		Step: func(state, input, output any) []any {
			h := state.(holders)
			switch in := input.(type) {
			case claimInput:
				free := 0
				for _, holder := range h {
					if holder.token == 0 {
						free++
					}
				}
				grants := output.([]grant)
				if len(grants) != min(free, in.most) {
					return nil
				}
				for _, g := range grants {
					if h[g.key].token != 0 || !h.lease(g, in.client) {
						return nil
					}
				}
			case grabInput:
				g := output.(grant)
				refused := h[in.key].token != 0 && h[in.key].client != in.client
				if refused != (g.token == 0) {
					return nil
				}
				if !refused && !h.lease(g, in.client) {
					return nil
				}
			case renewInput:
				if held := output.(bool); held != (h[in.key].token == in.token) {
					return nil
				}
			case expireInput:
				held := h[in.key].token == in.token
				if output.(bool) != held {
					return nil
				}
				if held {
					h.end(in.key, true, h[in.key].client)
				}
			case releaseInput:
				switch k := &h[in.key]; {
				case k.token == in.token:
					h.end(in.key, in.died, -1)
				case k.token == 0 && k.left && k.leftToken == in.token:
					k.left, k.leftBy, k.leftToken = in.died, -1, 0
				}
			}
			return []any{h}
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// leaseCalls claims, renews, has leases expire and releases. A client does so with any lease that was ever granted, even if it is no
// longer held.
func leaseCalls(s store.Store, partition string) calling {
	var mu sync.Mutex
	var given []store.Lease
	index := func(k store.Key) (i int) {
		for leaseKey(partition, i) != k {
			i++
		}
		return i
	}
	give := func(l store.Lease) grant {
		mu.Lock()
		defer mu.Unlock()
		given = append(given, l)
		return grant{index(l.Key), l.Token, l.Died}
	}
	return func(r *rand.Rand, client int) (any, func(context.Context) (any, error)) {
		mu.Lock()
		defer mu.Unlock()
		who := fmt.Sprint("client", client)
		what := r.IntN(10)
		if len(given) == 0 {
			what = 0
		}
		switch {
		case what < 3:
			in := claimInput{client, 1 + r.IntN(2)}
			return in, func(ctx context.Context) (any, error) {
				ls, err := s.Claim(ctx, store.ClaimRequest{Kind: "lease", Owner: who, Max: in.most, TTL: time.Hour})
				grants := []grant{}
				for _, l := range ls {
					grants = append(grants, give(l))
				}
				return grants, err
			}
		case what < 4:
			in := grabInput{client, r.IntN(leaseKeys)}
			return in, func(ctx context.Context) (any, error) {
				c, err := s.Commit(ctx, store.Batch{Claim: &store.Claim{Key: leaseKey(partition, in.key), Owner: who, TTL: time.Hour}})
				if errors.Is(err, store.ErrConflict) {
					return grant{}, nil
				}
				if err != nil {
					return nil, err
				}
				return give(*c.Lease), nil
			}
		}
		// The latest ones are probably still held.
		l := given[max(0, len(given)-1-r.IntN(2*leaseKeys))]
		if what < 5 {
			return expireInput{index(l.Key), l.Token}, func(ctx context.Context) (any, error) {
				lost, err := s.Renew(ctx, []store.Lease{l}, time.Nanosecond)
				return len(lost) == 0, err
			}
		}
		if what < 7 {
			return renewInput{index(l.Key), l.Token}, func(ctx context.Context) (any, error) {
				lost, err := s.Renew(ctx, []store.Lease{l}, time.Hour)
				return len(lost) == 0, err
			}
		}
		l.Died = l.Died && r.IntN(2) == 0
		return releaseInput{renewInput{index(l.Key), l.Token}, l.Died}, func(ctx context.Context) (any, error) {
			_, err := s.Commit(ctx, store.Batch{Release: &l, Wakes: []store.Wake{{Key: l.Key, At: time.Now().Add(-time.Hour)}}})
			return nil, err
		}
	}
}
