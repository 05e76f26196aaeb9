package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/schemas"
)

// BenchmarkInvoke measures a direct call over stdio with a bare MCP client against invoke_capability on the same server, by the
// median, and by the 99th percentile of either.
func BenchmarkInvoke(b *testing.B) {
	p := newTestbed(b, "mem")
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
	var direct, invoked []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := bare.CallTool(ctx, r); err != nil {
			b.Fatal(err)
		}
		direct = append(direct, time.Since(began))
		began = time.Now()
		if _, err := p.Capabilities.Invoke(ctx, capability.Invocation{Realm: "shop", Capability: "echo", Inputs: json.RawMessage(`{"msg":"0"}`)}); err != nil {
			b.Fatal(err)
		}
		invoked = append(invoked, time.Since(began))
	}
	once, through := median(direct), median(invoked)
	b.ReportMetric(float64(once.Nanoseconds()), "ns/direct")
	b.ReportMetric(float64(through.Nanoseconds()), "ns/invoked")
	b.ReportMetric(through.Seconds()/once.Seconds(), "ratio")
	b.ReportMetric(p99(direct).Seconds()/once.Seconds(), "p99/p50-direct")
	b.ReportMetric(p99(invoked).Seconds()/through.Seconds(), "p99/p50-invoked")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPolicies measures invoke_capability with every policy on (breaker, bulkheads, rate limits, quotas, a cache that never
// hits, a fallback) against none: two runtimes on one store and one realm, call by call, by the median.
func BenchmarkPolicies(b *testing.B) {
	p := newTestbed(b, "mem")
	ctx := context.Background()
	plenty := &schemas.RateLimit{Rate: 1_000_000}
	quota := schemas.Quota{Calls: 1_000_000_000, Bytes: 1_000_000_000_000, Time: schemas.Duration(10_000 * time.Hour)}
	runtimes := []*runtime.Runtime{
		runtime.New(runtime.Config{Store: p.store, Realms: pooled{Pool: p.pool}, Policies: schemas.Policies{Default: schemas.Policy{Breaker: &schemas.Breaker{Failures: new(0)}}}}),
		runtime.New(runtime.Config{Store: p.store, Realms: pooled{Pool: p.pool}, Quotas: call.QuotaRules{Principal: quota, Session: quota}, Policies: schemas.Policies{
			Default: schemas.Policy{
				RateLimit: plenty, Concurrency: new(1000), CacheTTL: new(schemas.Duration(time.Hour)), StaleIfError: new(schemas.Duration(time.Hour)),
				Fallback: []schemas.PolicyFallback{{Value: schemas.Value(`0`)}}, Timeout: new(schemas.Duration(time.Minute)),
			},
			Realms: map[string]schemas.RealmPolicy{"shop": {Capabilities: map[string]schemas.Policy{"echo": {RateLimit: plenty, Concurrency: new(1000)}}}},
		}}),
	}
	session, err := p.Sessions.Create(ctx, schemas.SessionUpdates{})
	if err != nil {
		b.Fatal(err)
	}
	took := make([][]time.Duration, len(runtimes))
	for i := 0; b.Loop(); i++ {
		for k, r := range runtimes {
			inputs := fmt.Appendf(nil, `{"msg":"%d-%d"}`, i, k)
			began := time.Now()
			out, err := r.Capabilities.Invoke(ctx, capability.Invocation{Realm: "shop", Capability: "echo", Inputs: inputs, SessionID: session.SessionID})
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

// p99 is the 99th percentile of what median has sorted.
func p99(d []time.Duration) time.Duration { return d[len(d)*99/100] }
