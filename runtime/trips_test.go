package runtime_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/runplane/runplane/store/redis"
)

// traffic is what a Redis was asked: pipelines by this process, scripts by anybody.
type traffic struct{ trips, scripts int64 }

func (a traffic) plus(b traffic) traffic  { return traffic{a.trips + b.trips, a.scripts + b.scripts} }
func (a traffic) minus(b traffic) traffic { return traffic{a.trips - b.trips, a.scripts - b.scripts} }

// traffic is all so far; zero where there is no Redis.
func (p *plane) traffic() traffic {
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

// TestAChainCostsOneTripANode: the result of a node and the start of the next are one commit.
func TestAChainCostsOneTripANode(t *testing.T) {
	p := newPlane(t, "redis")
	p.finish(t, chain(2)) // scripts are loaded
	const nodes = 100
	before := p.traffic()
	p.finish(t, chain(nodes))
	asked := p.traffic().minus(before)
	if asked.trips < nodes || asked.scripts < nodes {
		t.Fatalf("%d nodes took %+v: that is not counted right", nodes, asked)
	}
	if most := int64(nodes * 6 / 5); asked.trips > most || asked.scripts > most {
		t.Errorf("%d nodes took %+v, want at most %d of each", nodes, asked, most)
	}
}
