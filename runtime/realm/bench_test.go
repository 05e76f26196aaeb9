package realm

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/runplane/runplane/runtime/call"
)

// BenchmarkInvoke measures calls over stdio to a Go echo server, in calls/s.
func BenchmarkInvoke(b *testing.B) {
	for _, parallel := range []struct {
		name string
		n    int
	}{{"one", 0}, {"64", 32}} {
		b.Run(parallel.name, func(b *testing.B) {
			p := run(b, Config{Realms: realms("shop", server("shop"))})
			mustInvoke(b, p, "shop", "echo", `{"msg":"hello"}`)
			one := func() error {
				_, err := p.Invoke(context.Background(), &call.Call{Realm: "shop", Capability: "echo", Inputs: json.RawMessage(`{"msg":"hello"}`), Key: "k"})
				return err
			}
			b.ReportAllocs()
			b.ResetTimer()
			if parallel.n == 0 {
				for b.Loop() {
					if err := one(); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				b.SetParallelism(parallel.n)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := one(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
