package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"

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
