package runtime

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// workflow is a node that runs the nodes as a plan within.
func workflow(id, extra, nodes string) string {
	return fmt.Sprintf(`{"id":"%s",%s"workflow":{"definition":{"plan":"v1","nodes":[%s]}}}`, id, extra, nodes)
}

const twoDays = `{"id":"t","wait":"48h"}`

// children are the executions of the workflow nodes of one that somebody submitted.
func (p *process) children(t *testing.T) []schemas.Execution {
	t.Helper()
	l, err := p.List(t.Context(), ListQuery{Limit: maxList})
	if err != nil {
		t.Fatal(err)
	}
	var out []schemas.Execution
	for _, e := range l.Executions {
		if e.ParentID != "" {
			out = append(out, e)
		}
	}
	return out
}

func TestParentsLeaveRoomForTheirChildren(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p := live(w, s, func(c *Config) { c.Limits.MaxExecutions = 1 })
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[`+workflow("w", "", `{"id":"a","capability":"r.once"}`)+`]}`)
		if p.owner(id) != nil {
			t.Error("an execution that waits for a workflow is kept in memory")
		}
		time.Sleep(time.Minute)
		if e, err := p.Status(t.Context(), id, "", 0, nil); err != nil || e.Status != schemas.StatusSucceeded {
			t.Errorf("%s %v: the child found no room", e.Status, err)
		}
	})
}

func TestChildrenEndWithTheirParentHoweverItEnds(t *testing.T) {
	for name, plan := range map[string]string{
		"timeout":                   `{"plan":"v1","timeout":"10m","nodes":[` + workflow("w", "", twoDays) + `]}`,
		"another workflow fails":    `{"plan":"v1","nodes":[` + workflow("w", "", twoDays) + `,` + workflow("x", "", `{"id":"t","wait":"5m"},{"id":"a","capability":"r.once","inputs":{"fail":9},"depends_on":["t"]}`) + `]}`,
		"an event does not come":    `{"plan":"v1","nodes":[` + workflow("w", "", twoDays) + `,{"id":"e","wait_for":{"event":"e","timeout":"5m"}}]}`,
		"a node fails at once":      `{"plan":"v1","inputs":{"l":[]},"nodes":[` + workflow("w", "", twoDays) + `,{"id":"s","set":"${inputs.l[3]}"}]}`,
		"a call fails":              `{"plan":"v1","nodes":[` + workflow("w", "", twoDays) + `,{"id":"a","capability":"r.once","inputs":{"fail":9}}]}`,
		"compensation":              `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","compensate":{"capability":"r.read"}},` + workflow("w", "", twoDays) + `,{"id":"e","wait_for":{"event":"e","timeout":"5m"},"on_error":"compensate","depends_on":["a"]}]}`,
		"total_timeout of its node": `{"plan":"v1","nodes":[` + workflow("w", `"total_timeout":"5m","on_error":"continue",`, twoDays) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world, s store.Store) {
				p := live(w, s)
				defer p.stop()
				id := p.submit(t, plan)
				time.Sleep(time.Hour)
				if e, err := p.Status(t.Context(), id, "", 0, nil); err != nil || !e.Status.Terminal() {
					t.Errorf("the parent is %s %v", e.Status, err)
				}
				for _, c := range p.children(t) {
					if !c.Status.Terminal() {
						t.Errorf("its child is %s", c.Status)
					}
				}
			})
		})
	}
}

func TestChildOfAParentThatEndedDoesNothingMore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		first := live(w, s)
		id := first.submit(t, `{"plan":"v1","nodes":[`+workflow("w", "", `{"id":"t","wait":"1h"},{"id":"a","capability":"r.once","depends_on":["t"]}`)+`,{"id":"q","review":"sure?"}]}`)
		first.stop()
		if _, err := first.DecideReview(t.Context(), id+"/q", Decision{By: "ada"}); err != nil { // from a process that runs nothing
			t.Fatal(err)
		}
		synctest.Wait()
		second := live(w, s)
		defer second.stop()
		want(t, second.rest(t, id), schemas.StatusFailed, "", "w=cancelled q=failed")
		want(t, second.rest(t, second.children(t)[0].ExecutionID), schemas.StatusCancelled, "", "")
		if n := w.calls("", ""); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestChildrenUndoWithTheirParent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p := live(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[`+workflow("w", "", `{"id":"a","capability":"r.once","compensate":{"capability":"r.read","inputs":{"id":"undo"}}},{"id":"t","wait":"48h","depends_on":["a"]}`)+`]}`)
		if _, err := p.Cancel(t.Context(), id, CancelOptions{Compensate: true}); err != nil {
			t.Fatal(err)
		}
		p.rest(t, id)
		synctest.Wait()
		if w.calls("read", "undo") != 1 {
			t.Errorf("what the plan within did was not undone: %v", w.ledger)
		}
	})
}

