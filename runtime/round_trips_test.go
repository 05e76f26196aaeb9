package runtime_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// traffic counts the requests to a Redis: pipelines of this process, scripts of all its clients.
type traffic struct{ trips, scripts int64 }

func (a traffic) plus(b traffic) traffic  { return traffic{a.trips + b.trips, a.scripts + b.scripts} }
func (a traffic) minus(b traffic) traffic { return traffic{a.trips - b.trips, a.scripts - b.scripts} }

// traffic counts all requests so far; zero where there is no Redis.
func (p *testbed) traffic() traffic {
	if p.redis == nil {
		return traffic{}
	}
	return traffic{p.store.(*redis.Store).Trips(), commands(fmt.Sprint(p.redis.Do("INFO", "commandstats")))["evalsha"]}
}

// commands reads how often each command was called from a Redis's own statistics.
func commands(info string) map[string]int64 {
	calls := map[string]int64{}
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		n, _, _ := strings.Cut(rest, ",")
		calls[name], _ = strconv.ParseInt(n, 10, 64)
	}
	return calls
}

// The result of a node and the start of the next are one commit.
func TestAChainCostsOneTripANode(t *testing.T) {
	p := newTestbed(t, "redis")
	p.finish(t, chain(2)) // scripts are loaded
	const nodes = 100
	before := p.traffic()
	p.finish(t, chain(nodes))
	asked := p.traffic().minus(before)
	if asked.trips < nodes || asked.scripts < nodes {
		t.Fatalf("%d nodes took %+v: the count is wrong", nodes, asked)
	}
	if most := int64(nodes * 6 / 5); asked.trips > most || asked.scripts > most {
		t.Errorf("%d nodes took %+v, want at most %d of each", nodes, asked, most)
	}
}

// A replica with nothing to do looks once a second for each kind of wake, however many replicas there are.
func TestIdleReplicasAskLittle(t *testing.T) {
	server := redistest.Standalone(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	const replicas = 3
	for range replicas {
		s, err := redis.Open(t.Context(), redis.Options{URL: server.URL()})
		if err != nil {
			t.Fatal(err)
		}
		pool, err := realm.New(realm.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r := runtime.New(runtime.Config{Store: s, Realms: pooled{Pool: pool}})
		running.Go(func() {
			_ = r.Run(ctx) // ends with ctx
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	scripts := func() int64 { return commands(fmt.Sprint(server.Do("INFO", "commandstats")))["evalsha"] }
	// They take a while to start, and on a busy machine requests come late: more at once, or none.
	for tries := 1; ; tries++ {
		began, before := time.Now(), scripts()
		time.Sleep(2 * time.Second)
		asked, a := scripts()-before, time.Since(began).Seconds()
		perReplica := float64(asked) / replicas
		if perReplica >= 1 && perReplica <= 4*(a+1) {
			return
		}
		if tries == 10 {
			t.Fatalf("each asked %.1f times in %.1f s", perReplica, a)
		}
	}
}
