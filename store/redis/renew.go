package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/store"
)

// renewAtOnce is how many leases one script extends; more are further calls of the same pipeline.
const renewAtOnce = 1000

// Renew extends leases; see store.Store. All leases of a shard are sent in one pipeline, to all shards concurrently. A shard
// that does not answer does not affect the others.
func (s *Store) Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) (lost []store.Lease, err error) {
	if ttl <= 0 {
		return nil, fmt.Errorf("%w: renew for %v", store.ErrInvalid, ttl)
	}
	for _, l := range leases {
		if err := l.Key.Valid(); err != nil {
			return nil, err
		}
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	type part struct {
		call *call
		at   []int // indexes in leases
	}
	var parts []part
	for sh, at := range s.byShard(len(leases), func(i int) store.Key { return leases[i].Key }) {
		for chunk := range slices.Chunk(at, renewAtOnce) {
			args := []any{micros(ttl)}
			for _, i := range chunk {
				args = append(args, leases[i].Key.Kind, leases[i].Key.ID, leases[i].Token)
			}
			c := run(renewScript, []string{sh.base}, args...).again()
			if err := s.add(sh, &sh.requests, c); err != nil {
				return nil, err
			}
			parts = append(parts, part{c, chunk})
		}
	}
	var at []int
	missed := &store.Unrenewed{}
	for _, p := range parts {
		if err := s.await(ctx, p.call); err != nil {
			missed.Err = err
			for _, i := range p.at {
				missed.Leases = append(missed.Leases, leases[i])
			}
			continue
		}
		list, _ := p.call.reply.([]any)
		for _, v := range list {
			n, ok := v.(int64)
			if !ok || n < 0 || n >= int64(len(p.at)) {
				return nil, errReply
			}
			at = append(at, p.at[n])
		}
	}
	slices.Sort(at)
	for _, i := range at {
		lost = append(lost, leases[i])
	}
	for _, l := range leases { // a lease may expire earlier now
		s.claims.hint(l.Key.Kind, s.shardOf(l.Key.Partition()).number, time.Now().Add(ttl))
	}
	switch len(missed.Leases) {
	case 0:
		return lost, nil
	case len(leases):
		return nil, missed.Err
	}
	return lost, missed
}

// byShard groups the indexes of n keys by shard.
func (s *Store) byShard(n int, key func(int) store.Key) map[*shard][]int {
	groups := map[*shard][]int{}
	for i := range n {
		sh := s.shardOf(key(i).Partition())
		groups[sh] = append(groups[sh], i)
	}
	return groups
}
