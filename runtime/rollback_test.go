package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// rewound is a store that can lose the last commits to an execution, though it acknowledged them, as a Redis does that fails over to a
// replica which had not received them.
type rewound struct {
	store.Store
	mu      sync.Mutex
	batches map[string][]store.Batch // by partition
}

func (f *rewound) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	done, err := f.Store.Commit(ctx, b)
	if err == nil {
		if p := partition(&b); p != "" {
			f.batches[p] = append(f.batches[p], b)
		}
	}
	return done, err
}

// partition is the id of the execution that a batch writes; empty: none.
func partition(b *store.Batch) string {
	for i := range b.Puts {
		if b.Puts[i].Key.Kind == journal.KindExecution {
			return b.Puts[i].Key.Partition()
		}
	}
	return ""
}

// lose undoes the last n commits to an execution, or all of them: all of its records are deleted, and the commits before are made again.
func (f *rewound) lose(t *testing.T, id string, n int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.batches[id]
	f.batches[id] = all[:max(0, len(all)-n)]
	seen := map[store.Key]bool{}
	var wipe store.Batch
	for _, b := range all {
		for i := range b.Puts {
			if k := b.Puts[i].Key; !seen[k] {
				seen[k] = true
				wipe.Deletes = append(wipe.Deletes, k)
			}
		}
	}
	for _, b := range append([]store.Batch{wipe}, f.batches[id]...) {
		if b.Release != nil { // the lease is another one now
			b.Release = nil
		}
		if _, err := f.Store.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// While calls are in flight the store loses the last n commits. The owner detects it, by a conflict of its next commit or by the lost lease,
// commits them again, and every call happens once.
func TestStoreThatLosesCommits(t *testing.T) {
	source := `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"1s","give":"` + strings.Repeat("a", 2*engine.MaxInlineOutput) + `"}},
		{"id":"b","capability":"r.once","inputs":{"take":"1s"},"depends_on":["a"]},{"id":"i","for_each":"${[1,2,3]}","capability":"r.once","inputs":{"id":"i${index}"},"depends_on":["b"]},
		{"id":"c","capability":"r.once","inputs":{"take":"%s"},"depends_on":["i"],"timeout":"1h"},{"id":"d","capability":"r.once","depends_on":["c"]},
		{"id":"size","set":"${size(nodes.a.output)}","depends_on":["d"]}]}`
	for name, take := range map[string]string{"a commit conflicts": "3s", "the lease is gone": "1m"} {
		for _, n := range []int{1, 2, 3, 4, 100} {
			for _, replicas := range []int{1, 2} {
				if replicas == 2 && n < 100 {
					continue
				}
				t.Run(fmt.Sprintf("%s, %d commits, %d replicas", name, n, replicas), func(t *testing.T) {
					inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
						f := &rewound{Store: s, batches: map[string][]store.Batch{}}
						p := run(w, f)
						defer p.stop()
						id := p.submit(t, fmt.Sprintf(source, take))
						time.Sleep(2500 * time.Millisecond)
						if w.calls("once", "c") != 1 {
							t.Fatal("c is not in flight")
						}
						before, err := p.Executions.Events(t.Context(), id, 0, 500)
						if err != nil {
							t.Fatal(err)
						}
						f.lose(t, id, n)
						if replicas == 2 && n == 100 { // with fewer the other one would claim the execution, and go on from there
							other := run(w, f)
							defer other.stop()
						}
						time.Sleep(10 * time.Minute)
						e := p.rest(t, id)
						want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded i=succeeded c=succeeded d=succeeded size=succeeded")
						if got, want := string(e.Nodes[5].Output), fmt.Sprint(2*engine.MaxInlineOutput); got != want {
							t.Errorf("size %s, want %s", got, want)
						}
						for _, once := range []string{"a", "b", "i0", "i1", "i2", "c", "d"} {
							if got := w.calls("once", once); got != 1 {
								t.Errorf("%s was called %d times", once, got)
							}
						}
						after, err := p.Executions.Events(t.Context(), id, 0, 500)
						if err != nil {
							t.Fatal(err)
						}
						for i, e := range before.Events {
							if got := after.Events[i]; got.Type != e.Type || got.Node != e.Node || !got.At.Equal(e.At) {
								t.Errorf("event %d is %s %s, and was %s %s", i+1, got.Type, got.Node, e.Type, e.Node)
							}
						}
						reported := 0
						for _, e := range after.Events {
							if e.Type == schemas.EventRolledBack {
								reported++
								if s := string(e.Data); !strings.Contains(s, fmt.Sprintf(`"from_seq":%d,`, before.LastSeq)) || !strings.Contains(s, `"restored":true`) {
									t.Errorf("the log has %s", s)
								}
							}
						}
						if c := p.Executions.Counters.RolledBack.Load(); reported != 1 || c != 1 {
							t.Errorf("reported %d times, counted %d", reported, c)
						}
						synctest.Wait()
					})
				})
			}
		}
	}
}

// What the owner does not remember cannot be restored: the once calls that it knows of are held, other nodes run again.
func TestStoreThatLosesMoreThanIsRemembered(t *testing.T) {
	for name, verb := range map[string]string{"patched": "output", "retried": "retry"} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				f := &rewound{Store: s, batches: map[string][]store.Batch{}}
				p := run(w, f, withLimits(func(l *engine.Limits) { l.MaxMemory = 3 }))
				defer p.stop()
				id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"1s"}},{"id":"r","capability":"r.read","inputs":{"take":"1s"},"depends_on":["a"]},
					{"id":"b","capability":"r.once","inputs":{"take":"1s"},"depends_on":["r"]},{"id":"c","capability":"r.read","inputs":{"take":"1s"},"depends_on":["b"]},{"id":"d","capability":"r.once","depends_on":["c"]}]}`)
				time.Sleep(3500 * time.Millisecond)
				f.lose(t, id, 3) // up to the start of a: its end, r and b are lost
				time.Sleep(5 * time.Minute)
				e := p.rest(t, id)
				want(t, e, schemas.StatusSuspended, "", "a=held r=pending b=pending c=pending d=pending")
				for i, node := range []string{"a", "b"} {
					patch := &schemas.Patch{Nodes: map[string]schemas.NodePatch{node: {Output: schemas.Value(`{"id":"decided"}`)}}}
					if verb == "retry" {
						patch.Nodes[node] = schemas.NodePatch{Retry: true}
					}
					if _, err := p.Executions.Resume(t.Context(), id, patch); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					e = p.rest(t, id)
					want(t, e, []schemas.Status{schemas.StatusSuspended, schemas.StatusSucceeded}[i], "", []string{
						"a=succeeded r=succeeded b=held c=pending d=pending", "a=succeeded r=succeeded b=succeeded c=succeeded d=succeeded"}[i])
				}
				calls := map[string]int{"output": 1, "retry": 2}[verb]
				if w.calls("once", "a") != calls || w.calls("once", "b") != calls || w.calls("once", "d") != 1 {
					t.Errorf("ledger %v", w.ledger)
				}
				if c := p.Executions.Counters.RolledBack.Load(); c != 1 {
					t.Errorf("counted %d", c)
				}
			})
		})
	}
}

// Before the owner detects the loss another replica has written to what was left. That history counts; the log reports what the owner knows,
// and its once calls are not made again.
func TestStoreThatLosesCommitsAndIsWrittenTo(t *testing.T) {
	for name, commits := range map[string][]int{ // each writes so many events
		"further than the owner knows":   {1, 1, 1, 1},
		"to where the owner once stood":  {2},
		"to where the owner stood last":  {2, 2},
		"less far than the owner stands": {1},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				f := &rewound{Store: s, batches: map[string][]store.Batch{}}
				p := run(w, f)
				defer p.stop()
				id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"1s"}},{"id":"b","capability":"r.once","inputs":{"take":"1s"},"depends_on":["a"]},
					{"id":"c","capability":"r.once","inputs":{"take":"1h"},"timeout":"2h","depends_on":["b"]}]}`)
				time.Sleep(2500 * time.Millisecond)
				f.lose(t, id, 2)
				for _, events := range commits {
					err := idle(w, f).Executions.Decide(t.Context(), id, func(*machine.State, time.Time) ([]schemas.Event, error) {
						return slices.Repeat([]schemas.Event{{Type: schemas.EventSignal, Name: "ping"}}, events), nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				for _, nodes := range []string{"a=held b=pending c=pending", "a=succeeded b=held c=pending", "a=succeeded b=succeeded c=held"} {
					time.Sleep(time.Minute)
					e := p.rest(t, id)
					want(t, e, schemas.StatusSuspended, "", nodes)
					patch := &schemas.Patch{Nodes: map[string]schemas.NodePatch{e.WaitingFor[0].NodeID: {Output: schemas.Value(`{"id":"decided"}`)}}}
					if _, err := p.Executions.Resume(t.Context(), id, patch); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Hour)
				want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
				if n := w.calls("once", ""); n != 3 {
					t.Errorf("ledger %v", w.ledger)
				}
				if c := p.Executions.Counters.RolledBack.Load(); c != 1 {
					t.Errorf("counted %d", c)
				}
			})
		})
	}
}

// An execution that was deleted is not restored.
func TestDeletedExecutionIsNotRestored(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"take":"10s"}},{"id":"m","capability":"r.read","depends_on":["n"]}]}`)
		if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{journal.ExecutionKey(id)}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if _, err := p.Executions.Status(t.Context(), id, "", 0, nil); schemas.AsError(err) == nil || schemas.AsError(err).Code != schemas.CodeNotFound {
			t.Errorf("got %v", err)
		}
		if c := p.Executions.Counters.RolledBack.Load(); c != 0 || w.calls("read", "m") != 0 {
			t.Errorf("counted %d, ledger %v", c, w.ledger)
		}
		p.ownsNothing(t)
	})
}

// The owner cannot read the execution when it finds that its lease is gone. It records the rollback once it can, before another owner
// continues without what the store lost.
func TestRollbackIsRecordedOnceTheStoreAnswers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		f := &rewound{Store: s, batches: map[string][]store.Batch{}}
		var until time.Time
		p := run(w, &hooks{Store: f, get: func(ctx context.Context, k store.Key) (store.Record, error) {
			if k.Kind == journal.KindExecution && time.Now().Before(until) {
				return store.Record{}, recordstest.ErrUnreachable
			}
			return f.Get(ctx, k)
		}})
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"r","capability":"r.read","inputs":{"take":"1s"}},
			{"id":"n","capability":"r.once","inputs":{"take":"5m"},"timeout":"10m","depends_on":["r"]}]}`)
		time.Sleep(2 * time.Second)
		until = time.Now().Add(30 * time.Second)
		f.lose(t, id, 1)
		time.Sleep(20 * time.Minute)
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "r=succeeded n=succeeded")
		if n := w.calls("once", ""); n != 1 || p.Executions.Counters.RolledBack.Load() != 1 {
			t.Errorf("%d calls, %d rollbacks", n, p.Executions.Counters.RolledBack.Load())
		}
		synctest.Wait()
	})
}
