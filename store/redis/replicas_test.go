package redis_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
	"github.com/runplane/runplane/testdata/proxy"
)

// What one replica wrote is visible to the other at once.
func TestConformanceReplicas(t *testing.T) {
	url := redistest.Standalone(t).URL()
	storetest.Run(t, func(t *testing.T) store.Store {
		o := redis.Options{URL: url, Prefix: prefix()}
		return storetest.Replicas(open(t, o), open(t, o))
	})
}

// TestNetworkFaults calls a Redis over a faulty network: nothing that was acknowledged is lost, and nothing happens twice,
// even if the answer was lost.
func TestNetworkFaults(t *testing.T) {
	server := redistest.Standalone(t)
	for _, tt := range []struct {
		name    string
		disturb func(p *proxy.Proxy, r *rand.Rand)
	}{
		{"resets", func(p *proxy.Proxy, r *rand.Rand) {
			time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
			p.Reset()
		}},
		{"cuts", func(p *proxy.Proxy, r *rand.Rand) {
			p.Set(proxy.Faults{Cut: 1 + r.IntN(2000), CutJitter: 500})
			time.Sleep(time.Duration(1+r.IntN(10)) * time.Millisecond)
			p.Heal()
			time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
		}},
		{"latency", func(p *proxy.Proxy, r *rand.Rand) {
			p.Set(proxy.Faults{Latency: time.Duration(r.IntN(4)) * time.Millisecond, Jitter: 4 * time.Millisecond})
			time.Sleep(time.Duration(1+r.IntN(10)) * time.Millisecond)
			if r.IntN(3) == 0 {
				p.Reset()
			}
			p.Heal()
		}},
		{"refused", func(p *proxy.Proxy, r *rand.Rand) {
			p.Set(proxy.Faults{Refuse: true})
			p.Reset()
			time.Sleep(time.Duration(1+r.IntN(5)) * time.Millisecond)
			p.Heal()
			time.Sleep(time.Duration(1+r.IntN(10)) * time.Millisecond)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := proxy.New(t, server.Addr, 1)
			s := open(t, redis.Options{URL: strings.Replace(server.URL(), server.Addr, p.Addr, 1), Prefix: prefix()})
			storetest.RunWithFaults(t, s, func(r *rand.Rand) { tt.disturb(p, r) })
		})
	}
}

// A server with appendfsync always that is killed has lost nothing after a restart.
func TestRestartsLoseNothing(t *testing.T) {
	server := redistest.Standalone(t, "appendfsync always")
	s := open(t, redis.Options{URL: server.URL(), Prefix: prefix()})
	storetest.RunWithFaults(t, s, func(r *rand.Rand) {
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		if r.IntN(2) == 0 {
			server.Kill()
		}
		server.Restart()
	})
}
