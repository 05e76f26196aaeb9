//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/testdata/proxy"
)

// chaosPlace is the store of the replicas and the network to it.
type chaosPlace int

const (
	onRedis     chaosPlace = iota
	onSentinels            // a master and its replica under three sentinels
	overProxies            // one Redis, each replica on its own bad network
)

// chaosFault is one row: what breaks, where, and how often in the short and the long suite. A strike breaks something,
// repairs it, and leaves time for the consequences.
type chaosFault struct {
	name        string
	place       chaosPlace
	short, long int
	strike      func(w *chaosWorld, r *rand.Rand, long bool)
}

var chaosFaults = []chaosFault{
	{"SIGKILL of a replica", onRedis, 5, 210, func(w *chaosWorld, r *rand.Rand, _ bool) {
		victim := w.replica(r)
		w.struck()
		victim.kill()
		w.pass(chaosLease + time.Duration(r.IntN(1500))*time.Millisecond)
		victim.start()
		w.pass(time.Duration(r.IntN(700)) * time.Millisecond)
	}},
	{"SIGSTOP of a replica beyond its lease", onRedis, 3, 40, func(w *chaosWorld, r *rand.Rand, _ bool) {
		victim := w.replica(r)
		w.struck()
		victim.pause()
		w.pass(chaosLease + time.Second + time.Duration(r.IntN(1000))*time.Millisecond)
		victim.resume()
		w.pass(time.Second)
	}},
	{"SIGKILL of Redis", onRedis, 3, 40, func(w *chaosWorld, r *rand.Rand, _ bool) {
		w.struck()
		w.redis.Kill()
		w.pass(time.Duration(r.IntN(1500)) * time.Millisecond)
		w.redis.Restart()
		w.pass(time.Second)
	}},
	{"orderly restart of Redis", onRedis, 2, 20, func(w *chaosWorld, r *rand.Rand, _ bool) {
		w.struck()
		w.redis.Stop()
		w.pass(time.Duration(r.IntN(1000)) * time.Millisecond)
		w.redis.Restart()
		w.pass(time.Second)
	}},
	{"Redis paused", onRedis, 1, 5, func(w *chaosWorld, r *rand.Rand, long bool) {
		w.struck()
		w.redis.Pause()
		w.pass(3*chaosLease + time.Duration(r.IntN(1000))*time.Millisecond)
		if long {
			w.pass(20*time.Second - 3*chaosLease)
		}
		w.redis.Continue()
		w.pass(2 * time.Second)
	}},
	{"failover by the sentinels", onSentinels, 1, 10, func(w *chaosWorld, _ *rand.Rand, _ bool) {
		master := w.watched.Master()
		w.struck()
		master.Kill()
		w.watched.AwaitMaster(master)
		w.pass(2 * time.Second)
		master.Restart()
		w.watched.AwaitReplica(master)
		w.pass(time.Second)
	}},
	{"resets and latency", overProxies, 15, 150, func(w *chaosWorld, r *rand.Rand, _ bool) {
		p := w.proxies[r.IntN(len(w.proxies))]
		w.struck()
		switch r.IntN(4) {
		case 0:
			p.Reset()
		case 1:
			p.Set(proxy.Faults{Latency: time.Duration(r.IntN(50)) * time.Millisecond, Jitter: 50 * time.Millisecond})
			w.pass(500 * time.Millisecond)
		case 2:
			p.Set(proxy.Faults{Cut: 1 + r.IntN(20_000), CutJitter: 20_000})
			w.pass(500 * time.Millisecond)
		case 3:
			p.Set(proxy.Faults{Blackhole: true})
			w.pass(time.Duration(r.IntN(int(chaosLease*3/2/time.Millisecond))) * time.Millisecond)
		}
		p.Heal()
		w.pass(200 * time.Millisecond)
	}},
}

// build starts the store and three replicas on it.
func (w *chaosWorld) build(place chaosPlace) {
	var stores [3]string
	switch place {
	case onRedis:
		w.redis = redistest.Standalone(w.t, "appendfsync always")
		for i := range stores {
			stores[i] = w.redis.URL()
		}
	case onSentinels:
		w.watched = redistest.Sentinel(w.t)
		for i := range stores {
			stores[i] = w.watched.URL() + "?durability=strict"
		}
	case overProxies:
		w.redis = redistest.Standalone(w.t)
		for i := range stores {
			p := proxy.New(w.t, w.redis.Addr, w.seed)
			w.proxies = append(w.proxies, p)
			stores[i] = "redis://" + p.Addr + "/0"
		}
	}
	slow := fmt.Sprintf("slow: {type: http, url: %q}", startUpstream(w.t, "slow", "-ledger", w.ledger, "-http", "127.0.0.1:0").url+"/mcp")
	for i := range w.replicas {
		w.replicas[i] = newReplica(w.t, i, stores[i], w.ledger, slow)
	}
}
