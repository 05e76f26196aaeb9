//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/testdata/servers/ledger"
)

// judge compares the answers that clients got, the logs of all executions and the ledger of the shop.
func (w *chaosWorld) judge(fault string, strikes int) chaosCount {
	c := chaosCount{fault: fault, strikes: strikes, executions: len(w.acknowledged)}
	known := map[string]bool{}
	r := rand.New(rand.NewPCG(w.seed, 99))
	for _, e := range w.acknowledged {
		known[e.id] = true
		w.judgeExecution(r, e, &c)
	}
	entries, err := ledger.New(w.ledger).Read()
	if err != nil {
		w.t.Fatal(err)
	}
	calls := map[string]int{}
	for _, e := range entries {
		if e.Effect == "began" {
			continue
		}
		c.calls++
		if calls[e.Key]++; calls[e.Key] > 1 {
			c.repeated++
		}
		id, _, _ := strings.Cut(e.Key, "/")
		if !known[id] {
			known[id] = true
			w.wrong("execution %s did %s, and no client knows it", id, e.Key)
		}
		if e.Effect == "once" && calls[e.Key] > 1+w.retried[e.Key] {
			c.doubleCalls++
			w.wrong("%s (%s) was called %d times; a retry was decided %d times", e.Key, e.Tool, calls[e.Key], w.retried[e.Key])
		}
	}
	for odd, n := range w.odd {
		w.wrong("%d times a client got %s", n, odd)
	}
	for _, b := range w.broken[:min(len(w.broken), 20)] {
		w.t.Error(b)
	}
	if n := len(w.broken); n > 20 {
		w.t.Errorf("and %d more", n-20)
	}
	if p99 := quantile(c.recoveries, 0.99); strings.Contains(fault, "replica") && p99 > chaosLease+15*time.Second {
		w.t.Errorf("recovery took %v at the 99th percentile, with a lease of %v", p99, chaosLease)
	}
	if c.nodes == 0 {
		w.t.Error("nothing ran")
	}
	return c
}

// judgeExecution asks two replicas for one execution and folds its log.
func (w *chaosWorld) judgeExecution(r *rand.Rand, e *chaosExecution, c *chaosCount) {
	if e.stuck {
		c.stuck++
		w.wrong("%s is stuck %v after the last fault: it is %s, %+v", e.id, chaosGrace, e.last.Status, e.last.WaitingFor)
		return
	}
	var views [2]schemas.Execution
	for i := range views {
		if err := callTool(w.replicas[(r.IntN(2)+i)%3].address(), "get_execution_status", object{"execution_id": e.id, "view": "nodes"}, &views[i]); err != nil {
			c.lost++
			w.wrong("%s is lost: %v", e.id, err)
			return
		}
	}
	if diff := cmp.Diff(views[0], views[1]); diff != "" {
		w.wrong("%s: replicas do not agree:\n%s", e.id, diff)
	}
	if s := views[0].Status; s != schemas.StatusSucceeded || e.last.Status != s {
		w.wrong("%s ended as %s: %v; the client got %s", e.id, s, views[0].Error, e.last.Status)
	}
	c.held += e.held
	c.nodes += views[0].Progress.Succeeded
	w.judgeLog(r, e, c)
	var again schemas.Execution
	if r.IntN(10) == 0 {
		err := callTool(w.replica(r).address(), "execute_plan", object{"execution_plan": e.plan, "idempotency_key": e.key, "wait_seconds": 0}, &again)
		if err != nil || again.ExecutionID != e.id {
			w.wrong("%s submitted again is %q, %v", e.id, again.ExecutionID, err)
		}
	}
}

// judgeLog: the log has no gap, ends once, and has one result for each unit.
func (w *chaosWorld) judgeLog(r *rand.Rand, e *chaosExecution, c *chaosCount) {
	seq, finished := int64(0), 0
	results := map[string]int{}
	for more := true; more; {
		var page schemas.EventList
		if err := callTool(w.replica(r).address(), "get_execution_events", object{"execution_id": e.id, "after": seq, "limit": 500}, &page); err != nil {
			c.lost++
			w.wrong("the log of %s is lost: %v", e.id, err)
			return
		}
		for _, event := range page.Events {
			if seq++; event.Seq != seq {
				w.wrong("%s: event %d stands at %d", e.id, event.Seq, seq)
			}
			unit := event.Node
			if event.Item != nil {
				unit = fmt.Sprintf("%s/%d", unit, *event.Item)
			}
			switch event.Type {
			case schemas.EventFinished:
				finished++
			case schemas.EventNodeSucceeded:
				if results[unit]++; results[unit] > 1 {
					c.doubleCommits++
					w.wrong("%s: %s has %d results", e.id, unit, results[unit])
				}
			case schemas.EventRecovered:
				if d, ok := w.sinceStrike(event.At); ok {
					c.recoveries = append(c.recoveries, d)
				}
			}
		}
		more = page.More
	}
	if finished != 1 {
		w.wrong("%s finished %d times", e.id, finished)
	}
}

// sinceStrike is the time since the previous strike.
func (w *chaosWorld) sinceStrike(at time.Time) (time.Duration, bool) {
	for _, s := range slices.Backward(w.strikes) {
		if s.Before(at) {
			return at.Sub(s), true
		}
	}
	return 0, false
}

// quantile of durations, rounded; 0 of none.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(time.Millisecond)
}
