package runtime

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// itemsPlan runs lists of items one after the other, each item for some time.
func itemsPlan(take string, lists ...int) string {
	var nodes []string
	for i, n := range lists {
		node := fmt.Sprintf(`{"id":"m%d","capability":"r.idempotent","for_each":"${lists.range(%d)}","inputs":{"take":"%s"}`, i, n, take)
		if i > 0 {
			node += fmt.Sprintf(`,"depends_on":["m%d"]`, i-1)
		}
		nodes = append(nodes, node+"}")
	}
	return `{"plan":"v1","max_parallel":32,"nodes":[` + strings.Join(nodes, ",") + `],"output":1}`
}

// The items of all executions in memory together are bounded, also when a process takes over executions that have theirs already. Those for
// which there is no room wait, and none waits for ever: not two that have some and want more, nor one that wants more than there is.
func TestItemsInMemoryAreBounded(t *testing.T) {
	const limit = 64
	bounded := func(c *Config) { c.Limits.MaxItemsInMemory = limit }
	for name, tt := range map[string]struct {
		plans []string
		most  int // items of all of them in memory
	}{
		"many":                       {[]string{itemsPlan("30s", 20), itemsPlan("30s", 20), itemsPlan("30s", 20), itemsPlan("30s", 20)}, limit},
		"two that want more":         {[]string{itemsPlan("30s", 33, 30), itemsPlan("30s", 31, 33), itemsPlan("30s", 33, 33)}, limit/4 + 66},
		"one that wants too much":    {[]string{itemsPlan("10s", 100), itemsPlan("10s", 20), itemsPlan("10s", 33), itemsPlan("10s", 63)}, limit/4 + 100},
		"few do not wait for many":   {[]string{itemsPlan("30m", 64), itemsPlan("30s", 1), itemsPlan("30s", 1)}, limit + limit/4},
		"that are in one plan, each": {[]string{`{"plan":"v1","nodes":[{"id":"c","for_each":"${lists.range(3)}","workflow":{"definition":` + itemsPlan("30s", 33) + `}}],"output":1}`}, limit + limit/4},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s, bounded)
				var ids []string
				for _, plan := range tt.plans {
					ids = append(ids, p.submit(t, plan))
				}
				waited := false
				watch := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(d / 60) {
						synctest.Wait()
						l := p.Executions.Load()
						waited = waited || l.Roomless > 0
						if l.Items > tt.most {
							t.Fatalf("%d items are in memory", l.Items)
						}
					}
				}
				watch(10 * time.Second)
				if check, _ := schemas.Encode(p.Health.Check(t.Context(), schemas.ScopeRuntime)); waited != strings.Contains(string(check), "limits.max_items_in_memory") {
					t.Errorf("check_health: %s", check)
				}
				p.stop()
				p = run(w, s, bounded)
				defer p.stop()
				if name == "few do not wait for many" {
					watch(2 * time.Minute)
					ids = ids[1:]
				} else if watch(10 * time.Minute); !waited {
					t.Error("none waited")
				}
				for _, id := range ids {
					e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
					if err != nil || e.Status != schemas.StatusSucceeded {
						t.Errorf("%s %v, %+v", e.Status, err, e.WaitingFor)
					}
				}
				p.checkQueue(t)
			})
		})
	}
}
