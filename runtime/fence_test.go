package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// withoutLeases is a store on which a process can neither renew nor claim leases until a time; the first renewal after that reports the lost
// ones. The first claim finds an empty queue, so that what is submitted to this process starts here.
func withoutLeases(s store.Store, until time.Time) *hooks {
	var looked atomic.Bool
	return &hooks{Store: s,
		renew: func(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
			if time.Now().Before(until) {
				return nil, recordstest.ErrUnreachable
			}
			return s.Renew(ctx, leases, ttl)
		},
		claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
			switch {
			case !time.Now().Before(until):
			case r.Kind == journal.KindExecution && looked.CompareAndSwap(false, true):
				return nil, nil
			default:
				return nil, recordstest.ErrUnreachable
			}
			return s.Claim(ctx, r)
		},
	}
}

// The renewals of a replica fail. A node that is ready a moment before the lease expires is not started there but by the next owner.
func TestNothingStartsOnALeaseThatMayHaveExpired(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		first := run(w, withoutLeases(s, time.Now().Add(time.Hour)))
		defer first.stop()
		id := first.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"14s"},{"id":"keep","capability":"r.read","inputs":{"take":"30s"}},
			{"id":"n","capability":"r.once","inputs":{"take":"1m"},"timeout":"5m","depends_on":["w"]}]}`)
		second := run(w, s)
		defer second.stop()
		want(t, second.rest(t, id), schemas.StatusSucceeded, "", "w=succeeded keep=succeeded n=succeeded")
		m, err := second.Executions.Metrics(t.Context(), id)
		if err != nil || m.Nodes[2].Attempts != 1 || w.calls("once", "n") != 1 {
			t.Errorf("%+v %v, ledger %v", m, err, w.ledger)
		}
	})
}

// Renewals fail for a shorter time than the lease lasts; what became ready near its end starts with the next renewal.
func TestNodesStartOnceTheLeaseIsRenewed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		began := time.Now()
		p := run(w, withoutLeases(s, began.Add(13800*time.Millisecond)))
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"keep","capability":"r.read","inputs":{"take":"13600ms"}},{"id":"n","capability":"r.once","depends_on":["keep"]}]}`)
		want(t, e, schemas.StatusSucceeded, "", "keep=succeeded n=succeeded")
		if took := time.Since(began); took != 14*time.Second || w.calls("", "") != 2 {
			t.Errorf("took %s, ledger %v", took, w.ledger)
		}
	})
}

// The start of a call is committed, and then the process stands still for longer than its lease lasts. The call is not sent; with another
// replica or without, it is made once.
func TestCallWhoseLeaseExpiredBeforeItWasSent(t *testing.T) {
	for name, alone := range map[string]bool{"alone": true, "another owner": false} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				until := time.Now().Add(30 * time.Second)
				h := withoutLeases(s, until)
				var once sync.Once
				h.commit = func(ctx context.Context, b store.Batch) (store.Committed, error) {
					done, err := s.Commit(ctx, b)
					once.Do(func() { time.Sleep(time.Until(until)) })
					return done, err
				}
				first := run(w, h)
				defer first.stop()
				if !alone {
					defer run(w, s).stop()
				}
				id := first.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","retry":{"max_attempts":1}}]}`)
				time.Sleep(5 * time.Minute)
				e := first.rest(t, id)
				want(t, e, schemas.StatusSucceeded, "", "n=succeeded")
				if n := first.Executions.Counters.Fenced.Load(); n != 1 || w.calls("once", "n") != 1 || e.Nodes[0].Attempts != 2 {
					t.Errorf("%d calls were not sent, ledger %v, %d attempts", n, w.ledger, e.Nodes[0].Attempts)
				}
				synctest.Wait()
				first.ownsNothing(t)
			})
		})
	}
}

// A claim was sent so long ago that little of its lease may be left; the lease is renewed at once, before a node starts, and not with the
// next regular renewal.
func TestClaimThatWaitedStartsAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		time.Sleep(20 * time.Second)
		began := time.Now()
		e, err := idle(w, s).Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.once"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "n=succeeded")
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// The commit that starts a call is not confirmed, the store does not answer for longer than the lease lasts, and another replica takes
// over. The first one never made the call, and says so when it finds that its lease is lost; of a call of the other replica, which has the
// same number, it says nothing.
func TestCallWhoseStartWasNeverConfirmed(t *testing.T) {
	const later = 40 * time.Second // when the first replica finds that its lease is lost; the other one takes over at 15 s
	for _, tt := range []struct {
		name, node string
		happened   bool // the commit
		status     schemas.Status
		nodes      string
		once       int
		used       int64
	}{
		{"held", `"retry":{"max_attempts":1}`, true, schemas.StatusSucceeded, "n=succeeded w=succeeded", 1, 1},
		{"verified", `"on_unknown":{"verify":{"capability":"r.read","happened":"${false}"}}`, true, schemas.StatusSucceeded, "n=succeeded w=succeeded", 1, 1},
		{"failed", `"on_unknown":"fail"`, true, schemas.StatusFailed, "n=failed w=succeeded", 0, 0},
		{"the other one makes the call", `"inputs":{"take":"1m"},"timeout":"2m"`, false, schemas.StatusSucceeded, "n=succeeded w=succeeded", 1, 0},
		{"the call of the other one is held", `"inputs":{"take":"1h"},"timeout":"10s"`, false, schemas.StatusSuspended, "n=held w=succeeded", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				until := time.Now().Add(later)
				h := withoutLeases(s, until)
				commits := 0
				h.commit = func(ctx context.Context, b store.Batch) (store.Committed, error) {
					switch commits++; {
					case commits == 1 || !time.Now().Before(until): // the submission
						return s.Commit(ctx, b)
					case commits == 2 && tt.happened:
						_, _ = s.Commit(ctx, b)
					}
					return store.Committed{}, recordstest.ErrUnreachable
				}
				first := run(w, h)
				defer first.stop()
				id := first.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","depends_on":["w"],`+tt.node+`},{"id":"w","wait":"500ms"}]}`)
				second := run(w, s)
				defer second.stop()
				time.Sleep(later + time.Second)
				want(t, second.rest(t, id), tt.status, "", tt.nodes)
				if n := w.calls("once", ""); n != tt.once {
					t.Errorf("%d calls: %v", n, w.ledger)
				}
				if n := first.Executions.Counters.LateUsed.Load(); n != tt.used {
					t.Errorf("%d results used", n)
				}
				synctest.Wait()
				first.ownsNothing(t)
			})
		})
	}
}
