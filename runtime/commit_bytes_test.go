package runtime

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// TestLargeValuesAreCommittedInParts: however much the nodes of a plan make at once, a commit holds some megabytes of it, and nothing
// is lost.
func TestLargeValuesAreCommittedInParts(t *testing.T) {
	const nodes, each, most = 60, 900_000, 9 << 20
	text := fmt.Sprintf(`"x": %q`, strings.Repeat("x", each/10))
	ten := strings.TrimSuffix(strings.Repeat("inputs.x + ", 10), " + ")
	for name, source := range map[string]string{
		"nodes": `{"plan":"v1","inputs":{` + text + `},"nodes":[` + list(nodes, func(i int) string { return fmt.Sprintf(`{"id":"n%d","set":"${%s}"}`, i, ten) }) + `],"output":1}`,
		"chain": `{"plan":"v1","inputs":{` + text + `},"nodes":[{"id":"n0","set":"${` + ten + `}"},` + list(nodes-1, func(i int) string { return fmt.Sprintf(`{"id":"n%d","set":"${nodes.n%d.output}"}`, i+1, i) }) + `],"output":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				largest, all := 0, 0
				p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
					bytes := 0
					for _, put := range b.Puts {
						bytes += len(put.Value)
					}
					largest, all = max(largest, bytes), all+bytes
					return s.Commit(ctx, b)
				}})
				defer p.stop()
				id := p.begin(t, source)
				if e := p.rest(t, id); e.Status != schemas.StatusSucceeded {
					t.Fatalf("%s: %v", e.Status, e.Error)
				}
				if largest > most || all < nodes*each {
					t.Errorf("one commit holds %d bytes, more than %d, or all of them %d, fewer than %d", largest, most, all, nodes*each)
				}
			})
		})
	}
}

// list joins n texts with commas.
func list(n int, of func(i int) string) string {
	var all []string
	for i := range n {
		all = append(all, of(i))
	}
	return strings.Join(all, ",")
}

// TestValuesOfAllExecutionsWaitForTheStoreInParts: while the store is slow, executions wait before they make more than all of them together
// may hold, and all of them end.
func TestValuesOfAllExecutionsWaitForTheStoreInParts(t *testing.T) {
	const executions, nodes, each, most = 30, 8, 1_000_000, 64 << 20
	ten := strings.TrimSuffix(strings.Repeat("inputs.x + ", 10), " + ")
	source := fmt.Sprintf(`{"plan":"v1","inputs":{"x":%q},"nodes":[`, strings.Repeat("x", each/10)) +
		list(nodes, func(i int) string { return fmt.Sprintf(`{"id":"n%d","set":"${%s}"}`, i, ten) }) + `],"output":1}`
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var slow atomic.Bool
		var held, high, all atomic.Int64
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			bytes := int64(0)
			for _, put := range b.Puts {
				if put.Key.Kind == "output" {
					bytes += int64(len(put.Value))
				}
			}
			all.Add(bytes)
			now := held.Add(bytes)
			defer held.Add(-bytes)
			for before := high.Load(); now > before && !high.CompareAndSwap(before, now); before = high.Load() {
			}
			if bytes > 0 && slow.Load() {
				time.Sleep(time.Minute)
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		slow.Store(true)
		ids := make([]string, executions)
		var begun sync.WaitGroup
		for i := range ids {
			begun.Go(func() { ids[i] = p.begin(t, source) })
		}
		begun.Wait()
		for _, id := range ids {
			if e := p.rest(t, id); e.Status != schemas.StatusSucceeded {
				t.Fatalf("%s: %v", e.Status, e.Error)
			}
		}
		if n := high.Load(); n > most+executions*each || n < most || all.Load() != executions*nodes*each+2*executions*nodes {
			t.Errorf("%d bytes waited for the store at once, of %d in all", n, all.Load())
		}
	})
}
