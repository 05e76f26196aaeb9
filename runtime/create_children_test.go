package runtime

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// TestChildrenAreCreatedInTurn: a thousand children may run at once, and still only some are held in memory to be created.
func TestChildrenAreCreatedInTurn(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var creating, most, all atomic.Int64
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			for _, put := range b.Puts {
				if put.Key.Kind == "plan" && strings.Contains(string(put.Value), `"inner"`) && !strings.Contains(string(put.Value), `"outer"`) {
					now := creating.Add(1)
					defer creating.Add(-1)
					for high := most.Load(); now > high && !most.CompareAndSwap(high, now); high = most.Load() {
					}
					all.Add(1)
					time.Sleep(time.Second) // until then others could begin
				}
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		id := p.begin(t, `{"plan":"v1","nodes":[{"id":"outer","for_each":"${lists.range(200)}","max_parallel":1000,"workflow":{"definition":{"plan":"v1","nodes":[{"id":"inner","set":1}]}}}],"output":1}`)
		if e := p.rest(t, id); e.Status != schemas.StatusSucceeded {
			t.Fatalf("%s: %v", e.Status, e.Error)
		}
		if all.Load() != 200 || most.Load() > 32 || most.Load() < 2 {
			t.Errorf("%d children were created, at most %d at once; want 200, and from 2 to 32", all.Load(), most.Load())
		}
	})
}

// Children whose inputs are large are started a few at a time: until they exist their inputs are in memory.
func TestChildrenWithLargeInputsAreStartedInParts(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var most atomic.Int64
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			n := int64(0)
			for _, a := range b.Appends {
				if bytes.Contains(a.Value, []byte(`"type":"node_started"`)) && bytes.Contains(a.Value, []byte(`"child":`)) {
					n++
				}
			}
			most.Store(max(n, most.Load())) // one owner commits at a time
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		id := p.submit(t, planOf(fmt.Sprintf(`{"id":"t","set":%q}`, strings.Repeat("x", 200_000)),
			many("a", "60", `"inputs":{"text":"${nodes.t.output}"},`+within(`{"id":"s","set":1}`))))
		if e := p.rest(t, id); e.Status != schemas.StatusSucceeded {
			t.Fatalf("it is %s: %v", e.Status, e.Error)
		}
		if n := most.Load(); n < 10 || n > 21 {
			t.Errorf("one commit starts %d children, each with inputs of 200 KB", n)
		}
	})
}
