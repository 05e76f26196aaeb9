package records

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/store"
)

// dueWorkers is how many keys of a kind one process handles at once.
const dueWorkers = 4

// HandleDue claims the keys of a kind that are due and calls handle for each, until ctx ends. Unlike executions these keys do not wait
// in the queue, and a pause does not stop them. If handle does not release the lease, it expires, and a replica claims the key again.
func (s *Store) HandleDue(ctx context.Context, kind string, handle func(context.Context, *store.Lease)) {
	s.handleDue(ctx, store.ClaimRequest{Kind: kind}, handle)
}

// HandleDueByDay is HandleDue of keys that are due by the time of [Store.Day].
func (s *Store) HandleDueByDay(ctx context.Context, kind string, handle func(context.Context, *store.Lease)) {
	s.handleDue(ctx, store.ClaimRequest{Kind: kind, Day: true}, handle)
}

func (s *Store) handleDue(ctx context.Context, r store.ClaimRequest, handle func(context.Context, *store.Lease)) {
	r.Owner, r.Max, r.TTL, r.Wait = s.worker, ClaimMax, s.lease, ClaimWait
	var delay time.Duration
	for ctx.Err() == nil {
		leases, err := s.Claim(ctx, r)
		if ctx.Err() != nil {
			s.ReleaseAll(leases) //nolint:contextcheck // leases are released whatever ended ctx
			return
		}
		var g errgroup.Group
		g.SetLimit(dueWorkers)
		for i := range leases {
			leases[i].Died = false // what is done with such keys is too little to kill a process
			g.Go(func() error { handle(ctx, &leases[i]); return nil })
		}
		_ = g.Wait() // the workers return no errors
		if err == nil {
			delay = 0
			continue
		}
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		s.log.Warn("claim keys that are due: trying again", "kind", r.Kind, "error", err)
		delay = NextDelay(delay)
		Pause(ctx, delay)
	}
}

// ClaimWait is how long one Claim waits for a key that is due.
const ClaimWait = 30 * time.Second

// ClaimMax is how many keys one Claim takes at most.
const ClaimMax = 32
