package runtime

import (
	"bytes"
	"context"
	"fmt"
	"os"
	stdruntime "runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// BenchmarkRetention measures what the deletion of a great many old executions (RUNPLANE_OLD, 1,000 unless given) costs those that run:
// nodes a second of chains before, during and after it, in one run, with how many were deleted a second and the largest heap.
func BenchmarkRetention(b *testing.B) {
	old := 1_000
	if n, err := strconv.Atoi(os.Getenv("RUNPLANE_OLD")); err == nil {
		old = n
	}
	for name, open := range map[string]func(b *testing.B) (store.Store, error){
		"bolt": func(b *testing.B) (store.Store, error) { return bolt.Open(bolt.Options{Dir: b.TempDir()}) },
		"redis": func(b *testing.B) (store.Store, error) {
			return redis.Open(b.Context(), redis.Options{URL: redistest.Standalone(b).URL()})
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := open(b)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			w := newWorld()
			r := replica(b, w, s)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			addOldExecutions(b, r, old)
			var nodes atomic.Int64
			var chains errgroup.Group
			for range 16 {
				chains.Go(func() error {
					for ctx.Err() == nil {
						e, err := r.Executions.Execute(ctx, engine.Submit{Plan: []byte(chainPlan(20, "read"))})
						if err == nil {
							e, err = r.Executions.Status(ctx, e.ExecutionID, "", time.Minute, nil)
						}
						if err != nil || e.Status != schemas.StatusSucceeded {
							return err
						}
						nodes.Add(20)
					}
					return nil
				})
			}
			rate := func(until func() bool) (perSecond, heap float64) {
				began, first := time.Now(), nodes.Load()
				for !until() {
					time.Sleep(100 * time.Millisecond)
					w.mu.Lock()
					w.ledger = nil // which is not memory of the runtime
					clear(w.failed)
					w.mu.Unlock()
					var m stdruntime.MemStats
					stdruntime.ReadMemStats(&m)
					heap = max(heap, float64(m.HeapInuse))
				}
				return float64(nodes.Load()-first) / time.Since(began).Seconds(), heap
			}
			wait := func() func() bool {
				end := time.Now().Add(5 * time.Second)
				return func() bool { return time.Now().After(end) }
			}
			before, heapBefore := rate(wait())
			retainer := idle(newWorld(), s, func(c *Config) { c.Retention.Executions = time.Hour })
			rounds := retainer.upkeep.ExecutionRounds()
			done := make(chan struct{})
			began := time.Now()
			go func() {
				defer close(done)
				for {
					more, err := retainer.store.Round(ctx, rounds)
					if err != nil {
						b.Error(err)
					}
					if !more {
						return
					}
					time.Sleep(rounds.Resume)
				}
			}()
			during, heapDuring := rate(func() bool {
				select {
				case <-done:
					return true
				default:
					return false
				}
			})
			took := time.Since(began)
			after, _ := rate(wait())
			cancel()
			if err := chains.Wait(); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			if left, err := s.List(b.Context(), store.Query{Kind: journal.KindExecution, Prefix: "00OLD"}); err != nil || len(left) > 0 {
				b.Fatalf("%d are left, %v", len(left), err)
			}
			b.ReportMetric(before, "nodes/s-before")
			b.ReportMetric(during, "nodes/s-during")
			b.ReportMetric(after, "nodes/s-after")
			b.ReportMetric(float64(old)/took.Seconds(), "deleted/s")
			b.ReportMetric(heapBefore/(1<<20), "MiB-before")
			b.ReportMetric(heapDuring/(1<<20), "MiB-during")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// addOldExecutions makes n executions that ended two hours ago: copies of one that ran.
func addOldExecutions(b *testing.B, r *process, n int) {
	b.Helper()
	ctx := b.Context()
	e, err := r.Executions.Execute(ctx, engine.Submit{Plan: []byte(chainPlan(5, "read"))})
	if err == nil {
		e, err = r.Executions.Status(ctx, e.ExecutionID, "", time.Minute, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	model, _, err := r.journal.ReadHead(ctx, e.ExecutionID)
	if err != nil {
		b.Fatal(err)
	}
	plan, err := r.store.Get(ctx, journal.PlanKey(e.ExecutionID))
	if err != nil {
		b.Fatal(err)
	}
	log, err := r.store.Log(ctx, journal.ExecutionKey(e.ExecutionID), 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	ended := records.Now().Add(-2 * time.Hour)
	var g errgroup.Group
	g.SetLimit(256)
	for i := range n {
		g.Go(func() error {
			h := model
			h.ExecutionID, h.CreatedAt, h.FinishedAt = fmt.Sprintf("00OLD%021d", i), ended, &ended
			value, err := schemas.Encode(&h)
			if err != nil {
				return err
			}
			key := journal.ExecutionKey(h.ExecutionID)
			batch := store.Batch{Puts: []store.Put{
				{Key: key, Value: value, Terms: h.Terms()}, {Key: journal.PlanKey(h.ExecutionID), Value: plan.Value},
				{Key: journal.OutputKey(h.ExecutionID, "n0"), Value: bytes.Repeat([]byte("x"), 2*engine.MaxInlineOutput)},
			}}
			for _, entry := range log {
				batch.Appends = append(batch.Appends, store.Append{Key: key, Value: entry.Value})
			}
			_, err = r.store.Commit(ctx, batch)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}
