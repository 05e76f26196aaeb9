//go:build linux

package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// soakSettles is how long after the load resources may take to be released. An idle collector collects every two minutes.
const soakSettles = 150 * time.Second

// TestSoak puts load on the built program for RUNPLANE_SOAK, while its realms die, hang, flap, flood and lie, and every policy
// is on. Every execution must end as its plan implies, no once effect may happen twice, no answer may be an internal error, and the
// resources of the program must stay flat and return to their level afterwards. Without RUNPLANE_SOAK the test is skipped;
// RUNPLANE_SOAK_SEED repeats the choices of a run. With RUNPLANE_SOAK_HOSTILE clients and realms do harm on purpose besides: the memory
// must stay below a limit, and ordinary calls must be answered soon.
func TestSoak(t *testing.T) {
	if os.Getenv("RUNPLANE_SOAK") == "" {
		t.Skip("RUNPLANE_SOAK is no duration such as 60s or 10m")
	}
	lasts := must[time.Duration](t)(time.ParseDuration(os.Getenv("RUNPLANE_SOAK")))
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("RUNPLANE_SOAK_SEED"); s != "" {
		seed = must[uint64](t)(strconv.ParseUint(s, 10, 64))
	}
	t.Logf("RUNPLANE_SOAK_SEED=%d", seed)

	hostile := os.Getenv("RUNPLANE_SOAK_HOSTILE") != ""
	w := newSoakWorld(t, seed, hostile)
	idle := w.settled(func(level) []string { return nil })
	began := time.Now()
	load := w.load(seed, lasts, hostile)
	t.Logf("the last execution ended %s after the load", (time.Since(began) - lasts).Round(time.Second))
	first, last, problems := rise(load)
	idleness := idleness
	if hostile { // what is in flight changes from moment to moment
		idleness, problems = hostileBounds, w.judgeHostile(load, lasts)
	}
	for _, p := range problems {
		t.Errorf("under load: %s", p)
	}
	var left []string
	after := w.settled(func(l level) []string {
		if now := above(idleness, idle, l); len(now) != len(left) {
			left = now
			t.Logf("%s after its begin: %s\n%s", time.Since(began).Round(time.Second), strings.Join(left, "; "), w.processes())
		}
		return left
	})
	if len(left) > 0 {
		t.Errorf("%s after the load: %s\n%s", soakSettles, strings.Join(left, "; "), w.processes())
	}
	t.Logf("settled %s after the begin of the load", time.Since(began).Round(time.Second))
	calls, repeated := w.judgeLedgers()
	w.report(calls, repeated)
	t.Logf("\n%s", levelTable(idle, load, first, last, after, 20))
}

// load runs clients while faults are injected, and samples the program's levels. Everything that it started has ended when it
// returns.
func (w *soakWorld) load(seed uint64, lasts time.Duration, hostile bool) (all []level) {
	stop := make(chan struct{})
	var group sync.WaitGroup
	if hostile {
		for i := range 2 {
			group.Go(func() { w.submitHostile(seed, i, stop) })
		}
		for i, f := range hostileFaults {
			group.Go(func() { w.torment(f, rand.New(rand.NewPCG(seed, uint64(200+i))), stop) })
		}
		group.Go(func() { w.ordinary.run(w, stop) })
	}
	for c := range 8 {
		group.Go(func() { w.work(rand.New(rand.NewPCG(seed, uint64(c+1))), stop) })
	}
	for i, f := range soakFaults {
		group.Go(func() { w.torment(f, rand.New(rand.NewPCG(seed, uint64(100+i))), stop) })
	}
	ticks := time.NewTicker(min(lasts/60, 2*time.Second))
	defer ticks.Stop()
	for began := time.Now(); time.Since(began) < lasts; <-ticks.C {
		l, err := levelNow(w.s, w.mark)
		if err != nil {
			w.wrong("level: %v", err)
			continue
		}
		l.at = time.Since(began)
		all = append(all, l)
	}
	close(stop)
	group.Wait()
	return all
}

// settled waits until nothing is left over and returns the level then, or the last within soakSettles.
func (w *soakWorld) settled(leftover func(level) []string) level {
	for began := time.Now(); ; time.Sleep(500 * time.Millisecond) {
		http.DefaultClient.CloseIdleConnections()
		l, err := levelNow(w.s, w.mark)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(leftover(l)) == 0 && time.Since(began) > 3*time.Second || time.Since(began) > soakSettles {
			return l
		}
	}
}

// processes lists what runs below the program.
func (w *soakWorld) processes() string {
	var b strings.Builder
	for pid, line := range below(w.s.cmd.Process.Pid, w.mark) {
		fmt.Fprintln(&b, pid, line)
	}
	return b.String()
}

// report prints the counts and fails the test for violations.
func (w *soakWorld) report(calls, repeated int) {
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, part := range []struct {
		name   string
		counts map[string]int
	}{{"execution", w.ended}, {"decision", w.decided}, {"call", w.called}, {"fault", w.struck}} {
		for _, name := range slices.Sorted(maps.Keys(part.counts)) {
			fmt.Fprintf(table, "%s\t%s\t%d\t", part.name, name, part.counts[name])
			if s := w.slowest[name]; part.name == "execution" && s.id != "" {
				fmt.Fprintf(table, "the slowest took %s", s.took.Round(10*time.Millisecond))
			}
			fmt.Fprintln(table)
		}
	}
	_ = table.Flush() // into memory
	w.t.Logf("%d calls in the ledgers, %d of them repeated\n%s", calls, repeated, &b)
	for _, s := range soakShapes {
		if w.ended[s.name] == 0 {
			w.wrong("no execution of %q ended", s.name)
		}
	}
	for _, f := range w.faults() {
		if w.struck[f.name] == 0 {
			w.wrong("there was no %s", f.name)
		}
	}
	for _, b := range w.broken[:min(len(w.broken), 30)] {
		w.t.Error(b)
	}
	if n := len(w.broken); n > 30 {
		w.t.Errorf("and %d more", n-30)
	}
	if log := w.s.log.String(); w.t.Failed() {
		w.t.Logf("the end of its log:\n%s", log[max(0, len(log)-4000):])
	}
}
