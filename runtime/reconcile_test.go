package runtime

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/upkeep"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Wakes are removed on purpose, while three replicas run: each execution is woken once, and one that needs no wake is left alone.
func TestExecutionInNoQueueIsFoundAndWoken(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var passes atomic.Int64
		counted := &hooks{Store: s, passes: true, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			done, err := s.Commit(ctx, b)
			if len(b.Puts) == 1 && b.Puts[0].Key.Kind == records.KindReconcile && err == nil {
				passes.Add(1)
			}
			return done, err
		}}
		all := []*process{run(w, counted), run(w, counted), run(w, counted)}
		unqueued := func() (n int64) {
			for _, p := range all {
				n += p.upkeep.Unqueued.Load()
			}
			return n
		}
		p := all[0]
		for _, q := range all {
			defer q.stop()
		}
		timer := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"30m"}]}`)
		running := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"take":"10m"},"timeout":"1h"}]}`)
		waiting := []string{
			p.submit(t, `{"plan":"v1","nodes":[{"id":"s","wait_for":"go"}]}`),
			p.submit(t, `{"plan":"v1","nodes":[{"id":"q","review":"Sure?"}]}`),
		}
		suspended := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"2h"}]}`)
		if _, err := p.Executions.Suspend(t.Context(), suspended, "", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if n := unqueued(); n != 0 {
			t.Fatalf("%d were found, and nothing was broken", n)
		}
		if n := passes.Load(); n < 12 || n > 28 { // two commits each; alone, each replica would make 20
			t.Errorf("%d commits of passes in 10 minutes", n)
		}
		visitor := idle(w, s)
		pending, err := visitor.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, id := range []string{timer, pending.ExecutionID} {
			if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: journal.ExecutionKey(id)}}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Minute)
		if n := unqueued(); n != 2 {
			t.Errorf("%d were found, 2 were broken", n)
		}
		time.Sleep(2 * time.Hour)
		if n := unqueued(); n != 2 {
			t.Errorf("%d were found in all", n)
		}
		for _, id := range append(waiting, timer, running, suspended, pending.ExecutionID) {
			e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := schemas.StatusSucceeded
			switch id {
			case waiting[0], waiting[1]:
				want = schemas.StatusRunning
			case suspended:
				want = schemas.StatusSuspended
			}
			if e.Status != want {
				t.Errorf("%s is %s, want %s", id, e.Status, want)
			}
		}
	})
}

// A pass of the reconciler is bounded, and every open execution has its turn.
func TestPassesGoOnWhereTheLastOneEnded(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"30h"}]}`)
		h, _, err := p.journal.ReadHead(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		value, err := schemas.Encode(&h)
		if err != nil {
			t.Fatal(err)
		}
		const n = records.RoundPages*records.PageSize + 10
		for i := range n { // heads alone are enough: each waits for an event, but for the last one
			key := store.Key{Kind: journal.KindExecution, ID: "0" + string(rune('a'+i/676)) + string(rune('a'+i/26%26)) + string(rune('a'+i%26))}
			b := store.Batch{Puts: []store.Put{{Key: key, Value: value, Terms: []string{"status=running"}}}}
			if i < n-1 {
				b.Wakes = []store.Wake{{Key: key, At: time.Now().Add(1000 * time.Hour)}}
			}
			if _, err := s.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		for pass, want := range []int64{0, 1, 1} {
			time.Sleep(upkeep.ReconcileEvery)
			if _, err := p.store.Round(t.Context(), p.upkeep.ReconcileRounds()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the runtime's own pass may have come first
			if got := p.upkeep.Unqueued.Load(); got != want {
				t.Errorf("%d found after pass %d, want %d", got, pass, want)
			}
		}
	})
}
