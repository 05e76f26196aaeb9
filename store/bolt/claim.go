package bolt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/store"
)

// Claim leases due keys; see store.Store. Waiting claims are served first come, first served.
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	if err := r.Valid(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, store.Ended(ctx)
	}
	if err := s.file.usable(); err != nil {
		return nil, err
	}
	got, w, err := s.queues.claim(r)
	if w == nil {
		return got, err
	}
	timer := time.NewTimer(r.Wait)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	if s.queues.remove(w) && ctx.Err() != nil {
		return nil, store.Ended(ctx)
	}
	return w.leases, w.err
}

// claim returns the leases, or the waiter that will get them.
func (qs *queues) claim(r store.ClaimRequest) ([]store.Lease, *waiter, error) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.closed {
		return nil, nil, store.ErrClosed
	}
	now := qs.clock.Now()
	q := qs.queue(r.Kind)
	q.byDay(r.Day)
	qs.expireLeases(now)
	if err := qs.load(q, now); err != nil {
		return nil, nil, err
	}
	var got []store.Lease
	if len(q.waiters) == 0 {
		got = qs.grantReady(q, &r, now)
	}
	if len(got) > 0 || r.Wait <= 0 {
		qs.serveWaiters(now)
		return got, nil, nil
	}
	w := &waiter{request: r, done: make(chan struct{})}
	q.waiters = append(q.waiters, w)
	qs.waiting++
	qs.serveWaiters(now)
	return nil, w, nil
}

// remove removes a waiter; false: it was answered before.
func (qs *queues) remove(w *waiter) bool {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.kinds[w.request.Kind]
	at := slices.Index(q.waiters, w)
	if at < 0 {
		return false
	}
	q.waiters = slices.Delete(q.waiters, at, at+1)
	qs.waiting--
	return true
}

// Renew extends leases; see store.Store. An expired lease is lost even if its key was not leased again.
func (s *Store) Renew(ctx context.Context, leases []store.Lease, ttl time.Duration) (lost []store.Lease, err error) {
	if ttl <= 0 {
		return nil, fmt.Errorf("%w: renew for %v", store.ErrInvalid, ttl)
	}
	if ctx.Err() != nil {
		return nil, store.Ended(ctx)
	}
	if err := s.file.usable(); err != nil {
		return nil, err
	}
	qs := &s.queues
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.closed {
		return nil, store.ErrClosed
	}
	now := s.clock.Now()
	for _, l := range leases {
		if h := qs.leases.find(l, now); h != nil {
			qs.leases.extend(h, now.Add(ttl))
		} else {
			lost = append(lost, l)
		}
	}
	return lost, nil
}

// runClock serves waiting claims when a wake becomes due or a lease expires; it returns when stop closes. Without waiting
// claims it sleeps.
func (qs *queues) runClock(stop <-chan struct{}) {
	timer := time.NewTimer(maxSleep)
	defer timer.Stop()
	for {
		if wait, ok := qs.tick(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-stop:
			return
		case <-qs.retick:
		case <-timer.C:
		}
	}
}

// tick serves the waiting claims if it is time, and returns how long until the next tick; not ok: no claim waits.
func (qs *queues) tick() (wait time.Duration, ok bool) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	now := qs.clock.Now()
	if !qs.nextTick.After(now) {
		qs.nextTick = time.Time{}
		if qs.waiting > 0 {
			qs.expireLeases(now)
			qs.serveWaiters(now)
		}
	}
	if qs.nextTick.IsZero() {
		return 0, false
	}
	return qs.nextTick.Sub(now), true
}

// close answers every waiting claim with ErrClosed.
func (qs *queues) close() {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.closed = true
	for _, q := range qs.kinds {
		for len(q.waiters) > 0 {
			qs.answer(q, nil, store.ErrClosed)
		}
	}
}
