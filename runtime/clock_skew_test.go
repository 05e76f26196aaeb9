package runtime

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// clockAhead is a store whose clock is ahead of the runtime's: a key is due earlier than its wake says. It counts the keys that were
// claimed.
func clockAhead(s store.Store, by time.Duration, claims *atomic.Int64) store.Store {
	return &hooks{Store: s,
		commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			b.Wakes = slices.Clone(b.Wakes)
			for i := range b.Wakes {
				if at := &b.Wakes[i].At; !at.IsZero() {
					*at = at.Add(-by)
				}
			}
			return s.Commit(ctx, b)
		},
		claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
			leases, err := s.Claim(ctx, r)
			claims.Add(int64(len(leases)))
			return leases, err
		},
	}
}

// A key that the store gives out early is handled in time, once, and is not claimed again and again until then.
func TestAStoreWhoseClockIsAhead(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, p *process) (check func())
		most int64
	}{
		{"a timer", func(t *testing.T, p *process) func() {
			id := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"10m"},{"id":"n","capability":"r.once","depends_on":["w"]}]}`)
			return func() {
				e := p.rest(t, id)
				want(t, e, schemas.StatusSucceeded, "", "w=succeeded n=succeeded")
				if took := e.FinishedAt.Sub(e.CreatedAt); took < 10*time.Minute || took > 10*time.Minute+time.Second {
					t.Errorf("it took %s", took)
				}
			}
		}, 1},
		{"a session", func(t *testing.T, p *process) func() {
			s := p.createSession(t, schemas.SessionUpdates{TTLSeconds: new(int64(600))})
			return func() { p.wantSession(t, s.SessionID, schemas.SessionExpired) }
		}, 8},
		{"a time in the queue", func(t *testing.T, p *process) func() {
			if _, err := p.Queue.Pause(t.Context(), "", "ops"); err != nil {
				t.Fatal(err)
			}
			id := p.submit(t, `{"plan":"v1","queue_timeout":"10m","nodes":[{"id":"n","capability":"r.once"}]}`)
			return func() { want(t, p.rest(t, id), schemas.StatusTimedOut, "", "n=cancelled") }
		}, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				var claims atomic.Int64
				p := run(w, clockAhead(s, 45*time.Second, &claims))
				defer p.stop()
				check := tt.do(t, p)
				time.Sleep(11 * time.Minute)
				check()
				if n := claims.Load(); n > tt.most {
					t.Errorf("%d claims", n)
				}
			})
		})
	}
}
