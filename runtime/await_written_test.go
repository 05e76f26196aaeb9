package runtime

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// crowded is a store in which it takes long to find those that wait for one state.
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

// TestABusyStateKeepsNoOther: a state that many wait for, and that is written without end, takes half of the time of one teller; those that
// wait for another one are told at once.
func TestABusyStateKeepsNoOther(t *testing.T) {
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
			t.Errorf("it was told of %d times, for a second each, in 19.5 s", got)
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
			t.Error("nobody was told of the last change")
		}
	})
}

// TestAStateThatVeryManyWaitForIsToldOfOnce: also where that takes longer than a lease lives.
func TestAStateThatVeryManyWaitForIsToldOfOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		busy := &slowList{Store: s, term: journal.TermAwaits(orderKey("busy")), takes: 20 * time.Second}
		p := run(w, busy)
		defer p.stop()
		p.setState(t, "busy", `1`, 0)
		time.Sleep(4 * state.NotifyPeriod)
		synctest.Wait()
		if got := busy.looks.Load(); got != 2 {
			t.Errorf("it was told of %d times, want at once and once more", got)
		}
		if q, err := s.Queue(t.Context(), state.KindNotify); err != nil || q != (store.Queue{}) {
			t.Errorf("left: %+v, %v", q, err)
		}
	})
}

// TestADamagedExecutionIsToldOnce: what waits for a state and cannot be read keeps no other from being told, and no wake.
func TestADamagedExecutionIsToldOnce(t *testing.T) {
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

// TestStatesThatExpireHaveFewWakes: however long a state is to stay, and however often it is written.
func TestStatesThatExpireHaveFewWakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait bool
		most int
	}{{"nobody waits", false, 3}, {"somebody waits", true, 25}} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				p.setState(t, "A", `1`, 7*24*time.Hour)
				id := ""
				if tt.wait {
					id = p.submit(t, awaiting(`{"state":{"type":"order","key":"A"},"until":"${!state.found}"}`, ""))
				}
				for range 1000 {
					p.setState(t, "A", `1`, 7*24*time.Hour)
					time.Sleep(time.Second)
				}
				if q, err := s.Queue(t.Context(), state.KindNotify); err != nil || q.Sleeping > tt.most {
					t.Errorf("%d wakes, want %d at most, %v", q.Sleeping, tt.most, err)
				}
				time.Sleep(7*24*time.Hour - 2*time.Second)
				if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); tt.wait && (err != nil || e.Status != schemas.StatusRunning) {
					t.Errorf("%s, %v before the state has expired", e.Status, err)
				}
				time.Sleep(time.Second + state.ExpiryGrain)
				synctest.Wait()
				if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); tt.wait && (err != nil || e.Status != schemas.StatusSucceeded) {
					t.Errorf("%s, %v after it has", e.Status, err)
				}
				if q, err := s.Queue(t.Context(), state.KindNotify); err != nil || q != (store.Queue{}) {
					t.Errorf("left: %+v, %v", q, err)
				}
			})
		})
	}
}

// TestWhoSeesAStateThatExpiresHearsOfIt: also where a replica whose clock is ahead has done before what was due at the expiry.
func TestWhoSeesAStateThatExpiresHearsOfIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.setState(t, "A", `1`, 5*time.Minute)
		at := time.Now().Add(5 * time.Minute)
		time.Sleep(5*time.Minute - 10*time.Second)
		if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{state.NotifyWake(orderKey("A"), at).Key}}); err != nil {
			t.Fatal(err)
		}
		id := p.submit(t, awaiting(`{"state":{"type":"order","key":"A"},"until":"${!state.found}"}`, ""))
		time.Sleep(10*time.Second + state.ExpiryGrain)
		synctest.Wait()
		if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || e.Status != schemas.StatusSucceeded {
			t.Errorf("%s, %v", e.Status, err)
		}
	})
}
