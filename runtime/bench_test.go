package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// shop builds the sample shop once for all benchmarks and returns its path.
func shop(b *testing.B) string {
	b.Helper()
	path, err := buildShop()
	if err != nil {
		b.Fatal(err)
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

type pooled struct{ *realm.Pool }

func (p pooled) Catalog(ctx context.Context, names []string) plan.Catalog {
	return p.Pool.Catalog(ctx, names)
}
func (p pooled) Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	return p.Pool.Discover(ctx, q.Realm, q.Query, string(q.Detail), q.Limit, q.Cursor)
}

// plane is a runtime with one real realm over stdio.
type plane struct {
	*runtime.Runtime
	pool  *realm.Pool
	store store.Store
}

func newPlane(b *testing.B, kind string) *plane {
	b.Helper()
	options := bolt.Options{Mem: true}
	if kind == "bolt" {
		options = bolt.Options{Dir: b.TempDir()}
	}
	s, err := bolt.Open(options)
	if err != nil {
		b.Fatal(err)
	}
	pool, err := realm.New(realm.Config{Realms: map[string]schemas.Realm{"shop": {Command: shop(b)}}})
	if err != nil {
		b.Fatal(err)
	}
	p := &plane{runtime.New(runtime.Config{Store: s, Realms: pooled{pool}, Limits: runtime.Limits{
		Plan: plan.Limits{MaxNodes: 20_000, MaxBytes: 8 << 20, MaxReferences: 1 << 20},
	}}), pool, s}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = pool.Run(ctx) }) // ends with ctx's error
	wg.Go(func() { _ = p.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := p.Invoke(ctx, runtime.Invocation{Realm: "shop", Capability: "echo", Inputs: json.RawMessage(`{"msg":"warm"}`)}); err != nil {
		b.Fatal(err)
	}
	return p
}

// finish runs a plan to its end.
func (p *plane) finish(b *testing.B, source []byte) {
	e, err := p.Execute(context.Background(), runtime.Submit{Plan: source})
	for err == nil && !e.Status.Terminal() {
		e, err = p.Status(context.Background(), e.ExecutionID, "", 20*time.Second, nil)
	}
	if err != nil || e.Status != schemas.StatusSucceeded {
		b.Errorf("execution %s: %v %v", e.Status, err, e.Error)
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

// chainLength is how many nodes each chain of the throughput benchmarks has.
const chainLength = 50

// BenchmarkChains measures nodes a second of 1, 16 and 64 executions at once, against the floor: the same calls through the
// same realm with one group commit each and no engine.
func BenchmarkChains(b *testing.B) {
	for _, kind := range []string{"mem", "bolt"} {
		for _, wide := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/executions=%d", kind, wide), func(b *testing.B) {
				p := newPlane(b, kind)
				source := chain(chainLength)
				var floor, engine time.Duration
				for b.Loop() {
					began := time.Now()
					p.floor(b, wide)
					floor += time.Since(began)
					began = time.Now()
					inParallel(wide, func(int) { p.finish(b, source) })
					engine += time.Since(began)
				}
				nodes := float64(b.N * wide * chainLength)
				b.ReportMetric(nodes/engine.Seconds(), "nodes/s")
				b.ReportMetric(nodes/floor.Seconds(), "floor-nodes/s")
				b.ReportMetric(100*floor.Seconds()/engine.Seconds(), "%-of-floor")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

var floorKey atomic.Int64

// floor does the calls of `wide` chains, each followed by one durable commit of one small record.
func (p *plane) floor(b *testing.B, wide int) {
	inParallel(wide, func(int) {
		key := store.Key{Kind: "floor", ID: fmt.Sprint(floorKey.Add(1))}
		value := []byte(strings.Repeat("x", 200))
		for range chainLength {
			_, err := p.pool.Invoke(context.Background(), &call.Call{Realm: "shop", Capability: "echo", Inputs: json.RawMessage(`{"msg":"0"}`), Effect: schemas.EffectRead})
			if err == nil {
				_, err = p.store.Commit(context.Background(), store.Batch{Puts: []store.Put{{Key: key, Value: value, Version: store.AnyVersion}}})
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func inParallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// BenchmarkCostPerNode measures whether a node costs the same in plans of 10 and of 10,000 nodes. The small plan runs as
// often as it takes to make as many nodes, alternating with the large one.
func BenchmarkCostPerNode(b *testing.B) {
	for _, shape := range []struct {
		name string
		make func(int) []byte
	}{{"chain", chain}, {"fan", fan}, {"items", items}} {
		for _, n := range []int{100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/nodes=%d", shape.name, n), func(b *testing.B) {
				p := newPlane(b, "mem")
				small, large := shape.make(10), shape.make(n)
				var tens, ns time.Duration
				for b.Loop() {
					began := time.Now()
					for range n / 10 {
						p.finish(b, small)
					}
					tens += time.Since(began)
					began = time.Now()
					p.finish(b, large)
					ns += time.Since(began)
				}
				nodes := float64(b.N * n)
				b.ReportMetric(float64(tens.Microseconds())/nodes, "µs/node-of-10")
				b.ReportMetric(float64(ns.Microseconds())/nodes, "µs/node")
				b.ReportMetric(ns.Seconds()/tens.Seconds(), "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkInvoke measures a direct call over stdio with a bare MCP client against invoke_capability on the same server.
func BenchmarkInvoke(b *testing.B) {
	p := newPlane(b, "mem")
	bare, err := client.NewStdioMCPClient(shop(b), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	ctx := context.Background()
	if _, err := bare.Initialize(ctx, mcp.InitializeRequest{}); err != nil {
		b.Fatal(err)
	}
	var r mcp.CallToolRequest
	r.Params.Name, r.Params.Arguments = "echo", map[string]any{"msg": "0"}
	var direct, invoked time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := bare.CallTool(ctx, r); err != nil {
			b.Fatal(err)
		}
		direct += time.Since(began)
		began = time.Now()
		if _, err := p.Invoke(ctx, runtime.Invocation{Realm: "shop", Capability: "echo", Inputs: json.RawMessage(`{"msg":"0"}`)}); err != nil {
			b.Fatal(err)
		}
		invoked += time.Since(began)
	}
	b.ReportMetric(float64(direct.Nanoseconds())/float64(b.N), "ns/direct")
	b.ReportMetric(float64(invoked.Nanoseconds())/float64(b.N), "ns/invoked")
	b.ReportMetric(invoked.Seconds()/direct.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPolicies measures invoke_capability with every policy on (breaker, rooms, rate limits, quotas, a cache that never
// hits, a fallback) against none: two runtimes on one store and one realm, call by call, by the median.
func BenchmarkPolicies(b *testing.B) {
	p := newPlane(b, "mem")
	ctx := context.Background()
	plenty := &schemas.RateLimit{Rate: 1_000_000}
	quota := schemas.Quota{Calls: 1_000_000_000, Bytes: 1_000_000_000_000, Time: schemas.Duration(10_000 * time.Hour)}
	runtimes := []*runtime.Runtime{
		runtime.New(runtime.Config{Store: p.store, Realms: pooled{p.pool}, Policies: schemas.Policies{Default: schemas.Policy{Breaker: &schemas.Breaker{Failures: new(0)}}}}),
		runtime.New(runtime.Config{Store: p.store, Realms: pooled{p.pool}, Quotas: call.QuotaRules{Principal: quota, Session: quota}, Policies: schemas.Policies{
			Default: schemas.Policy{
				RateLimit: plenty, Concurrency: new(1000), CacheTTL: new(schemas.Duration(time.Hour)), StaleIfError: new(schemas.Duration(time.Hour)),
				Fallback: []schemas.PolicyFallback{{Value: schemas.Value(`0`)}}, Timeout: new(schemas.Duration(time.Minute)),
			},
			Realms: map[string]schemas.RealmPolicy{"shop": {Capabilities: map[string]schemas.Policy{"echo": {RateLimit: plenty, Concurrency: new(1000)}}}},
		}}),
	}
	session, err := p.CreateSession(ctx, schemas.SessionUpdates{})
	if err != nil {
		b.Fatal(err)
	}
	took := make([][]time.Duration, len(runtimes))
	for i := 0; b.Loop(); i++ {
		for k, r := range runtimes {
			inputs := fmt.Appendf(nil, `{"msg":"%d-%d"}`, i, k)
			began := time.Now()
			out, err := r.Invoke(ctx, runtime.Invocation{Realm: "shop", Capability: "echo", Inputs: inputs, SessionID: session.SessionID})
			took[k] = append(took[k], time.Since(began))
			if err != nil || out.Degraded {
				b.Fatal(out, err)
			}
		}
	}
	none, all := median(took[0]), median(took[1])
	b.ReportMetric(float64(none.Nanoseconds()), "ns/none")
	b.ReportMetric(float64(all.Nanoseconds()), "ns/all")
	b.ReportMetric(all.Seconds()/none.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
