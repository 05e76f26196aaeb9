package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// asked is a store that counts how often it is asked about the queue, and for the pause.
type asked struct {
	store.Store
	depth, pause atomic.Int64
}

func (a *asked) Queue(ctx context.Context, kind string) (store.Queue, error) {
	a.depth.Add(1)
	return a.Store.Queue(ctx, kind)
}

func (a *asked) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if k == pauseKey {
		a.pause.Add(1)
	}
	return a.Store.Get(ctx, k)
}

func replica(s store.Store, maxQueued int) *Queue {
	return New(Config{Store: recordstest.Replica(s), Log: hclog.NewNullLogger(), MaxQueued: maxQueued, Capacity: 8, InFlight: func() int { return 3 }})
}

// enqueue puts n executions into the queue.
func enqueue(t *testing.T, s store.Store, from, n int) {
	t.Helper()
	for i := range n {
		wake := store.Wake{Key: journal.ExecutionKey(fmt.Sprint(from + i)), At: time.Now(), Priority: 3}
		if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{wake}}); err != nil {
			t.Fatal(err)
		}
	}
}

// admitted is how many of n submissions are admitted.
func admitted(t *testing.T, r *Queue, n int) (in int) {
	t.Helper()
	for range n {
		err := r.Admit(t.Context())
		if e := schemas.AsError(err); err != nil && (e.Code != schemas.CodeRateLimited || e.RetryAfterSeconds <= 0 || e.Outcome != schemas.NotRun) {
			t.Errorf("refused with %+v", err)
		}
		if err == nil {
			in++
		}
	}
	return in
}

// Submissions are admitted until the queue is full, also those that come before the store has counted the last ones; and a flood of
// them does not become a flood of questions to the store.
func TestFullQueueAdmitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{Store: recordstest.Memory(t)}
		r := replica(s, 100)
		enqueue(t, s, 0, 90)
		if n := admitted(t, r, 10); n != 10 {
			t.Errorf("%d of 10 were admitted with room for 10", n)
		}
		enqueue(t, s, 90, 10)
		if n := admitted(t, r, 1000); n != 0 {
			t.Errorf("%d were admitted to a full queue", n)
		}
		if n := s.depth.Load(); n > 3 {
			t.Errorf("the store was asked %d times for 1010 submissions at once", n)
		}
		for _, id := range []string{"0", "1"} {
			if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{journal.ExecutionKey(id)}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(depthAge)
		if n := admitted(t, r, 2); n != 2 {
			t.Errorf("%d of 2 were admitted when there was room again", n)
		}
	})
}

func TestQueueStatusCountsByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		r := replica(s, 100)
		enqueue(t, s, 0, 3)
		later := store.Wake{Key: journal.ExecutionKey("later"), At: time.Now().Add(time.Hour), Priority: 1}
		if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{later}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		q, err := r.Status(t.Context())
		if err != nil || q.Depth != 3 || q.DepthByPriority["3"] != 3 || q.DepthByPriority["1"] != 0 || q.Sleeping != 1 || q.OldestAgeSeconds != 10 ||
			q.InFlight != 3 || q.Capacity != 8 || q.MaxQueued != 100 || q.Paused != nil {
			t.Errorf("%+v, %v", q, err)
		}
	})
}

// A pause is known to every replica within PauseAge, also to one that no watch notifies; a busy replica reads it no more often than that.
func TestPauseIsKnownToEveryReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		counted := &asked{Store: s}
		first, second := replica(s, 0), replica(counted, 0)
		second.SetEmpty(true)
		if second.Paused(t.Context()) != nil || !second.StartsAtOnce(t.Context(), false) {
			t.Error("an open queue with nothing in it lets nothing start")
		}
		began := time.Now()
		if q, err := first.Pause(t.Context(), "maintenance", "ops"); err != nil || q.Paused == nil || q.Paused.By != "ops" {
			t.Errorf("%+v, %v", q.Paused, err)
		}
		for range 1000 {
			second.Paused(t.Context())
		}
		if n := counted.pause.Load(); n != 1 {
			t.Errorf("the record was read %d times at once", n)
		}
		time.Sleep(PauseAge)
		p := second.Paused(t.Context())
		if p == nil || p.By != "ops" || p.Reason != "maintenance" || !p.Since.Equal(began.UTC()) {
			t.Errorf("%+v", p)
		}
		if second.StartsAtOnce(t.Context(), false) || !second.StartsAtOnce(t.Context(), true) {
			t.Error("a pause holds new executions, and no workflow of one that runs")
		}
		time.Sleep(time.Minute)
		if q, err := second.Pause(t.Context(), "longer", "ada"); err != nil || !q.Paused.Since.Equal(began.UTC()) || q.Paused.Reason != "longer" || q.Paused.By != "ada" {
			t.Errorf("paused again: %+v, %v", q.Paused, err)
		}
		for range 2 {
			if q, err := first.Resume(t.Context()); err != nil || q.Paused != nil {
				t.Errorf("%+v, %v", q.Paused, err)
			}
		}
		second.Changed(t.Context(), pauseKey) // the watch named it
		if second.Paused(t.Context()) != nil {
			t.Error("the queue is open, and a replica that was notified does not know it")
		}
	})
}

// What is done while the queue is open ends with a pause, and waits for its end.
func TestWorkEndsWithThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := replica(recordstest.Memory(t), 0)
		open, done := r.WhileOpen(t.Context())
		if open.Err() != nil {
			t.Error("the queue is open")
		}
		if _, err := r.Pause(t.Context(), "", "ops"); err != nil {
			t.Fatal(err)
		}
		if open.Err() == nil {
			t.Error("the queue is paused, and the work goes on")
		}
		done()
		began := time.Now()
		time.AfterFunc(time.Minute, func() {
			if _, err := r.Resume(context.Background()); err != nil {
				t.Error(err)
			}
		})
		open, done = r.WhileOpen(t.Context())
		if took := time.Since(began); took != time.Minute || open.Err() != nil {
			t.Errorf("it goes on after %s: %v", took, open.Err())
		}
		done()
		synctest.Wait() // for the rest of Resume, which reads the store
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if open, _ := r.WhileOpen(ctx); open != nil {
			t.Error("its context has ended")
		}
	})
}
