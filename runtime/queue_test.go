package runtime

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// quick is a plan of one call that takes no time, slow of one that takes a second.
const (
	quick = `{"plan":"v1","nodes":[{"id":"n","capability":"r.read"}]}`
	slow  = `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"take":"1s"}}]}`
)

func withLimits(edit func(*engine.Limits)) func(*Config) { return func(c *Config) { edit(&c.Limits) } }

// started is when an execution began to run; zero: it has not begun.
func (p *process) started(t *testing.T, id string) time.Time {
	t.Helper()
	e, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.StartedAt == nil {
		return time.Time{}
	}
	return *e.StartedAt
}

func queueOf(t *testing.T, r *Runtime) schemas.QueueStatus {
	t.Helper()
	q, err := r.Queue.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// With two thousand: the tests of the stores have ten thousand that wait.
func TestThousandsOfOneSessionDoNotStarveAnother(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		outside := idle(w, s, func(c *Config) { c.MaxQueued = 20_000 })
		var sessions [2]string
		for i := range sessions {
			made, err := outside.Sessions.Create(t.Context(), schemas.SessionUpdates{})
			if err != nil {
				t.Fatal(err)
			}
			sessions[i] = made.SessionID
		}
		var submitters sync.WaitGroup
		for range 50 {
			submitters.Go(func() { outside.enqueue(t, 40, engine.Submit{Plan: []byte(slow), SessionID: sessions[0]}) })
		}
		submitters.Wait()
		time.Sleep(time.Minute)
		calm := outside.enqueue(t, 5, engine.Submit{Plan: []byte(slow), SessionID: sessions[1]})
		began := time.Now()
		p := run(w, s, withLimits(func(l *engine.Limits) { l.MaxExecutions = 4 }))
		defer p.stop()
		for _, id := range calm {
			if e := p.rest(t, id); e.Status != schemas.StatusSucceeded {
				t.Fatalf("%s: %v", e.Status, e.Error)
			}
		}
		// The sessions take turns, so two of four workers are theirs: five executions of a second take three seconds.
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the calm session waited %v for the busy one", took)
		}
	})
}

func TestNoPriorityStarvesAndTheUrgentAreServedMore(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		outside := idle(w, s)
		ids := map[int][]string{}
		for _, priority := range []int{5, 4, 3, 2, 1} {
			ids[priority] = outside.enqueue(t, 100, engine.Submit{Plan: []byte(slow), Priority: priority})
		}
		p := run(w, s, withLimits(func(l *engine.Limits) { l.MaxExecutions = 1 }))
		defer p.stop()
		time.Sleep(62 * time.Second)
		last := 1000
		for priority := 1; priority <= 5; priority++ {
			n := 0
			for _, id := range ids[priority] {
				if !p.started(t, id).IsZero() {
					n++
				}
			}
			t.Logf("priority %d: %d of 62", priority, n)
			if n < 2 || n > last {
				t.Errorf("priority %d was served %d times in 62, the more urgent one %d times", priority, n, last)
			}
			last = n
		}
	})
}

func TestSetPriorityOvertakes(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		outside := idle(w, s)
		ids := outside.enqueue(t, 50, engine.Submit{Plan: []byte(slow)})
		if q := queueOf(t, outside.Runtime); q.Depth != 50 || q.DepthByPriority["3"] != 50 {
			t.Errorf("queue %+v", q)
		}
		e, err := outside.Executions.SetPriority(t.Context(), ids[49], 1)
		if err != nil || e.Priority != 1 {
			t.Fatal(e, err)
		}
		if q := queueOf(t, outside.Runtime); q.Depth != 50 || q.DepthByPriority["1"] != 1 {
			t.Errorf("queue %+v", q)
		}
		p := run(w, s, withLimits(func(l *engine.Limits) { l.MaxExecutions = 1 }))
		defer p.stop()
		first := p.rest(t, ids[49]).StartedAt
		p.rest(t, ids[0])
		if at := p.started(t, ids[0]); !first.Before(at) {
			t.Errorf("the urgent one started at %v, the first at %v", first, at)
		}
		log, err := p.Executions.Events(t.Context(), ids[49], 0, 0)
		if err != nil || log.Events[1].Type != schemas.EventPriority || log.Events[1].Priority != 1 || log.Events[1].By != caller.LocalPrincipal {
			t.Errorf("log %+v %v", log.Events, err)
		}
		for _, tt := range []struct {
			id       string
			priority int
			code     schemas.Code
		}{
			{ids[49], 2, schemas.CodeAlreadyFinished}, {ids[1], 6, schemas.CodeInvalidArgument}, {ids[1], 0, schemas.CodeInvalidArgument}, {"none", 1, schemas.CodeNotFound},
		} {
			if _, err := p.Executions.SetPriority(t.Context(), tt.id, tt.priority); !errors.Is(err, &schemas.Error{Code: tt.code}) {
				t.Errorf("priority %d of %s: got %v, want %s", tt.priority, tt.id, err, tt.code)
			}
		}
	})
}

func TestSetPriorityReachesChildren(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"sub","workflow":{"definition":{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}}}]}`)
		time.Sleep(time.Second)
		e, err := p.Executions.SetPriority(t.Context(), id, 1)
		if err != nil {
			t.Fatal(err)
		}
		child, err := p.Executions.Status(t.Context(), e.WaitingFor[0].Child, schemas.ViewSummary, 0, nil)
		if err != nil || child.Priority != 1 {
			t.Errorf("%+v %v", child, err)
		}
	})
}

func TestNewExecutionsDoNotOvertakeTheQueue(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, withLimits(func(l *engine.Limits) { l.MaxExecutions = 2 }))
		defer p.stop()
		ids := p.enqueue(t, 20, engine.Submit{Plan: []byte(slow)})
		last := time.Time{}
		for _, id := range ids {
			e := p.rest(t, id)
			if e.StartedAt.Before(last) {
				t.Errorf("%s started before one that was submitted earlier", id)
			}
			last = *e.StartedAt
			p.enqueue(t, 1, engine.Submit{Plan: []byte(quick)}) // there is room at this moment, and the queue is not empty
		}
	})
}

func TestPauseHoldsEveryReplicaUntilTheResume(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		a, b := run(w, s), run(w, s)
		defer a.stop()
		running := b.enqueue(t, 1, engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"take":"10s"}},
			{"id":"sub","depends_on":["n"],"workflow":{"definition":` + slow + `}}]}`)})[0]
		sleeping := a.enqueue(t, 1, engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"30s"}]}`)})[0]
		if _, err := a.Queue.Pause(t.Context(), "the shop is being moved", "ops"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var waiting []string
		for _, p := range []*process{a, b} {
			id := p.enqueue(t, 1, engine.Submit{Plan: []byte(quick)})[0]
			began := time.Now()
			waiting = append(waiting, id)
			e, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 20*time.Second, nil)
			if err != nil {
				t.Fatal(err)
			}
			if e.Status != schemas.StatusPending || !e.Waiting || len(e.WaitingFor) != 1 || e.WaitingFor[0].Reason != schemas.ReasonQueue ||
				!strings.Contains(e.Hint, "paused by ops") || !strings.Contains(e.Hint, "the shop is being moved") {
				t.Errorf("%+v", e)
			}
			if time.Since(began) > 0 {
				t.Errorf("the caller waited %v, though nothing starts in a pause", time.Since(began))
			}
		}
		// What runs goes on to its end, with its child; what sleeps is not woken.
		e := b.rest(t, running)
		want(t, e, schemas.StatusSucceeded, "", "n=succeeded sub=succeeded")
		time.Sleep(time.Hour)
		q := queueOf(t, b.Runtime)
		if q.Paused == nil || q.Paused.By != "ops" || q.Depth != 3 || q.OldestAgeSeconds < 3600 || q.InFlight != 0 {
			t.Errorf("%+v %+v", q, q.Paused)
		}
		// The pause outlives a process.
		b.stop()
		b = run(w, s)
		defer b.stop()
		time.Sleep(time.Minute)
		for _, id := range waiting {
			if at := b.started(t, id); !at.IsZero() {
				t.Errorf("%s started at %v, in the pause", id, at)
			}
		}
		began := time.Now()
		if q, err := b.Queue.Resume(t.Context()); err != nil || q.Paused != nil {
			t.Fatal(q, err)
		}
		synctest.Wait()
		for _, id := range append(waiting, sleeping) {
			want(t, a.rest(t, id), schemas.StatusSucceeded, "", "")
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("they went on after %v", took)
		}
	})
}

func TestPauseIsSeenWithoutAWatch(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, withoutWatch(s))
		defer p.stop()
		other := idle(w, s)
		if _, err := other.Queue.Pause(t.Context(), "x", "ops"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(queue.PauseAge)
		id := p.enqueue(t, 1, engine.Submit{Plan: []byte(quick)})[0]
		time.Sleep(time.Minute) // its claim, which is still waiting, gets the execution and releases it
		if at := p.started(t, id); !at.IsZero() {
			t.Errorf("started at %v, in the pause", at)
		}
		if q := queueOf(t, p.Runtime); q.Depth != 1 || q.Leased != 0 || q.DepthByPriority["3"] != 1 {
			t.Errorf("%+v", q)
		}
		if _, err := other.Queue.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * queue.PauseAge)
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
	})
}

func TestFullQueueRefusesButNotWhatRuns(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.Limits.MaxExecutions, c.MaxQueued = 2, 3 })
		defer p.stop()
		// One runs and starts children, however full the queue is.
		parent := p.submit(t, `{"plan":"v1","nodes":[{"id":"first","wait":"500ms"},
			{"id":"sub","depends_on":["first"],"for_each":[1,2,3,4,5,6],"workflow":{"definition":`+quick+`}}]}`)
		accepted := engine.Submit{Plan: []byte(slow), IdempotencyKey: "again"}
		known := p.enqueue(t, 1, accepted)[0]
		p.enqueue(t, 3, engine.Submit{Plan: []byte(slow)})
		_, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(slow), IdempotencyKey: "later"})
		refused := schemas.AsError(err)
		if refused == nil || refused.Code != schemas.CodeRateLimited || refused.RetryAfterSeconds <= 0 || !refused.Retryable || refused.Hint == "" {
			t.Fatalf("got %v, want rate_limited with a time", err)
		}
		if again := p.enqueue(t, 1, accepted)[0]; again != known {
			t.Errorf("the key gave %s, want %s", again, known)
		}
		want(t, p.rest(t, parent), schemas.StatusSucceeded, "", "first=succeeded sub=succeeded")
		time.Sleep(time.Duration(refused.RetryAfterSeconds) * time.Second)
		// The key of what was refused is free, also for another plan.
		id := p.enqueue(t, 1, engine.Submit{Plan: []byte(quick), IdempotencyKey: "later"})[0]
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
		if _, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(slow), IdempotencyKey: "later"}); !errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
			t.Errorf("got %v, want a conflict", err)
		}
	})
}

func TestQueueKeepsItsOrderAcrossARestart(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, withLimits(func(l *engine.Limits) { l.MaxExecutions = 1 }))
		ids := p.enqueue(t, 10, engine.Submit{Plan: []byte(slow)})
		time.Sleep(2500 * time.Millisecond)
		p.stop()
		p = run(w, s, withLimits(func(l *engine.Limits) { l.MaxExecutions = 1 }))
		defer p.stop()
		last := ""
		for i, id := range ids {
			e := p.rest(t, id)
			if at := fmt.Sprint(e.StartedAt.UnixNano()); at < last {
				t.Errorf("execution %d started before the one that was submitted before it", i)
			} else {
				last = at
			}
		}
	})
}
