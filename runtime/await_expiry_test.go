package runtime

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A state that is set again before it expires exists all the while.
func TestWaitForTheExpiryOfAState(t *testing.T) {
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

// However long the TTL of a state is, and however often it is written, few wakes are kept for it.
func TestStatesThatExpireHaveFewWakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait bool
		most int
	}{{"no execution waits", false, 3}, {"an execution waits", true, 25}} {
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

// An execution that saw a state is notified of its expiry, also where a replica whose clock is ahead has already handled the wake of the
// expiry.
func TestExpiryIsNotifiedToThoseThatSawTheState(t *testing.T) {
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
