package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// ownsNothing asserts that the process has released everything that it owned.
func (p *process) ownsNothing(t *testing.T) {
	t.Helper()
	synctest.Wait()
	p.checkQueue(t)
	if n := p.Executions.Counters.RolledBack.Load(); n != 0 {
		t.Errorf("the store lost nothing, and %d rollbacks were detected", n)
	}
	if n := p.Executions.InMemory(); n != 0 {
		t.Errorf("%d executions are still owned", n)
	}
	if !p.Executions.HasCapacity(p.Executions.Load().Capacity - 1) { // a claim that waits reserves one
		t.Error("room for executions was not given back")
	}
}

func TestRequestWhileTheOwnerReleasesIsDone(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		h := &hooks{Store: s}
		p := run(w, h)
		defer p.stop()
		asked := make(chan error, 1)
		var once sync.Once
		h.commit = func(ctx context.Context, b store.Batch) (store.Committed, error) {
			done, err := s.Commit(ctx, b)
			if b.Release != nil || b.Claim == nil && len(b.Wakes) > 0 {
				once.Do(func() {
					id := b.Wakes[0].Key.ID
					go func() { _, err := p.Executions.Signal(t.Context(), id, "ping", nil); asked <- err }()
					time.Sleep(time.Millisecond) // it waits for the owner by now
				})
			}
			return done, err
		}
		if _, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"take":"1s"}},{"id":"w","wait":"1h","depends_on":["n"]}]}`)}); err != nil {
			t.Fatal(err)
		}
		if err := <-asked; err != nil {
			t.Errorf("the request failed: %v", err)
		}
	})
}

func TestOneKeySubmittedAtOnceHasOneOwner(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			time.Sleep(time.Millisecond) // long enough for all of them to be between reservation and execution
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		var wg sync.WaitGroup
		ids := make([]string, 32)
		for i := range ids {
			wg.Go(func() {
				e, err := p.Executions.Execute(t.Context(), engine.Submit{IdempotencyKey: "k", Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"50s"}},{"id":"b","capability":"r.once","depends_on":["a"]}]}`)})
				if err != nil {
					t.Error(err)
				}
				ids[i] = e.ExecutionID
			})
		}
		wg.Wait()
		want(t, p.rest(t, ids[0]), schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
		if n := w.calls("once", ""); n != 2 {
			t.Errorf("ledger %v", w.ledger)
		}
		p.ownsNothing(t)
	})
}

// The answer of each commit in turn is lost, while the store and the process go on.
func TestLostAnswerOfACommit(t *testing.T) {
	for at := 2; at <= 6; at++ { // the first one is the submission, whose caller gets the error
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				n := 0
				h := &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
					done, err := s.Commit(ctx, b)
					if n++; n == at && err == nil {
						return store.Committed{}, errors.New("connection reset")
					}
					return done, err
				}}
				p := run(w, h)
				defer p.stop()
				e := p.execute(t, `{"plan":"v1","timeout":"1h","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"1s"}},{"id":"b","capability":"r.read","depends_on":["a"]},
					{"id":"c","capability":"r.once","depends_on":["b"]},{"id":"w","wait":"5m","depends_on":["c"]},{"id":"d","capability":"r.once","depends_on":["w"]}]}`)
				want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded c=succeeded w=succeeded d=succeeded")
				if w.calls("once", "") != 3 || w.calls("read", "") != 1 {
					t.Errorf("ledger %v", w.ledger)
				}
				p.ownsNothing(t)
			})
		})
	}
}

// Renewals failed for longer than a lease lasts, and there is no other replica: the process claims what it still runs.
func TestExpiredLeaseIsClaimedByItsOwner(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		began := time.Now()
		h := &hooks{Store: s, renew: func(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
			if time.Since(began) < 25*time.Second {
				return nil, errors.New("no route to host")
			}
			return s.Renew(ctx, leases, ttl)
		}}
		p := run(w, h)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"40s"}},{"id":"b","capability":"r.read","inputs":{"take":"45s"}},
			{"id":"c","capability":"r.once","depends_on":["a","b"]}]}`)
		want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded c=succeeded")
		if len(w.ledger) != 3 {
			t.Errorf("ledger %v", w.ledger)
		}
		p.ownsNothing(t)
	})
}

// A worker claims an execution that was just suspended, and finds nothing to do; while it releases it, a caller resumes it.
func TestReleaseKeepsTheWakeOfAFasterResume(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		visitor := idle(w, s)
		e, err := visitor.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		var suspend, resume sync.Once
		h := &hooks{Store: s,
			claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
				leases, err := s.Claim(ctx, r)
				if len(leases) > 0 {
					suspend.Do(func() {
						if _, err := visitor.Executions.Suspend(t.Context(), e.ExecutionID, "", ""); err != nil {
							t.Error(err)
						}
					})
				}
				return leases, err
			},
			commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
				resume.Do(func() {
					if _, err := visitor.Executions.Resume(t.Context(), e.ExecutionID, nil); err != nil {
						t.Error(err)
					}
				})
				return s.Commit(ctx, b)
			},
		}
		p := run(w, h)
		defer p.stop()
		time.Sleep(time.Minute)
		e, err = p.Executions.Status(t.Context(), e.ExecutionID, schemas.ViewNodes, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, e, schemas.StatusSucceeded, "", "n=succeeded")
	})
}

// A cancel found no owner, a worker claimed the execution and started a call, and only then the cancel was committed.
func TestCancelCommittedBesideTheOwnerReachesIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		e, err := idle(w, s).Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","timeout":"20m","inputs":{"take":"10m"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		open, loaded := make(chan struct{}), atomic.Bool{}
		h := &hooks{Store: s,
			claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
				select {
				case <-open:
				case <-ctx.Done():
				}
				return s.Claim(ctx, r)
			},
			commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
				if loaded.CompareAndSwap(false, true) { // the cancel has looked: now the worker is faster
					close(open)
					time.Sleep(time.Second)
				}
				return s.Commit(ctx, b)
			},
		}
		p := run(w, h)
		defer p.stop()
		began := time.Now()
		p.cancel(t, e.ExecutionID, engine.CancelOptions{})
		want(t, p.rest(t, e.ExecutionID), schemas.StatusCancelled, "", "n=cancelled")
		if took := time.Since(began); w.calls("read", "") != 1 || took > 5*time.Second {
			t.Errorf("took %s, ledger %v", took, w.ledger)
		}
	})
}

// Another replica suspends an execution that waits here for a near timer, which removes the wake; it is resumed here, and then this process
// dies with a call in flight.
func TestOwnerWhoseWakeWasRemovedSetsItAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		dying := storetest.Crash(s, 0, storetest.CrashBefore)
		p := run(w, dying)
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"900ms"},{"id":"n","capability":"r.read","inputs":{"take":"50s"},"depends_on":["w"]}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := idle(w, s).Executions.Suspend(t.Context(), e.ExecutionID, "", ""); err != nil {
			t.Fatal(err)
		}
		p.resume(t, e.ExecutionID)
		time.Sleep(2 * time.Second)
		if w.calls("read", "") != 1 {
			t.Fatal("the call was not started")
		}
		dying.Reset(1)
		p.stop()
		next := run(w, s)
		defer next.stop()
		time.Sleep(3 * time.Minute)
		e, err = next.Executions.Status(t.Context(), e.ExecutionID, schemas.ViewNodes, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, e, schemas.StatusSucceeded, "", "w=succeeded n=succeeded")
	})
}

// The owner is notified of what another replica commits while it only waits for a call.
func TestCancelThroughAnotherReplicaStopsTheCall(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p, other := run(w, s), run(w, s)
		defer p.stop()
		defer other.stop()
		began := time.Now()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","timeout":"20m","inputs":{"take":"10m"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		other.cancel(t, e.ExecutionID, engine.CancelOptions{Grace: time.Minute})
		want(t, other.rest(t, e.ExecutionID), schemas.StatusCancelled, "", "n=cancelled")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		p.ownsNothing(t)
	})
}

func TestDeletedExecutionIsForgotten(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var claims atomic.Int64
		p := run(w, &hooks{Store: s, claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
			leases, err := s.Claim(ctx, r)
			claims.Add(int64(len(leases)))
			return leases, err
		}})
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"take":"10s"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{journal.ExecutionKey(e.ExecutionID)}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if n := claims.Load(); n != 0 {
			t.Errorf("claimed %d times after it was deleted", n)
		}
		p.ownsNothing(t)
	})
}

func TestIdempotencyKeyOutlivesASetting(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		sub := engine.Submit{Plan: []byte(`{"plan":"v1","idempotency_key":"k","nodes":[{"id":"n","set":1}]}`)}
		first := run(w, s)
		e, err := first.Executions.Execute(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		first.stop()
		second := run(w, s, func(c *Config) { c.Limits.MaxParallel = 7 })
		defer second.stop()
		if again, err := second.Executions.Execute(t.Context(), sub); err != nil || again.ExecutionID != e.ExecutionID {
			t.Errorf("%s and %s: %v", e.ExecutionID, again.ExecutionID, err)
		}
	})
}
