package records

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/store"
)

// handlers is how many keys of a kind one process sees to at once.
const dueWorkers = 4

// HandleDue has see look after every key of a kind that is due, until ctx ends. Unlike executions these need no room and no
// turn, and no pause holds them. Where see does not release a lease it lapses, and somebody tries again.
func (s *Store) HandleDue(ctx context.Context, kind string, handle func(context.Context, *store.Lease)) {
	var delay time.Duration
	for ctx.Err() == nil {
		leases, err := s.Claim(ctx, store.ClaimRequest{Kind: kind, Owner: s.worker, Max: ClaimMax, TTL: s.lease, Wait: ClaimWait})
		if ctx.Err() != nil {
			s.ReturnAll(leases) //nolint:contextcheck // what was taken goes back whatever ends
			return
		}
		var g errgroup.Group
		g.SetLimit(dueWorkers)
		for i := range leases {
			g.Go(func() error { handle(ctx, &leases[i]); return nil })
		}
		_ = g.Wait() // none of them has an error
		if err == nil {
			delay = 0
			continue
		}
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		s.log.Warn("claim what is due: trying again", "kind", kind, "error", err)
		delay = min(max(2*delay, 100*time.Millisecond), MaxDelay)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

// ClaimWait is how long one Claim waits for work.
const ClaimWait = 30 * time.Second

// ClaimMax is how many executions one Claim takes at most.
const ClaimMax = 32
