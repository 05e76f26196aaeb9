package runtime

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// While executions wait for a state nothing is read, written or woken for them.
func TestWaitingForAStateCostsNothing(t *testing.T) {
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

// However often a state is written in a period, the executions that wait for it are notified once more, and not before that is due, also
// where the store's clock is ahead.
func TestChangesOfAPeriodAreNotifiedAgainOnce(t *testing.T) {
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
			t.Error("it was notified before its time")
		}
		time.Sleep(time.Second)
		due <- lease
		if synctest.Wait(); released != 1 {
			t.Error("it was not notified in its time")
		}
	})
}

// What one replica writes, deletes or lets expire ends the waits of executions that another one has parked, long before the
// notification is repeated.
func TestEveryReplicaNotifiesOfStates(t *testing.T) {
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

// slowList is a store in which it takes long to find the executions that wait for one state.
type slowList struct {
	store.Store
	term  string
	takes time.Duration
	looks atomic.Int64
}

func (c *slowList) List(ctx context.Context, q store.Query) ([]store.Record, error) {
	if q.Term == c.term {
		c.looks.Add(1)
		time.Sleep(c.takes)
	}
	return c.Store.List(ctx, q)
}

func orderKey(key string) store.Key {
	return state.Key(caller.From(context.Background()).Principal, schemas.StateName{Type: "order", Key: key})
}

// A state that many executions wait for, and that is written without end, takes half of the time of one worker; those that wait for another
// state are notified at once.
func TestABusyStateDelaysNoOther(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		busy := &slowList{Store: s, term: journal.TermAwaits(orderKey("busy")), takes: time.Second}
		p := run(w, busy)
		defer p.stop()
		id := p.submit(t, awaiting(`{"state":{"type":"order","key":"A"}}`, ""))
		before := busy.looks.Load()
		for range 195 {
			p.setState(t, "busy", `1`, 0)
			time.Sleep(100 * time.Millisecond)
		}
		if got := busy.looks.Load() - before; got < 5 || got > 10 {
			t.Errorf("notified %d times, for a second each, in 19.5 s", got)
		}
		began := time.Now()
		p.setState(t, "A", `1`, 0)
		if e := p.rest(t, id); e.Status != schemas.StatusSucceeded || !e.FinishedAt.Equal(began.UTC()) {
			t.Errorf("%s %s later", e.Status, time.Since(began))
		}
		p.setState(t, "busy", `2`, 0)
		last := busy.looks.Load()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if busy.looks.Load() == last {
			t.Error("the last change was not notified")
		}
	})
}

// A change of a state that very many executions wait for is notified at once and once more, also where that takes longer than a lease.
func TestVeryManyWaitersAreNotifiedOnceMore(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		busy := &slowList{Store: s, term: journal.TermAwaits(orderKey("busy")), takes: 20 * time.Second}
		p := run(w, busy)
		defer p.stop()
		p.setState(t, "busy", `1`, 0)
		time.Sleep(4 * state.NotifyPeriod)
		synctest.Wait()
		if got := busy.looks.Load(); got != 2 {
			t.Errorf("notified %d times, want at once and once more", got)
		}
		if q, err := s.Queue(t.Context(), state.KindNotify); err != nil || q != (store.Queue{}) {
			t.Errorf("left: %+v, %v", q, err)
		}
	})
}

// An execution that waits for a state and cannot be read keeps no other from being notified, and leaves no wake.
func TestADamagedExecutionDelaysNoNotification(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		bad := p.submit(t, awaiting(`{"state":{"type":"order","key":"A"}}`, ""))
		good := p.submit(t, awaiting(`{"state":{"type":"order","key":"A"}}`, ""))
		if _, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: journal.PlanKey(bad), Value: []byte("{"), Version: store.AnyVersion}}}); err != nil {
			t.Fatal(err)
		}
		p.setState(t, "A", `1`, 0)
		if e := p.rest(t, good); e.Status != schemas.StatusSucceeded {
			t.Error(e.Status)
		}
		time.Sleep(3 * state.NotifyPeriod)
		synctest.Wait()
		if q, err := s.Queue(t.Context(), state.KindNotify); err != nil || q != (store.Queue{}) {
			t.Errorf("left: %+v, %v", q, err)
		}
	})
}
