package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What the tests in virtual time assert of the queue, short and by the real clock, on each store. The ledger shows in which order executions
// ran: one worker takes them out of the queue one by one.
func TestQueueOnEveryStore(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, f *queueFixture)
	}{
		{"a tenant with many does not starve another", func(t *testing.T, f *queueFixture) {
			f.submit(t, "busy", 200, 3)
			f.submit(t, "calm", 5, 3)
			f.worker(t, 1)
			f.waitForCalls(t, 205)
			if last := f.last("calm"); last > 12 {
				t.Errorf("the calm tenant's five were done after %d", last+1)
			}
		}},
		{"priorities share by weight", func(t *testing.T, f *queueFixture) {
			for p := 5; p >= 1; p-- {
				f.submit(t, fmt.Sprint("p", p), 40, p)
			}
			f.worker(t, 1)
			f.waitForCalls(t, 200)
			first := f.order()[:31]
			for p, want := range []int{16, 8, 4, 2, 1} {
				n := 0
				for _, id := range first {
					if strings.HasPrefix(id, fmt.Sprintf("p%d-", p+1)) {
						n++
					}
				}
				if n != want {
					t.Errorf("priority %d: %d of the first 31, want %d", p+1, n, want)
				}
			}
		}},
		{"a changed priority overtakes", func(t *testing.T, f *queueFixture) {
			ids := f.submit(t, "a", 30, 3)
			if _, err := f.outside.Executions.SetPriority(as(t, "a"), ids[29], 1); err != nil {
				t.Fatal(err)
			}
			f.worker(t, 1)
			f.waitForCalls(t, 30)
			if got := f.order()[0]; got != "a-29" {
				t.Errorf("%s ran first, want a-29", got)
			}
		}},
		{"a pause holds all replicas", func(t *testing.T, f *queueFixture) {
			a, b := f.worker(t, 8), f.worker(t, 8)
			if _, err := a.Queue.Pause(t.Context(), "x", "ops"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the other replica knows of it", func() bool { return b.Queue.Paused(t.Context()) != nil })
			ids := f.submitTo(t, b, "a", 3, 3)
			e, err := b.Executions.Status(as(t, "a"), ids[0], schemas.ViewSummary, 20*time.Second, nil)
			if err != nil || e.Status != schemas.StatusPending || len(e.WaitingFor) != 1 {
				t.Errorf("%+v %v", e, err)
			}
			eventually(t, "what was claimed a moment before is released", func() bool { q := queueOf(t, b.Runtime); return q.Depth == 3 && q.Leased == 0 })
			if n := len(f.order()); n != 0 {
				t.Errorf("%d ran in the pause", n)
			}
			if _, err := b.Queue.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.waitForCalls(t, 3)
		}},
		{"a full queue refuses", func(t *testing.T, f *queueFixture) {
			f.submit(t, "a", 300, 3)
			_, err := f.outside.Executions.Execute(as(t, "a"), engine.Submit{Plan: []byte(quick)})
			if e := schemas.AsError(err); e == nil || e.Code != schemas.CodeRateLimited || e.RetryAfterSeconds <= 0 {
				t.Errorf("got %v, want rate_limited", err)
			}
			f.worker(t, 16)
			f.waitForCalls(t, 300)
			eventually(t, "there is room again", func() bool {
				_, err := f.outside.Executions.Execute(as(t, "a"), engine.Submit{Plan: []byte(quick)})
				return err == nil
			})
		}},
		{"a pause does not keep what waits too long", func(t *testing.T, f *queueFixture) {
			p := f.worker(t, 8)
			if _, err := p.Queue.Pause(t.Context(), "x", "ops"); err != nil {
				t.Fatal(err)
			}
			e, err := p.Executions.Execute(as(t, "a"), engine.Submit{Plan: []byte(`{"plan":"v1","queue_timeout":"200ms","nodes":[{"id":"n","capability":"r.once"}]}`)})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "it ends", func() bool {
				e, err = p.Executions.Status(as(t, "a"), e.ExecutionID, schemas.ViewSummary, 0, nil)
				return err != nil || e.Status.Terminal()
			})
			if err != nil || e.Status != schemas.StatusTimedOut || e.Error.Code != schemas.CodeQueueTimeout || len(f.order()) != 0 {
				t.Errorf("%+v %v, ran %v", e, err, f.order())
			}
		}},
	}
	for _, st := range recordstest.Stores {
		t.Run(st.Name, func(t *testing.T) {
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					open := st.Open(t)
					f := &queueFixture{world: newWorld(), open: open}
					f.outside = idle(f.world, open(), func(c *Config) { c.MaxQueued = 300 })
					tt.run(t, f)
				})
			}
		})
	}
}

// queueFixture is a store with workers and an outside process, which accepts executions and runs none.
type queueFixture struct {
	*world
	open    func() store.Store
	outside *process
}

// worker starts a replica that runs up to n executions at once.
func (f *queueFixture) worker(t *testing.T, n int) *process {
	t.Helper()
	return replica(t, f.world, f.open(), withLimits(func(l *engine.Limits) { l.MaxExecutions = n }))
}

func (f *queueFixture) submit(t *testing.T, principal string, n, priority int) []string {
	t.Helper()
	return f.submitTo(t, f.outside, principal, n, priority)
}

// submitTo submits n plans of a principal; in the ledger they are principal-0, principal-1 and so on.
func (f *queueFixture) submitTo(t *testing.T, p *process, principal string, n, priority int) (ids []string) {
	t.Helper()
	for i := range n {
		source := fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"id":"%s-%d"}}]}`, principal, i)
		e, err := p.Executions.Execute(as(t, principal), engine.Submit{Plan: []byte(source), Priority: priority})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ExecutionID)
	}
	return ids
}

// order is the ids of the ledger.
func (f *queueFixture) order() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.ledger {
		ids = append(ids, e.id)
	}
	return ids
}

// last is the position in the order of the last execution of a principal.
func (f *queueFixture) last(principal string) int {
	ids := f.order()
	for i, id := range slices.Backward(ids) {
		if strings.HasPrefix(id, principal+"-") {
			return i
		}
	}
	return -1
}

// waitForCalls waits until n calls were made.
func (f *queueFixture) waitForCalls(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d calls", n), func() bool { return len(f.order()) >= n })
}
