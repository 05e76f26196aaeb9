package runtime

import (
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// No worker has room, or the queue is paused, or no replica runs for a while.
func TestNoExecutionWaitsInTheQueueLongerThanAllowed(t *testing.T) {
	const node = `"nodes":[{"id":"n","capability":"r.once","inputs":{"id":"late"}}]}`
	plans := []struct {
		source string
		code   schemas.Code
		after  time.Duration
	}{
		{`{"plan":"v1","queue_timeout":"30s",` + node, schemas.CodeQueueTimeout, 30 * time.Second},
		{`{"plan":"v1","timeout":"20s",` + node, schemas.CodeTimeout, 20 * time.Second},
		{`{"plan":"v1","queue_timeout":"30s","timeout":"40s",` + node, schemas.CodeQueueTimeout, 30 * time.Second},
		{`{"plan":"v1","queue_timeout":"30s","timeout":"20s",` + node, schemas.CodeTimeout, 20 * time.Second},
	}
	check := func(t *testing.T, w *world, p *process, ids []string, late time.Duration) {
		t.Helper()
		for i, id := range ids {
			e := p.rest(t, id)
			want(t, e, schemas.StatusTimedOut, "", "n=cancelled")
			if e.Error == nil || e.Error.Code != plans[i].code || e.Error.Outcome != schemas.NotRun || e.StartedAt != nil {
				t.Errorf("%s: %v, started %v", plans[i].source, e.Error, e.StartedAt)
			}
			if took := e.FinishedAt.Sub(e.CreatedAt); took < plans[i].after || took > plans[i].after+late+time.Second {
				t.Errorf("%s ended after %v", plans[i].source, took)
			}
		}
		if n := w.calls("once", "late"); n != 0 {
			t.Errorf("%d calls", n)
		}
	}
	submit := func(t *testing.T, p *process) (ids []string) {
		t.Helper()
		for _, plan := range plans {
			ids = append(ids, p.enqueue(t, 1, engine.Submit{Plan: []byte(plan.source)})...)
		}
		return ids
	}
	t.Run("no room", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s, withLimits(func(l *engine.Limits) { l.MaxExecutions = 1 }))
			defer p.stop()
			p.enqueue(t, 1, engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","timeout":"1h","inputs":{"take":"10m"}}]}`)})
			ids := submit(t, p)
			time.Sleep(time.Minute)
			check(t, w, p, ids, 0)
			if q, err := s.Queue(t.Context(), journal.KindOverdue); err != nil || q != (store.Queue{}) {
				t.Errorf("left: %+v %v", q, err)
			}
		})
	})
	t.Run("paused", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			if _, err := p.Queue.Pause(t.Context(), "", "ops"); err != nil {
				t.Fatal(err)
			}
			ids := submit(t, p)
			time.Sleep(time.Minute)
			check(t, w, p, ids, 0)
		})
	})
	t.Run("no replica runs", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			ids := submit(t, idle(w, s))
			time.Sleep(time.Hour)
			p := run(w, s)
			defer p.stop()
			check(t, w, p, ids, time.Hour)
		})
	})
}

// An execution that was started in time has all of its own time.
func TestTimeInTheQueueEndsWithTheStart(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		outside := idle(w, s)
		waited := outside.submit(t, `{"plan":"v1","queue_timeout":"30s","nodes":[{"id":"n","capability":"r.read","timeout":"1h","inputs":{"take":"10m"}}]}`)
		suspended := outside.submit(t, `{"plan":"v1","queue_timeout":"30s","nodes":[{"id":"n","capability":"r.read"}]}`)
		if _, err := outside.Executions.Suspend(t.Context(), suspended, "", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		p := run(w, s)
		defer p.stop()
		atOnce := p.submit(t, `{"plan":"v1","queue_timeout":"30s","nodes":[{"id":"w","wait":"1h"}]}`)
		time.Sleep(time.Second)
		if q, err := s.Queue(t.Context(), journal.KindOverdue); err != nil || q != (store.Queue{}) {
			t.Errorf("left: %+v %v", q, err)
		}
		want(t, p.rest(t, waited), schemas.StatusSucceeded, "", "n=succeeded")
		want(t, p.rest(t, atOnce), schemas.StatusSucceeded, "", "w=succeeded")
		p.resume(t, suspended)
		want(t, p.rest(t, suspended), schemas.StatusSucceeded, "", "n=succeeded")
	})
}
