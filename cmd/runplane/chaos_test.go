//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// chaosLease is short, so that there are many takeovers.
const chaosLease = 2 * time.Second

// chaosGrace is how long after the last fault every execution may take to finish.
const chaosGrace = 60 * time.Second

// TestChaos runs three replicas of the built program on one Redis while clients submit plans and ask for results at random
// replicas, and injects faults. Whatever broke: no acknowledged execution is lost, no result is committed twice, no once capability
// is called twice, and nothing is stuck. RUNPLANE_CHAOS is short, as in CI, or long; without it the test is skipped.
// RUNPLANE_CHAOS_SEED repeats the choices of a run.
func TestChaos(t *testing.T) {
	var long bool
	switch how := os.Getenv("RUNPLANE_CHAOS"); how {
	case "":
		t.Skip("RUNPLANE_CHAOS is neither short (two minutes) nor long (half an hour)")
	case "short", "long":
		long = how == "long"
	default:
		t.Fatalf("RUNPLANE_CHAOS=%q: want short or long", how)
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("RUNPLANE_CHAOS_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("RUNPLANE_CHAOS_SEED=%d", seed)
	var counts []chaosCount
	for i, f := range chaosFaults {
		t.Run(f.name, func(t *testing.T) {
			counts = append(counts, chaosRound(t, f, seed+uint64(i), long))
		})
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\tstrikes\texecutions\tnodes\tcalls\trepeated\theld\tlost\tdouble commits\tdouble calls\tstuck\trecoveries\tp50\tp99\tmost\t")
	var all chaosCount
	for _, c := range counts {
		c.row(w)
		all.add(c)
	}
	all.fault = "all"
	all.row(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("lease %v\n%s", chaosLease, &table)
}

// chaosRound injects one kind of fault repeatedly and checks the result.
func chaosRound(t *testing.T, f chaosFault, seed uint64, long bool) chaosCount {
	w := newChaosWorld(t, f.place, seed)
	strikes, clients := f.short, 12
	if long {
		strikes, clients = f.long, 24
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for r := rand.New(rand.NewPCG(seed, uint64(c+1))); ; {
				select {
				case <-stop:
					return
				default:
					w.run(r)
				}
			}
		})
	}
	w.warm()
	random := rand.New(rand.NewPCG(seed, 0))
	for range strikes {
		f.strike(w, random, long)
	}
	w.heal()
	close(stop)
	group.Wait()
	return w.judge(f.name, strikes)
}

// chaosCount is the result of a round.
type chaosCount struct {
	fault                                         string
	strikes, executions, nodes, calls, repeated   int
	held, lost, doubleCommits, doubleCalls, stuck int
	recoveries                                    []time.Duration
}

func (c *chaosCount) add(o chaosCount) {
	for _, p := range []struct {
		to   *int
		more int
	}{
		{&c.strikes, o.strikes}, {&c.executions, o.executions}, {&c.nodes, o.nodes}, {&c.calls, o.calls}, {&c.repeated, o.repeated}, {&c.held, o.held},
		{&c.lost, o.lost}, {&c.doubleCommits, o.doubleCommits}, {&c.doubleCalls, o.doubleCalls}, {&c.stuck, o.stuck},
	} {
		*p.to += p.more
	}
	c.recoveries = append(c.recoveries, o.recoveries...)
}

func (c *chaosCount) row(w *tabwriter.Writer) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t%v\t%v\t\n", c.fault, c.strikes, c.executions, c.nodes, c.calls, c.repeated, c.held,
		c.lost, c.doubleCommits, c.doubleCalls, c.stuck, len(c.recoveries), quantile(c.recoveries, 0.5), quantile(c.recoveries, 0.99), quantile(c.recoveries, 1))
}
