package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// poll is a node that asks until the fourth answer says done.
const poll = `{"id":"state","capability":"r.read","inputs":{"id":"round ${index}","give":{"status":"${index >= 3 ? 'done' : 'running'}","n":"${index}"}},
	"repeat":{"until":"${output.status == 'done'}","every":"10m"}}`

// Between its rounds nothing of an execution is in memory, no lease is held, and views show the rounds and when the next one is due.
func TestRepeatSleepsBetweenRounds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[`+poll+`],"output":"${nodes.state.output.n}"}`)
		for round := 1; round <= 3; round++ {
			if n := p.Executions.InMemory(); n != 0 {
				t.Errorf("after round %d, %d executions are in memory", round, n)
			}
			if leases, err := s.Claim(t.Context(), store.ClaimRequest{Kind: journal.KindExecution, Owner: "other", Max: 1, TTL: time.Second}); err != nil || len(leases) != 0 {
				t.Errorf("after round %d: another worker claims %v, %v", round, leases, err)
			}
			e, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			n, next := e.Nodes[0], time.Now().Add(10*time.Minute)
			if !e.Waiting || n.Status != schemas.NodeBackingOff || n.Rounds != round || n.NextAt == nil || n.NextAt.Sub(next).Abs() > time.Second {
				t.Errorf("after round %d: waiting %v, %+v, want the next one at %s", round, e.Waiting, n, next)
			}
			if f := e.WaitingFor; len(f) != 1 || f[0].Reason != schemas.ReasonTimer || f[0].Rounds != round || !f[0].ExpiresAt.Equal(*n.NextAt) {
				t.Errorf("after round %d it waits for %+v", round, f)
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
		}
		e := p.rest(t, id)
		want(t, e, schemas.StatusSucceeded, "3", "state=succeeded")
		if n := e.Nodes[0]; n.Rounds != 4 || n.Attempts != 4 || n.NextAt != nil {
			t.Errorf("it ends as %+v", n)
		}
		m, err := p.Executions.Metrics(t.Context(), id)
		if err != nil || m.Retries != 0 || m.Nodes[0].Rounds != 4 || m.Used.Calls != 4 {
			t.Errorf("metrics are %+v, %v", m, err)
		}
		keys := map[string]bool{}
		for _, c := range w.ledger {
			keys[c.key] = true
		}
		if len(keys) != 4 {
			t.Errorf("four rounds have the idempotency keys %v", keys)
		}
	})
}

// However many executions are between two rounds, none of them is in memory and none is owned.
func TestManyExecutionsBetweenRounds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		const many = 100
		ids := make([]string, many)
		for i := range ids {
			ids[i] = p.begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"give":"${index}"},"repeat":{"until":"${index == 1}","every":"1h","collect":"${output}"}}]}`)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, calls := p.Executions.InMemory(), w.calls("", ""); n != 0 || calls != many {
			t.Errorf("after %d calls, %d executions are in memory", calls, n)
		}
		if leases, err := s.Claim(t.Context(), store.ClaimRequest{Kind: journal.KindExecution, Owner: "other", Max: many, TTL: time.Second}); err != nil || len(leases) != 0 {
			t.Errorf("another worker claims %d, %v", len(leases), err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, id := range ids {
			if e := p.rest(t, id); e.Status != schemas.StatusSucceeded {
				t.Fatalf("%s is %s, %v", id, e.Status, e.Error)
			}
		}
		if calls := w.calls("", ""); calls != 2*many {
			t.Errorf("%d calls, want two for each", calls)
		}
	})
}

// What repeat means, by what the plan says.
func TestRepeat(t *testing.T) {
	const pages = `{"id":"pages","capability":"r.read","inputs":{"give":{"items":["a${index}","b${index}"],"next":"${index < 2 ? index + 1 : 0}",
		"asked":"${previous == null ? -1 : previous.next}"}},"repeat":{"until":"${output.next == 0}","collect":"${%s}"}}`
	never := func(repeat string) string {
		return `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"give":{"n":"${index}"}},"on_error":"continue","repeat":{"until":"${output.n < 0}",` + repeat +
			`}},{"id":"after","set":"${nodes.n.error.code} ${nodes.n.output}","depends_on":["n"],"trigger_rule":"all_done"}],"output":"${nodes.after.output}"}`
	}
	one := func(node string) string { return `{"plan":"v1","nodes":[` + node + `],"output":"${nodes.n.output}"}` }
	for name, tt := range map[string]struct {
		source, output string
		status         schemas.Status
		says           string // the error of the first node
		calls          int
	}{
		"all pages by a cursor":                {fmt.Sprintf(`{"plan":"v1","nodes":[`+pages+`]}`, "output.items"), `{"pages":["a0","b0","a1","b1","a2","b2"]}`, "", "", 3},
		"an item a round":                      {fmt.Sprintf(`{"plan":"v1","nodes":[`+pages+`]}`, "output.asked"), `{"pages":[-1,1,2]}`, "", "", 3},
		"previous in until":                    {one(`{"id":"n","capability":"r.read","inputs":{"give":"${index * index}"},"repeat":{"until":"${previous != null && output - previous > 4}","every":"0s"}}`), "9", "", "", 4},
		"every by expression":                  {one(`{"id":"n","capability":"r.read","inputs":{"give":"${index}"},"repeat":{"until":"${index == 2}","every":"${output + 1}s"}}`), "2", "", "", 3},
		"max":                                  {never(`"max":3,"every":"1s"`), `"repeat_exhausted {\"n\":2}"`, "", "until did not hold after 3 rounds, repeat.max", 3},
		"max with collect":                     {never(`"max":3,"collect":"${output.n}"`), `"repeat_exhausted [0,1,2]"`, "", "until did not hold after 3 rounds, repeat.max", 3},
		"timeout":                              {never(`"timeout":"25s","every":"10s"`), `"repeat_exhausted {\"n\":2}"`, "", "until did not hold within 25s, repeat.timeout, in 3 rounds", 3},
		"a condition that cannot be evaluated": {never(`"max":9,"every":"${output.n == 1 ? 'x' : '1s'}"`), `"expression_error {\"n\":1}"`, "", "repeat.every", 2},
		"retries of each round": {one(`{"id":"n","capability":"r.read","retry":{"max_attempts":3},"inputs":{"id":"i${index}","give":"${index}","fail":2,"code":"unavailable"},"repeat":{"until":"${index == 2}"}}`),
			"2", "", "", 9},
		"a round that fails": {`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"give":"${index}","fail":"${index == 2 ? 99 : 0}"},"on_error":"continue","repeat":{"until":"${index == 5}","collect":"${output}"}},
			{"id":"after","set":"${nodes.n.output} ${nodes.n.errors}","depends_on":["n"],"trigger_rule":"all_done"}],"output":"${nodes.after.output}"}`,
			`"[0,1] [{\"index\":2,\"code\":\"tool_error\",\"message\":\"as asked\"}]"`, "", "as asked", 3},
		"a fallback of a round": {one(`{"id":"n","capability":"r.read","inputs":{"give":"${index}","fail":"${index == 1 ? 99 : 0}"},"fallback":[{"value":"none ${nodes.n.errors[0].index}"}],"repeat":{"until":"${index == 2}","collect":"${output}"}}`),
			`[0,"none 1",2]`, "", "", 3},
		"a workflow": {`{"plan":"v1","nodes":[{"id":"n","workflow":{"definition":{"inputs":{"last":0,"at":0},"nodes":[{"id":"x","capability":"r.read","inputs":{"give":"${inputs.last + inputs.at}"}}],"output":"${nodes.x.output}"}},
			"inputs":{"last":"${previous == null ? 0 : previous}","at":"${index}"},"repeat":{"until":"${output >= 6}"}}],"output":"${nodes.n.output}"}`, "6", "", "", 4},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				e := p.execute(t, tt.source)
				want(t, e, schemas.StatusSucceeded, tt.output, "")
				if len(e.Nodes) > 0 && (e.Nodes[0].Error == nil) != (tt.says == "") || tt.says != "" && !strings.Contains(e.Nodes[0].Error.Message, tt.says) {
					t.Errorf("the error is %v, want %q", e.Nodes[0].Error, tt.says)
				}
				if n := w.calls("", ""); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
			})
		})
	}
}

// A `once` call of a round whose outcome is unknown is held as any other, or verified; its round continues after the decision.
func TestRepeatWithUnknownOutcomes(t *testing.T) {
	const node = `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"1s","inputs":{"id":"i${index}","give":"${index}","mute":"${index == 1}"},%s"repeat":{"until":"${index == 2}","collect":"${output}","once":true}}],"output":"${nodes.n.output}"}`
	const happened = `"on_unknown":{"verify":{"capability":"r.read","inputs":{"id":"look","give":{"yes":true}},"happened":"${output.yes}","output":"verified"}},`
	for name, tt := range map[string]struct {
		more   string
		patch  *schemas.NodePatch
		output string
		calls  int
	}{
		"verified":            {happened, nil, `[0,"verified",2]`, 3},
		"held, and repeated":  {"", &schemas.NodePatch{Inputs: schemas.Object(`{"id":"again","give":"again"}`), Force: true}, `[0,"again",2]`, 4},
		"held, and skipped":   {"", &schemas.NodePatch{Skip: true}, ``, 2},
		"held, with a result": {"", &schemas.NodePatch{Output: schemas.Value(`"all"`)}, `"all"`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id := p.submit(t, fmt.Sprintf(node, tt.more))
				e := p.rest(t, id)
				if tt.patch != nil {
					if e.Status != schemas.StatusSuspended || e.WaitingFor[0].Reason != schemas.ReasonUnknown || e.WaitingFor[0].Rounds != 1 {
						t.Fatalf("it is %s and waits for %+v", e.Status, e.WaitingFor)
					}
					e = p.patch(t, id, "n", *tt.patch)
				}
				if tt.output != "" {
					want(t, e, schemas.StatusSucceeded, tt.output, "")
				}
				if n := w.calls("once", ""); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
			})
		})
	}
}

// Between two rounds an execution can be suspended, resumed and cancelled. The time of a suspension does not count for the timeout, and
// with on_error: suspend a person can have the rounds go on.
func TestRepeatIsSuspendedResumedAndCancelled(t *testing.T) {
	const source = `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"give":"${index}"},"on_error":"suspend","repeat":{"until":"${index == 5}","every":"10s","timeout":"24s","max":4,"collect":"${output}"}}],"output":"${nodes.n.output}"}`
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, source)
		time.Sleep(15 * time.Second)
		p.suspend(t, id, "")
		time.Sleep(time.Hour)
		p.resume(t, id)
		e := p.rest(t, id)
		if e.Status != schemas.StatusSuspended || e.WaitingFor[0].Reason != schemas.ReasonError || e.Nodes[0].Rounds != 3 || w.calls("", "") != 3 {
			t.Fatalf("it is %s with %+v after %d calls, want three rounds within its timeout", e.Status, e.Nodes[0], w.calls("", ""))
		}
		want(t, p.patch(t, id, "n", schemas.NodePatch{Retry: true}), schemas.StatusSucceeded, "[0,1,2,3,4,5]", "")

		id = p.submit(t, source)
		time.Sleep(15 * time.Second)
		p.cancel(t, id, engine.CancelOptions{})
		want(t, p.rest(t, id), schemas.StatusCancelled, "", "n=cancelled")
		if n := w.calls("", ""); n != 6+2 {
			t.Errorf("%d calls, want 8", n)
		}
	})
}

// With safety_level: review a person is asked about each round.
func TestRepeatIsReviewedEachRound(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","safety_level":"review","inputs":{"give":"${index}"},"repeat":{"until":"${index == 1}","once":true}}],"output":"${nodes.n.output}"}`)
		for round := range 2 {
			if n := w.calls("", ""); n != round {
				t.Errorf("%d calls before review %d", n, round)
			}
			p.decide(t, p.review(t, id, "n"), safety.Decision{Approve: true, By: "ada"})
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		want(t, p.rest(t, id), schemas.StatusSucceeded, "1", "")
	})
}

// Large answers and much that is collected are in records of their own, which are gone when the node has ended; too much is refused.
func TestRepeatCollectsMuch(t *testing.T) {
	collect := func(rounds, each int) string {
		return fmt.Sprintf(`{"plan":"v1","inputs":{"x":%q},"nodes":[{"id":"n","capability":"r.read","inputs":{"give":{"n":"${index}","x":"${%s}","before":"${previous == null ? -1 : previous.n}"}},
			"repeat":{"until":"${index == %d}","collect":"${output}"}}],"output":{"n":"${nodes.n.status}"}}`, strings.Repeat("x", each/10), strings.TrimSuffix(strings.Repeat("inputs.x + ", 10), " + "), rounds-1)
	}
	for name, tt := range map[string]struct{ rounds, each int }{"small": {300, 200}, "large": {20, 10_000}, "mixed": {40, 4000}} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id := p.begin(t, collect(tt.rounds, tt.each))
				want(t, p.rest(t, id), schemas.StatusSucceeded, "", "")
				var list []struct{ N, Before int }
				raw := wholeOutput(t, p, id, "n")
				if err := json.Unmarshal(raw, &list); err != nil || len(list) != tt.rounds {
					t.Fatalf("collected %d of %d: %v", len(list), tt.rounds, err)
				}
				for i, one := range list {
					if one.N != i || one.Before != i-1 {
						t.Fatalf("round %d gave %+v", i, one)
					}
				}
				records, err := s.List(t.Context(), store.Query{Kind: journal.KindOutput, Prefix: id + "/", Limit: 100})
				if err != nil || len(records) > 4 {
					t.Errorf("%d records are left, %v", len(records), err)
				}
			})
		})
	}
	t.Run("too much", func(t *testing.T) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s, func(c *Config) { c.Limits.MaxList = 100_000 })
			defer p.stop()
			id := p.begin(t, collect(40, 4_000))
			e := p.rest(t, id)
			if e.Status != schemas.StatusFailed || e.Error.Code != schemas.CodePayloadTooLarge || !strings.Contains(e.Error.Message, "limit 100000, limits.max_list_bytes") || w.calls("", "") > 26 {
				t.Errorf("it is %s after %d calls: %v", e.Status, w.calls("", ""), e.Error)
			}
		})
	})
}

// wholeOutput reads the output of a node in pages.
func wholeOutput(t *testing.T, p *process, id, node string) (raw []byte) {
	t.Helper()
	for offset := 0; ; {
		page, err := p.Executions.NodeOutput(t.Context(), id, journal.OutputQuery{Node: node, Offset: offset, MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Output) > 0 {
			return page.Output
		}
		raw = append(raw, page.Text...)
		if offset = page.NextOffset; offset == 0 {
			return raw
		}
	}
}

// The process dies at each commit of a repeated node in turn, in both ways: no round is lost or made twice by a once call.
func TestCrashAtEveryCommitOfARepeat(t *testing.T) {
	crashAtEveryCommit(t, `{"plan":"v1","idempotency_key":"k","nodes":[
		{"id":"poll","capability":"r.read","inputs":{"give":"${index}","take":"5ms"},"repeat":{"until":"${output == 2}","every":"4s"}},
		{"id":"pages","capability":"r.idempotent","inputs":{"id":"i${index}","give":{"items":["${index}"],"next":"${previous == null ? 1 : previous.next + 1}"},"take":"10ms"},
			"repeat":{"until":"${output.next == 3}","collect":"${output.items}"}},
		{"id":"m","capability":"r.once","inputs":{"id":"m${index}","give":"${index}","take":"10ms"},"repeat":{"until":"${index == 2}","every":"3s","collect":"${output}","once":true},
			"on_unknown":{"verify":{"capability":"r.read","inputs":{"id":"look","give":{"yes":true}},"happened":"${output.yes}","output":"${index}"}}}],
		"output":"${nodes.poll.output} ${nodes.pages.output} ${nodes.m.output}"}`, `"2 [0,1,2] [0,1,2]"`)
}

// A round costs the same however many there were: its commits, and the state that is stored, do not grow.
func TestRoundsCostTheSame(t *testing.T) {
	repeatCosts(t, 150, 900, `{"n":"${index}"}`, `,"collect":"${[index]}"`)
	repeatCosts(t, 150, 900, `"${index}"`, `,"every":"0s"`)
}

// repeatCosts compares the bytes and events of the last hundred rounds of few and of many.
func repeatCosts(t *testing.T, few, many int, give, more string) {
	t.Helper()
	cost := func(rounds int) (bytes, snapshot int) {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			var sizes, snapshots []int
			p := run(w, &hooks{Store: s, commit: commitSizes(s, &sizes, &snapshots)})
			defer p.stop()
			id := p.begin(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"give":%s},"repeat":{"until":"${index == %d}"%s}}],"output":1}`, give, rounds-1, more))
			want(t, p.rest(t, id), schemas.StatusSucceeded, "1", "")
			for _, n := range sizes[len(sizes)-101 : len(sizes)-1] { // the last one has the whole output
				bytes += n
			}
			snapshot = slices.Max(append(snapshots, 0))
		})
		return bytes, snapshot
	}
	bytesFew, _ := cost(few)
	bytesMany, snapshot := cost(many)
	t.Logf("the last hundred commits of %d rounds take %d bytes, of %d rounds %d; the largest snapshot has %d", few, bytesFew, many, bytesMany, snapshot)
	if bytesMany > bytesFew*5/4 || snapshot > 64<<10 {
		t.Errorf("the last hundred commits of %d rounds take %d bytes, of %d rounds %d; the largest snapshot has %d", few, bytesFew, many, bytesMany, snapshot)
	}
}

// commitSizes notes the bytes of each commit, without its snapshots, and those of the snapshots.
func commitSizes(s store.Store, sizes, snapshots *[]int) func(ctx context.Context, b store.Batch) (store.Committed, error) {
	return func(ctx context.Context, b store.Batch) (store.Committed, error) {
		bytes := 0
		for _, a := range b.Appends {
			bytes += len(a.Value)
		}
		for _, put := range b.Puts {
			if put.Key.Kind == journal.KindSnapshot {
				*snapshots = append(*snapshots, len(put.Value))
				continue
			}
			bytes += len(put.Value)
		}
		*sizes = append(*sizes, bytes)
		return s.Commit(ctx, b)
	}
}

// BenchmarkRounds is what 10,000 rounds of one node cost: the time and the bytes of a round, and how the last thousand compare with the
// first thousand.
func BenchmarkRounds(b *testing.B) {
	const rounds, part = 10_000, 1000
	for name, open := range map[string]func(testing.TB) store.Store{"memory": recordstest.Memory, "disk": recordstest.Disk} {
		b.Run(name, func(b *testing.B) {
			var first, last, all time.Duration
			var firstBytes, lastBytes int
			for b.Loop() {
				s := open(b)
				var sizes, snapshots []int
				var times []time.Time
				note := commitSizes(s, &sizes, &snapshots)
				p := launch(newWorld(), &hooks{Store: s, commit: func(ctx context.Context, batch store.Batch) (store.Committed, error) {
					times = append(times, time.Now())
					return note(ctx, batch)
				}})
				e, err := p.Executions.Execute(b.Context(), engine.Submit{Plan: []byte(fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"give":"${index}"},
					"repeat":{"until":"${index == %d}","max":10000,"collect":"${output}"}}],"output":"${size(nodes.n.output)}"}`, rounds-1))})
				for err == nil && !e.Status.Terminal() {
					e, err = p.Executions.Status(b.Context(), e.ExecutionID, "", time.Second, nil)
				}
				if p.stop(); err != nil || e.Status != schemas.StatusSucceeded || string(e.Output) != fmt.Sprint(rounds) {
					b.Fatalf("%s %s %v, %v", e.Status, e.Output, e.Error, err)
				}
				n := len(times) - 1 // the last commit has what was collected
				some := n * part / rounds
				first, last, all = first+times[some].Sub(times[0]), last+times[n-1].Sub(times[n-1-some]), all+times[n].Sub(times[0])
				for i := range some {
					firstBytes, lastBytes = firstBytes+sizes[i], lastBytes+sizes[n-1-i]
				}
			}
			b.ReportMetric(float64(all.Microseconds())/float64(b.N*rounds), "µs/round")
			b.ReportMetric(float64(lastBytes)/float64(b.N*part), "B/round")
			b.ReportMetric(last.Seconds()/first.Seconds(), "last/first-time")
			b.ReportMetric(float64(lastBytes)/float64(firstBytes), "last/first-bytes")
			b.ReportMetric(0, "ns/op")
		})
	}
}
