package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// TestWaitingForStatesIsFree: an execution that waits for a state is looked at by nobody.
func TestWaitingForStatesIsFree(t *testing.T) {
	var commits []int
	for _, n := range []int{0, 50} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			counting := storetest.Crash(s, 0, storetest.CrashBefore)
			p := run(w, counting)
			defer p.stop()
			for i := range n {
				p.submit(t, strings.ReplaceAll(awaiting(paid+`,"timeout":"5d"}`, ""), `"order":"A"`, fmt.Sprintf(`"order":"A%d"`, i)))
			}
			if got := inMemory(p); got != 0 {
				t.Errorf("%d of %d are in memory", got, n)
			}
			before := counting.Commits()
			time.Sleep(time.Hour)
			synctest.Wait()
			commits = append(commits, counting.Commits()-before)
		})
	}
	if commits[0] != commits[1] {
		t.Errorf("%d commits in an hour, and %d with 50 executions that wait", commits[0], commits[1])
	}
}

// TestChangesOfAPeriodAreToldAgainOnce: however often a state is written, so seldom are those who wait for it told of it once more; and
// where the store's clock is ahead, not before its time has come.
func TestChangesOfAPeriodAreToldAgainOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		for range 100 {
			p.setState(t, "A", `1`, 0)
			time.Sleep(state.NotifyPeriod / 50)
		}
		q, err := s.Queue(t.Context(), state.KindNotify)
		if err != nil || q.Sleeping == 0 || q.Sleeping > 3 {
			t.Errorf("%d wakes for 100 changes in two periods, %v", q.Sleeping, err)
		}
		time.Sleep(2 * state.NotifyPeriod)
		synctest.Wait()
		if q, err := s.Queue(t.Context(), state.KindNotify); err != nil || q != (store.Queue{}) {
			t.Errorf("left: %+v, %v", q, err)
		}

		released := 0
		due := make(chan store.Lease)
		early := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if b.Release != nil && b.Release.Key.Kind == state.KindNotify {
				released++
			}
			return s.Commit(ctx, b)
		}, claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
			if r.Kind != state.KindNotify {
				return s.Claim(ctx, r)
			}
			select {
			case l := <-due:
				return []store.Lease{l}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}})
		defer early.stop()
		lease := store.Lease{Key: state.NotifyWake(state.Key("", schemas.StateName{Type: "order", Key: "a/b/1"}), time.Now().Add(time.Second).Truncate(time.Second)).Key, Owner: "x", Token: 1}
		due <- lease
		if synctest.Wait(); released != 0 {
			t.Error("it was told before its time")
		}
		time.Sleep(time.Second)
		due <- lease
		if synctest.Wait(); released != 1 {
			t.Error("it was not told in its time")
		}
	})
}

// TestWaitForTheEndOfAState: a state that is set again before it expires is there all the while.
func TestWaitForTheEndOfAState(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.setState(t, "A", `1`, 10*time.Second)
		id := p.submit(t, awaiting(`{"state":{"type":"order","key":"A"},"until":"${!state.found}"}`, ""))
		for range 20 {
			time.Sleep(10*time.Second - time.Microsecond)
			p.setState(t, "A", `1`, 10*time.Second)
		}
		status := func() schemas.Status {
			e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			return e.Status
		}
		time.Sleep(10*time.Second - time.Microsecond)
		if got := status(); got != schemas.StatusRunning {
			t.Errorf("%s before the state expired", got)
		}
		time.Sleep(time.Microsecond + state.ExpiryGrain)
		synctest.Wait()
		if got := status(); got != schemas.StatusSucceeded {
			t.Errorf("%s after the state expired", got)
		}
	})
}

// TestEveryReplicaTellsOfStates: what one replica writes, deletes or lets expire ends the waits of executions that another
// one has parked, long before anybody is told again.
func TestEveryReplicaTellsOfStates(t *testing.T) {
	t.Parallel()
	for _, tt := range recordstest.Stores {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			open := tt.Open(t)
			w := newWorld()
			writer, parker := replica(t, w, open()), replica(t, w, open())
			set := func(key string, ttl time.Duration) {
				if _, err := writer.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "order", Key: key}, Data: schemas.Value(`{"status":"paid"}`), TTL: ttl}); err != nil {
					t.Fatal(err)
				}
			}
			var ids []string
			for i := range 30 {
				key := fmt.Sprint("order/", i)
				until := `"${state.found && state.data.status == 'paid'}"`
				if i%3 > 0 {
					until = `"${!state.found}"`
					set(key, time.Duration(i%3-1)*2*time.Second)
				}
				e, err := parker.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(fmt.Sprintf(
					`{"plan":"v1","nodes":[{"id":"w","wait_for":{"state":{"type":"order","key":"%s"},"until":%s}}]}`, key, until))})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, e.ExecutionID)
			}
			eventually(t, "they are parked", func() bool {
				places, err := parker.store.Places(t.Context(), []store.Key{journal.ExecutionKey(ids[0]), journal.ExecutionKey(ids[1])})
				return err == nil && inMemory(parker) == 0 && places[0] == (store.Place{}) && places[1] == (store.Place{})
			})
			for i := range ids {
				switch key := fmt.Sprint("order/", i); i % 3 {
				case 0:
					set(key, 0)
				case 1:
					if _, err := writer.States.Delete(t.Context(), state.Ref{Type: "order", Key: key}, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			began := time.Now()
			for _, id := range ids {
				if e := parker.rest(t, id); e.Status != schemas.StatusSucceeded {
					t.Errorf("%s: %+v", e.Status, e.Error)
				}
			}
			if took := time.Since(began); took > state.NotifyPeriod {
				t.Errorf("it took %s", took)
			}
		})
	}
}
