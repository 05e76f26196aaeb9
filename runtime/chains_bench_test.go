package runtime_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// chainLength is how many nodes each chain of the throughput benchmarks has.
const chainLength = 50

// BenchmarkChains measures nodes a second of 1, 16 and 64 executions at once, against the floor: the same calls through the
// same realm, each followed by one small durable write and no engine. On Redis it also counts what the engine asks of the
// server: pipelines, and scripts in them. Where other programs use the machine too, read the ratio of processor times: what
// both would reach alone on it, with all processors at work.
func BenchmarkChains(b *testing.B) {
	for _, kind := range kinds {
		for _, wide := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/executions=%d", kind, wide), func(b *testing.B) {
				p := newTestbed(b, kind)
				write := p.floorWrite(b, wide)
				source := chain(chainLength)
				var floor, engine, floorUsed, engineUsed time.Duration
				var asked traffic
				for b.Loop() {
					used, began := processor(b), time.Now()
					concurrently(wide, func(int) { p.floor(b, write) })
					floor += time.Since(began)
					floorUsed += processor(b) - used
					before := p.traffic()
					used, began = processor(b), time.Now()
					concurrently(wide, func(int) { p.finish(b, source) })
					engine += time.Since(began)
					engineUsed += processor(b) - used
					asked = asked.plus(p.traffic().minus(before))
				}
				nodes := float64(b.N * wide * chainLength)
				b.ReportMetric(nodes/engine.Seconds(), "nodes/s")
				b.ReportMetric(nodes/floor.Seconds(), "floor-nodes/s")
				b.ReportMetric(100*floor.Seconds()/engine.Seconds(), "%-of-floor")
				if engineUsed > 0 {
					b.ReportMetric(100*floorUsed.Seconds()/engineUsed.Seconds(), "%-of-floor-processor")
				}
				if p.redis != nil {
					b.ReportMetric(float64(asked.trips)/nodes, "trips/node")
					b.ReportMetric(float64(asked.scripts)/nodes, "scripts/node")
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// floorWrite is the durable write of the floor: on Redis one script of its own for each call, elsewhere a commit of the store, which
// groups them.
func (p *testbed) floorWrite(b *testing.B, callers int) func(id string) error {
	value := []byte(strings.Repeat("x", 200))
	if p.redis != nil {
		write := p.redis.Floor(callers)
		return func(id string) error { return write(id, value, value) }
	}
	return func(id string) error {
		_, err := p.store.Commit(b.Context(), store.Batch{Puts: []store.Put{{Key: store.Key{Kind: "floor", ID: id}, Value: value, Version: store.AnyVersion}}})
		return err
	}
}

var floorID atomic.Int64

// floor does the calls of one chain, each followed by a write.
func (p *testbed) floor(b *testing.B, write func(id string) error) {
	id := fmt.Sprint(floorID.Add(1))
	for range chainLength {
		_, err := p.pool.Invoke(b.Context(), &call.Call{Realm: "shop", Capability: "echo", Inputs: json.RawMessage(`{"msg":"0"}`), Effect: schemas.EffectRead})
		if err == nil {
			err = write(id)
		}
		if err != nil {
			b.Error(err)
			return
		}
	}
}

func concurrently(n int, f func(i int)) {
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
		for _, kind := range []string{"mem", "redis"} {
			for _, n := range []int{100, 1000, 10_000} {
				if testing.Short() && n > 1000 {
					continue
				}
				b.Run(fmt.Sprintf("%s/%s/nodes=%d", shape.name, kind, n), func(b *testing.B) {
					p := newTestbed(b, kind)
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
}

// BenchmarkFirstCall measures how long it takes from the submission of a plan until its first call leaves the runtime: the plan is
// compiled and committed in between. In turn with it goes a single small commit, the least that a durable submission costs.
func BenchmarkFirstCall(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			p := newTestbed(b, kind)
			write := p.floorWrite(b, 1)
			source := chain(1)
			var first, commit []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := write("first"); err != nil {
					b.Fatal(err)
				}
				commit = append(commit, time.Since(began))
				began = time.Now()
				p.finish(b, source)
				first = append(first, time.Unix(0, p.left.Load()).Sub(began))
			}
			b.ReportMetric(float64(median(first).Microseconds()), "µs/first-call")
			b.ReportMetric(float64(p99(first).Microseconds()), "µs/p99")
			b.ReportMetric(float64(median(commit).Microseconds()), "µs/commit")
			b.ReportMetric(0, "ns/op")
		})
	}
}
