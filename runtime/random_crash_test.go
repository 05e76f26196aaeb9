package runtime

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// randomPlan is a plan whose result does not depend on the order in which its nodes run: reads and idempotent calls, some of which fail at
// first or for good, values, lists, fallbacks, timers and workflows.
func randomPlan(r *rand.Rand) string {
	var nodes []string
	n := 3 + r.IntN(6)
	for i := range n {
		id := fmt.Sprintf("n%d", i)
		deps, rule := "", ""
		if i > 0 {
			deps = fmt.Sprintf(`,"depends_on":["n%d"]`, r.IntN(i))
			rule = []string{"", "", `,"trigger_rule":"all_done"`, `,"trigger_rule":"none_failed"`}[r.IntN(4)]
		}
		tool := []string{"read", "idempotent"}[r.IntN(2)]
		call := fmt.Sprintf(`"capability":"r.%s","inputs":{"id":"%s","take":"%dms"`, tool, id, 1+r.IntN(20))
		var body string
		switch r.IntN(8) {
		case 0:
			body = fmt.Sprintf(`"set":"v%d"`, i)
		case 1:
			body = fmt.Sprintf(`"wait":"%ds"`, 1+r.IntN(3))
		case 2:
			body = call + `,"fail":1,"code":"unavailable"}`
		case 3:
			body = call + `,"code":"invalid_argument","fail":99},"on_error":"continue"`
		case 4:
			body = call + `,"code":"invalid_argument","fail":99},"fallback":[{"value":"instead"}]`
		case 5:
			body = fmt.Sprintf(`"for_each":"${lists.range(%d)}","max_parallel":2,"capability":"r.%s","inputs":{"id":"%s[${index}]"}`, r.IntN(5), tool, id)
		case 6:
			body = fmt.Sprintf(`"workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","capability":"r.%s","inputs":{"id":"%s.a"}}],"output":"${nodes.a.output}"}}`, tool, id)
		default:
			body = call + `}`
		}
		nodes = append(nodes, fmt.Sprintf(`{"id":%q%s%s,%s}`, id, deps, rule, body))
	}
	return fmt.Sprintf(`{"plan":"v1","idempotency_key":"k","max_parallel":%d,"nodes":[%s]}`, 1+r.IntN(4), strings.Join(nodes, ",\n"))
}

// result is what became of an execution: its status, its output, and each node's status and output.
func result(e schemas.Execution) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Status, e.Output)
	for _, n := range e.Nodes {
		fmt.Fprintf(&b, "\n%s %s %s", n.ID, n.Status, n.Output)
	}
	return b.String()
}

// Random plans run once undisturbed, and then again with the process dying at one of their commits, before or after it was durable, and
// another process going on.
func TestRandomPlansGiveTheSameResultAfterACrashAtAnyCommit(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	for seed := first; seed < first+12; seed++ {
		source := randomPlan(rand.New(rand.NewPCG(seed, 0)))
		var want string
		commits := 0
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			counting := storetest.Crash(s, 0, storetest.CrashBefore)
			p := run(w, counting)
			defer p.stop()
			want = result(p.execute(t, source))
			commits = counting.Commits()
		})
		for at := 1; at <= commits; at++ {
			mode := storetest.CrashModes[at%2]
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				dying := run(w, storetest.Crash(s, at, mode))
				_, _ = dying.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)}) // it may die meanwhile
				time.Sleep(time.Minute)
				synctest.Wait()
				dying.stop()
				w.failed = map[string]int{} // a call that fails at first does so again: a lost attempt is not spent
				p := run(w, s)
				defer p.stop()
				if got := result(p.execute(t, source)); got != want {
					t.Errorf("seed %d, crash at commit %d of %d (%s):\ngot  %s\nwant %s\nplan %s", seed, at, commits, mode, got, want, source)
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}
