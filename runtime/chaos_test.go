package runtime

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// One plan runs on two replicas at once, for many seeds, while commits fail before or after they happened, renewals fail, and callers
// suspend and resume at random. In the end the plan has succeeded, every `once` call happened once unless the test decided otherwise, and
// no replica owns an execution.
func TestStoreAndCallersThatMisbehave(t *testing.T) {
	rounds := uint64(60)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) { misbehave(t, w, s, seed) })
		})
	}
}

// dice are rolled by many goroutines.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (d *dice) roll(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

func misbehave(t *testing.T, w *world, s store.Store, seed uint64) {
	d := &dice{rand: rand.New(rand.NewPCG(seed, seed))}
	ctx := context.Background()
	until := time.Now().Add(2 * time.Minute)
	trouble := errors.New("connection reset")
	bad := func(n int) bool { return time.Now().Before(until) && d.roll(n) == 0 }
	shaky := &hooks{Store: s,
		commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			time.Sleep(time.Duration(d.roll(20)) * time.Millisecond)
			if bad(12) {
				return store.Committed{}, trouble
			}
			done, err := s.Commit(ctx, b)
			time.Sleep(time.Duration(d.roll(20)) * time.Millisecond)
			if err == nil && bad(12) {
				return store.Committed{}, trouble
			}
			return done, err
		},
		renew: func(ctx context.Context, leases []store.Lease, ttl time.Duration) ([]store.Lease, error) {
			if bad(2) {
				return nil, trouble
			}
			return s.Renew(ctx, leases, ttl)
		},
	}
	replicas := []*process{run(w, shaky), run(w, shaky)}
	defer replicas[0].stop()
	defer replicas[1].stop()
	source := `{"plan":"v1","idempotency_key":"k","max_parallel":3,"nodes":[
		{"id":"a","capability":"r.read","inputs":{"take":"3s"}},
		{"id":"b","capability":"r.once","inputs":{"take":"8s"}},
		{"id":"c","capability":"r.idempotent","inputs":{"take":"20s"},"depends_on":["a"]},
		{"id":"w","wait":"700ms","depends_on":["a"]},
		{"id":"x","wait":"15s","depends_on":["b"]},
		{"id":"d","capability":"r.once","inputs":{"take":"100ms"},"depends_on":["w"]},
		{"id":"e","capability":"r.read","inputs":{"fail":2,"code":"unavailable"},"depends_on":["d"]},
		{"id":"f","capability":"r.once","inputs":{"take":"5s"},"depends_on":["c","x","e"]},
		{"id":"g","capability":"r.once","depends_on":["f"]}]}`
	var id string
	for id == "" {
		e, err := replicas[d.roll(2)].Executions.Execute(ctx, engine.Submit{Plan: []byte(source)})
		if err == nil {
			id = e.ExecutionID
		}
		time.Sleep(100 * time.Millisecond)
	}
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for time.Now().Before(until) {
				p := replicas[d.roll(2)]
				switch d.roll(4) {
				case 0:
					_, _ = p.Executions.Suspend(ctx, id, []string{"", "now"}[d.roll(2)], "")
				case 1, 2:
					_, _ = p.Executions.Resume(ctx, id, nil)
				case 3:
					_, _ = p.Executions.Signal(ctx, id, "ping", nil)
				}
				time.Sleep(time.Duration(d.roll(6000)) * time.Millisecond)
			}
		})
	}
	callers.Wait()
	time.Sleep(time.Minute)
	decided := map[string]bool{}
	for range 200 {
		e, err := replicas[0].Executions.Status(ctx, id, schemas.ViewNodes, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Status.Terminal() {
			want(t, e, schemas.StatusSucceeded, "", "")
			replicas[0].checkLog(t, id)
			break
		}
		patch := &schemas.Patch{Nodes: map[string]schemas.NodePatch{}}
		for _, n := range e.WaitingFor {
			if n.Reason == schemas.ReasonUnknown {
				decided[n.NodeID] = true
				patch.Nodes[n.NodeID] = schemas.NodePatch{Output: schemas.Value(`{"id":"decided"}`)}
			}
		}
		if e.Status == schemas.StatusSuspended { // what runs is left alone: it has to end by itself
			if _, err = replicas[d.roll(2)].Executions.Resume(ctx, id, patch); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
	}
	for _, once := range []string{"b", "d", "f", "g"} {
		if n := w.calls("once", once); n > 1 || n == 0 && !decided[once] {
			t.Errorf("once call %s happened %d times (decided: %v)", once, n, decided[once])
		}
	}
	e, _ := replicas[0].Executions.Status(ctx, id, schemas.ViewNodes, 0, nil)
	if !e.Status.Terminal() {
		events, _ := replicas[0].Executions.Events(ctx, id, 0, 500)
		var b strings.Builder
		for _, ev := range events.Events {
			fmt.Fprintf(&b, "%d %s %s %s %d %s\n", ev.Seq, ev.At.Format("15:04:05.000"), ev.Type, ev.Node, ev.Attempt, ev.By)
		}
		t.Errorf("still %s %+v %v\n%s", e.Status, e.Progress, e.WaitingFor, b.String())
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	replicas[0].ownsNothing(t)
	replicas[1].ownsNothing(t)
}
