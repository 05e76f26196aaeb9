package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// shop builds the sample shop once and returns its path.
func shop(t testing.TB) string {
	t.Helper()
	path, err := buildShop()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var shopDir string

var buildShop = sync.OnceValues(func() (string, error) {
	path := filepath.Join(shopDir, "shop")
	out, err := exec.Command("go", "build", "-o", path, "../testdata/servers/shop").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

type pooled struct {
	*realm.Pool
	left *atomic.Int64 // when the last call reached the pool, in nanoseconds; nil: it is not noted
}

func (p pooled) Invoke(ctx context.Context, c *call.Call) (*call.Result, error) {
	if p.left != nil {
		p.left.Store(time.Now().UnixNano())
	}
	return p.Pool.Invoke(ctx, c)
}

func (p pooled) Catalog(ctx context.Context, names []string) plan.Catalog {
	return p.Pool.Catalog(ctx, names)
}
func (p pooled) Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	return p.Pool.Discover(ctx, q.Realm, q.Query, string(q.Detail), q.Limit, q.Cursor)
}

// testbed is a runtime with one real realm over stdio.
type testbed struct {
	*runtime.Runtime
	pool  *realm.Pool
	store store.Store
	redis *redistest.Server // of the kind redis
	left  atomic.Int64      // when the last call left the runtime, in nanoseconds
}

// kinds of stores: bolt in memory, bolt with fsync, a Redis with an append-only file.
var kinds = []string{"mem", "bolt", "redis"}

func newTestbed(t testing.TB, kind string) *testbed {
	t.Helper()
	p := &testbed{}
	var err error
	switch kind {
	case "redis":
		p.redis = redistest.Standalone(t)
		p.store, err = redis.Open(t.Context(), redis.Options{URL: p.redis.URL()})
	case "bolt":
		p.store, err = bolt.Open(bolt.Options{Dir: t.TempDir()})
	default:
		p.store, err = bolt.Open(bolt.Options{Mem: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.pool, err = realm.New(realm.Config{Realms: map[string]schemas.Realm{"shop": {Command: shop(t)}}}); err != nil {
		t.Fatal(err)
	}
	p.Runtime = runtime.New(runtime.Config{Store: p.store, Realms: pooled{p.pool, &p.left}, Limits: engine.Limits{
		Plan: plan.Limits{MaxNodes: 20_000, MaxBytes: 8 << 20, MaxReferences: 1 << 20},
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.pool.Run(ctx) }) // ends with ctx's error
	wg.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := p.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.Capabilities.Invoke(ctx, capability.Invocation{Realm: "shop", Capability: "echo", Inputs: json.RawMessage(`{"msg":"warm"}`)}); err != nil {
		t.Fatal(err)
	}
	return p
}

// finish runs a plan to its end.
func (p *testbed) finish(t testing.TB, source []byte) {
	t.Helper()
	e, err := p.Executions.Execute(context.Background(), engine.Submit{Plan: source})
	for err == nil && !e.Status.Terminal() {
		e, err = p.Executions.Status(context.Background(), e.ExecutionID, "", 20*time.Second, nil)
	}
	if err != nil || e.Status != schemas.StatusSucceeded {
		t.Errorf("execution %s: %v %v", e.Status, err, e.Error)
	}
}

// chain is a plan of n calls, each of which reads the one before.
func chain(n int) []byte {
	var s strings.Builder
	s.WriteString(`{"plan":"v1","nodes":[{"id":"n0","capability":"shop.echo","inputs":{"msg":"0"}}`)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&s, `,{"id":"n%d","capability":"shop.echo","inputs":{"msg":"${nodes.n%d.output}"}}`, i, i-1)
	}
	s.WriteString(`],"output":1}`)
	return []byte(s.String())
}

// fan is a plan of n calls that depend on nothing.
func fan(n int) []byte {
	var s strings.Builder
	s.WriteString(`{"plan":"v1","nodes":[{"id":"n0","capability":"shop.echo","inputs":{"msg":"0"}}`)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&s, `,{"id":"n%d","capability":"shop.echo","inputs":{"msg":"0"}}`, i)
	}
	s.WriteString(`],"output":1}`)
	return []byte(s.String())
}

// items is a plan of one node over n items.
func items(n int) []byte {
	return fmt.Appendf(nil, `{"plan":"v1","nodes":[{"id":"l","set":"${%s}"},
		{"id":"m","capability":"shop.echo","for_each":"${nodes.l.output}","inputs":{"msg":"${string(item)}"}}],"output":1}`,
		fmt.Sprintf("lists.range(%d)", n))
}
