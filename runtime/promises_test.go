package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// scripted is a world with other tools, each a function. It notes its calls as "tool inputs".
type scripted struct {
	*world
	tools  map[string]plan.Tool // by realm.name
	answer map[string]func(ctx context.Context, c *call.Call) (*call.Result, error)

	lock sync.Mutex
	log  []string
	keys []string
}

func (s *scripted) Catalog(context.Context, []string) plan.Catalog { return s }
func (s *scripted) Realms() []string {
	seen := map[string]bool{}
	for name := range s.tools {
		realm, _, _ := strings.Cut(name, ".")
		seen[realm] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (s *scripted) Tools(realm string) (names []string, _ error) {
	for name := range s.tools {
		if r, tool, _ := strings.Cut(name, "."); r == realm {
			names = append(names, tool)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *scripted) Tool(realm, name string) (plan.Tool, bool) {
	t, ok := s.tools[realm+"."+name]
	return t, ok
}

func (s *scripted) Invoke(ctx context.Context, c *call.Call) (*call.Result, error) {
	s.lock.Lock()
	s.log, s.keys = append(s.log, c.Name()+" "+string(c.Inputs)), append(s.keys, c.Key)
	s.lock.Unlock()
	res, err := s.answer[c.Name()](ctx, c)
	if err == nil {
		res.ServedBy = c.Name()
	}
	return res, err
}

func (s *scripted) called(tool string) (n int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, c := range s.log {
		if strings.HasPrefix(c, tool+" ") {
			n++
		}
	}
	return n
}

// always answers every call with the same output.
func always(output string) func(context.Context, *call.Call) (*call.Result, error) {
	return func(context.Context, *call.Call) (*call.Result, error) {
		return &call.Result{Output: json.RawMessage(output)}, nil
	}
}

func down(context.Context, *call.Call) (*call.Result, error) {
	return nil, schemas.Errorf(schemas.CodeUnavailable, "down").WithOutcome(schemas.NotRun)
}

// lost is a call that happens and never answers.
func lost(ctx context.Context, _ *call.Call) (*call.Result, error) {
	<-ctx.Done()
	return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.Unknown)
}

// refunds are the tools of testdata/plans/whole.yaml.
func refunds() *scripted {
	object := json.RawMessage(`{"type":"object"}`)
	read, once := plan.Tool{Effect: schemas.EffectRead, InputSchema: object}, plan.Tool{Effect: schemas.EffectOnce, InputSchema: object}
	return &scripted{
		world: newWorld(),
		tools: map[string]plan.Tool{
			"shop.get_order": read, "fraud.score": read, "fraud.basic": read, "pay.refund": once, "pay.find_refund": read,
			"pay.void_refund": {Effect: schemas.EffectIdempotent, InputSchema: object}, "mail.send": once,
		},
		answer: map[string]func(context.Context, *call.Call) (*call.Result, error){
			"shop.get_order": always(`{"id":"A-17","total_cents":3600,"contacts":[{"email":"a@x"},{"email":"b@x"}]}`),
			"fraud.score":    always(`{"score":0.1}`), "fraud.basic": always(`{"score":0.2}`),
			"pay.refund": always(`{"id":"R-1"}`), "pay.find_refund": always(`{"items":[]}`), "pay.void_refund": always(`{}`),
			"mail.send": always(`{"sent":true}`),
		},
	}
}

// The plan that shows the whole language runs, through each of its branches.
func TestWholePlanRuns(t *testing.T) {
	source, err := os.ReadFile("../testdata/plans/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mails := []string{`mail.send {"to":"a@x","text":"Refund R-1"}`, `mail.send {"to":"b@x","text":"Refund R-1"}`}
	for name, tt := range map[string]struct {
		change   func(d *scripted)
		reject   bool
		status   schemas.Status
		nodes    string
		output   string
		degraded string // what served the degraded node
		calls    []string
	}{
		"as written": {
			change: func(*scripted) {},
			status: schemas.StatusSucceeded, nodes: "order=succeeded risk=succeeded refund=succeeded mail=succeeded", output: `{"refund_id":"R-1"}`,
			calls: append([]string{`shop.get_order {"id":"A-17"}`, `fraud.score {"order":{"id":"A-17","total_cents":3600,"contacts":[{"email":"a@x"},{"email":"b@x"}]}}`, `pay.refund {"order":"A-17","cents":3600}`}, mails...),
		},
		"another capability serves": {
			change: func(d *scripted) { d.answer["fraud.score"] = down },
			status: schemas.StatusSucceeded, nodes: "order=succeeded risk=succeeded refund=succeeded mail=succeeded", output: `{"refund_id":"R-1"}`, degraded: "fraud.basic",
		},
		"a value serves": {
			change: func(d *scripted) { d.answer["fraud.score"], d.answer["fraud.basic"] = down, down },
			status: schemas.StatusSucceeded, nodes: "order=succeeded risk=succeeded refund=succeeded mail=succeeded", output: `{"refund_id":"R-1"}`, degraded: "fallback value",
		},
		"too risky": {
			change: func(d *scripted) { d.answer["fraud.score"] = always(`{"score":0.8}`) },
			status: schemas.StatusSucceeded, nodes: "order=succeeded risk=succeeded refund=skipped mail=skipped", output: `{"refund_id":null}`,
		},
		"rejected": {
			change: func(*scripted) {}, reject: true,
			status: schemas.StatusFailed, nodes: "order=succeeded risk=succeeded refund=failed mail=cancelled",
		},
		"one mail fails": {
			change: func(d *scripted) {
				d.answer["mail.send"] = func(_ context.Context, c *call.Call) (*call.Result, error) {
					if strings.Contains(string(c.Inputs), "a@x") {
						return nil, schemas.Errorf(schemas.CodeToolError, "no such mailbox").WithOutcome(schemas.RanFailed)
					}
					return &call.Result{Output: json.RawMessage(`{"sent":true}`)}, nil
				}
			},
			status: schemas.StatusSucceeded, nodes: "order=succeeded risk=succeeded refund=succeeded mail=succeeded", output: `{"refund_id":"R-1"}`,
		},
		"a refund that did not happen": {
			change: func(d *scripted) {
				n := 0
				d.answer["pay.refund"] = func(ctx context.Context, c *call.Call) (*call.Result, error) {
					if n++; n == 1 {
						return lost(ctx, c)
					}
					return &call.Result{Output: json.RawMessage(`{"id":"R-1"}`)}, nil
				}
			},
			status: schemas.StatusSucceeded, nodes: "order=succeeded risk=succeeded refund=succeeded mail=succeeded", output: `{"refund_id":"R-1"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, _ *world, s store.Store) {
				d := refunds()
				tt.change(d)
				p := run(d.world, s, func(c *Config) { c.Realms = d })
				defer p.stop()
				id := p.submit(t, string(source))
				time.Sleep(time.Minute) // the retries of what is down
				open, err := p.Safety.Reviews(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range open {
					if d.called("pay.refund") > 0 || string(r.Inputs) != `{"order":"A-17","cents":3600}` {
						t.Errorf("it was called before the review, or the review shows %s", r.Inputs)
					}
					p.decide(t, r.ReviewID, safety.Decision{Approve: !tt.reject, By: "ada"})
				}
				e := p.rest(t, id)
				want(t, e, tt.status, tt.output, tt.nodes)
				risk := e.Nodes[1]
				if e.Degraded != (tt.degraded != "") || risk.Degraded != e.Degraded || tt.degraded != "" && risk.ServedBy != tt.degraded {
					t.Errorf("degraded %v, %+v", e.Degraded, risk)
				}
				slices.Sort(d.log[min(3, len(d.log)):]) // mails go out at once
				if d := cmp.Diff(tt.calls, d.log); tt.calls != nil && d != "" {
					t.Errorf("calls (-want +got):\n%s", d)
				}
				again, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: source})
				if err != nil || again.ExecutionID != id {
					t.Errorf("the same key and plan gave %s, %v", again.ExecutionID, err)
				}
			})
		})
	}
}

func TestTimeoutOfThePlanEndsTheExecution(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		began := time.Now()
		e := p.execute(t, `{"plan":"v1","timeout":"10m","nodes":[{"id":"a","wait":"48h"},{"id":"b","capability":"r.read","depends_on":["a"]}]}`)
		want(t, e, schemas.StatusTimedOut, "", "a=cancelled b=cancelled")
		if took := time.Since(began); took != 10*time.Minute || e.Error.Code != schemas.CodeTimeout {
			t.Errorf("after %s: %v", took, e.Error)
		}
	})
}

func TestPriorityOfAnExecutionDecidesTheOrder(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.Limits.MaxExecutions = 1 })
		defer p.stop()
		submit := func(id, priority string) schemas.Execution {
			e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1",` + priority + `"nodes":[{"id":"a","capability":"r.once","inputs":{"id":"` + id + `","take":"10s"}}]}`)})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		submit("busy", "")
		all := []schemas.Execution{submit("last", `"priority":5,`), submit("default", ""), submit("first", `"priority":1,`)}
		if all[0].Priority != 5 || all[1].Priority != 3 || all[2].Priority != 1 {
			t.Errorf("priorities %d %d %d", all[0].Priority, all[1].Priority, all[2].Priority)
		}
		for _, e := range all {
			p.rest(t, e.ExecutionID)
		}
		var order []string
		for _, c := range w.ledger {
			order = append(order, c.id)
		}
		if got := strings.Join(order, " "); got != "busy first default last" {
			t.Errorf("order: %s", got)
		}
	})
}

func TestWaitUntilAMoment(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		moment := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
		began := time.Now()
		want(t, p.execute(t, `{"plan":"v1","nodes":[{"id":"a","wait":"`+moment+`"}]}`), schemas.StatusSucceeded, "", "a=succeeded")
		if took := time.Since(began).Round(time.Minute); took != 3*time.Hour {
			t.Errorf("took %s", took)
		}
	})
}

func TestDecisionIsTheOutputOfAReview(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","review":"Sure?"}],"output":"${nodes.a.output}"}`)
		p.decide(t, p.review(t, id, "a"), safety.Decision{Approve: true, Comment: "fine", By: "ada"})
		e := p.rest(t, id)
		var got map[string]string
		if err := json.Unmarshal(e.Output, &got); err != nil || !maps.Equal(got, map[string]string{"decision": "approve", "comment": "fine", "by": "ada"}) {
			t.Errorf("%s %v", e.Output, err)
		}
	})
}

func TestProgressKeepsACallAlive(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, _ *world, s store.Store) {
		d := refunds()
		d.answer["shop.get_order"] = func(ctx context.Context, c *call.Call) (*call.Result, error) {
			for range 10 {
				select {
				case <-time.After(4 * time.Second):
					c.Progress(call.Progress{})
				case <-ctx.Done():
					return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.Unknown)
				}
			}
			return &call.Result{Output: json.RawMessage(`1`)}, nil
		}
		p := run(d.world, s, func(c *Config) { c.Realms = d })
		defer p.stop()
		want(t, p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"shop.get_order","heartbeat_timeout":"5s"}]}`), schemas.StatusSucceeded, `{"a":1}`, "")
	})
}

func TestListLongerThanItsLimitFailsTheNode(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		source := `{"plan":"v1","nodes":[{"id":"m","set":"${index}","for_each":"${lists.range(8) + lists.range(%d)}"%s}],"output":"${size(nodes.m.output)}"}`
		want(t, p.execute(t, fmt.Sprintf(source, 9_992, "")), schemas.StatusSucceeded, `10000`, "")
		for _, e := range []schemas.Execution{p.execute(t, fmt.Sprintf(source, 9_993, "")), p.execute(t, fmt.Sprintf(source, 0, `,"max_items":7`))} {
			want(t, e, schemas.StatusFailed, "", "m=failed")
			if e.Error.Code != schemas.CodePayloadTooLarge || !strings.Contains(e.Error.Message, "max_items") {
				t.Errorf("%v", e.Error)
			}
		}
	})
}

func TestExpressionsReadOutputsUpToOneMebibyte(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, _ *world, s store.Store) {
		d := refunds()
		p := run(d.world, s, func(c *Config) { c.Realms = d })
		defer p.stop()
		source := []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"shop.get_order"},{"id":"n","set":"${size(nodes.a.output)}"}],"output":"${nodes.n.output}"}`)
		about := `{"plan":"v1","nodes":[{"id":"a","capability":"shop.get_order"},{"id":"b","when":"${nodes.a.status == 'succeeded'}","set":"${nodes.a.status} ${nodes.a.degraded} ${nodes.a.error}"}],"output":"${nodes.b.output}"}`
		for n, fits := range map[int]bool{1 << 20: true, 1<<20 + 1: false} {
			d.answer["shop.get_order"] = always(`"` + strings.Repeat("x", n-2) + `"`)
			e := p.execute(t, string(source))
			if !fits {
				want(t, e, schemas.StatusFailed, "", "a=succeeded n=failed")
				if e.Error.Code != schemas.CodePayloadTooLarge || !strings.Contains(e.Error.Hint, "get_node_output") {
					t.Errorf("%v", e.Error)
				}
			} else {
				want(t, e, schemas.StatusSucceeded, fmt.Sprint(n-2), "")
			}
			if e.Nodes[0].OutputRef == nil || e.Nodes[0].OutputRef.Bytes != n {
				t.Errorf("%d bytes: reference %+v", n, e.Nodes[0].OutputRef)
			}
			if page, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "a", Offset: n - 3, MaxBytes: 2}); err != nil || page.Text != "xx" {
				t.Errorf("%d bytes: the page before the last byte is %q, %v", n, page.Text, err)
			}
			want(t, p.execute(t, about), schemas.StatusSucceeded, `"succeeded false null"`, "") // whatever the size, the rest can be read
		}
	})
}

// An answer, an event and a comment that contain expressions stay as they are wherever they are passed.
func TestExpressionsInDataAreNeverEvaluated(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, _ *world, s store.Store) {
		d := refunds()
		trap := "${inputs.secret} $${inputs.secret} ${1 + 1}"
		raw, _ := json.Marshal(trap)
		d.answer["shop.get_order"] = func(context.Context, *call.Call) (*call.Result, error) {
			return &call.Result{Output: raw, Text: trap}, nil
		}
		d.answer["mail.send"] = func(_ context.Context, c *call.Call) (*call.Result, error) {
			return &call.Result{Output: c.Inputs}, nil
		}
		d.answer["fraud.score"] = down
		p := run(d.world, s, func(c *Config) { c.Realms = d })
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","inputs":{"secret":"canary"},"nodes":[
			{"id":"a","capability":"shop.get_order"},
			{"id":"set","set":"${nodes.a.output}"},
			{"id":"again","set":{"whole":"${nodes.set.output}","part":"- ${nodes.set.output}","text":"${nodes.a.text}"}},
			{"id":"call","capability":"mail.send","inputs":{"x":"${nodes.again.output}"}},
			{"id":"each","capability":"mail.send","for_each":["${nodes.a.output}"],"inputs":{"x":"${item}"}},
			{"id":"instead","capability":"fraud.score","inputs":{},"retry":{"max_attempts":1},"fallback":[{"value":"${nodes.a.output}"}]},
			{"id":"within","workflow":{"definition":{"plan":"v1","inputs":{"x":1},"nodes":[{"id":"n","set":"${inputs.x}"}],"output":"${nodes.n.output}"}},"inputs":{"x":"${nodes.a.output}"}},
			{"id":"event","wait_for":"e"},
			{"id":"ask","review":"${nodes.a.output}"}],
			"output":["${nodes.again.output}","${nodes.call.output}","${nodes.each.output}","${nodes.instead.output}","${nodes.within.output}","${nodes.event.output}","${nodes.ask.output.comment}"]}`)
		p.signal(t, id, "e", raw)
		open, err := p.Safety.Reviews(t.Context())
		if err != nil || len(open) != 1 || open[0].Question != trap {
			t.Fatalf("%+v %v", open, err)
		}
		p.decide(t, open[0].ReviewID, safety.Decision{Approve: true, Comment: trap, By: "ada"})
		e := p.rest(t, id)
		q := string(raw)
		part, _ := json.Marshal("- " + trap)
		again := `{"whole":` + q + `,"part":` + string(part) + `,"text":` + q + `}`
		want(t, e, schemas.StatusSucceeded, `[`+again+`,{"x":`+again+`},[{"x":`+q+`}],`+q+`,`+q+`,`+q+`,`+q+`]`, "")
	})
}

// The inputs that expressions give have to fit the schema that the plan was accepted with.
func TestInputsAreCheckedBeforeTheCallIsSent(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"give":{"take":7,"list":[7]}}},
			{"id":"pay","capability":"r.once","inputs":{"take":"${nodes.a.output.take}"},"on_error":"continue"},
			{"id":"list","capability":"r.once","for_each":"${nodes.a.output.list}","inputs":{"take":"${item}"},"on_error":"continue"}],"output":"${nodes.pay.error}"}`)
		want(t, e, schemas.StatusSucceeded, "", "a=succeeded pay=failed list=succeeded")
		if n := w.calls("once", ""); n != 0 {
			t.Errorf("%d calls with inputs that do not fit", n)
		}
		if err := e.Nodes[1].Error; err == nil || err.Code != schemas.CodeInvalidArgument || err.Outcome != schemas.NotRun || !strings.Contains(err.Message, "`take` must be a string") {
			t.Errorf("%v", err)
		}
	})
}

func TestExecuteRefusesWithTheFindingsOfValidate(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		source := []byte(`{"plan":"v1","nodes":[{"id":"a","tool":"r.reed","if":"${nodes.b.output}"},{"id":"c","capability":"q.read","timeout":30}]}`)
		v, err := p.Executions.Validate(t.Context(), source)
		if err != nil || v.Valid || len(v.Findings) < 5 {
			t.Fatalf("%+v %v", v, err)
		}
		_, err = p.Executions.Execute(t.Context(), engine.Submit{Plan: source})
		e := schemas.AsError(err)
		if d := cmp.Diff(v.Findings, e.Findings); e.Code != schemas.CodeInvalidPlan || d != "" {
			t.Errorf("%s, findings (-validate +execute):\n%s", e.Code, d)
		}
	})
}

// Retries, suspends and crashes repeat a call with the key and the inputs that it had.
func TestOneCallHasOneIdempotencyKey(t *testing.T) {
	source := `{"plan":"v1","nodes":[{"id":"a","capability":"r.idempotent","inputs":{"id":"${execution.id}-${execution.created_at}","take":"20s","fail":1,"code":"unavailable"}},
		{"id":"m","capability":"r.idempotent","for_each":[0,1],"inputs":{"id":"i${index}","fail":1,"code":"unavailable"}}]}`
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		dying := storetest.Crash(s, 0, storetest.CrashBefore)
		first := run(w, dying)
		id := first.submit(t, source)
		time.Sleep(30 * time.Second) // the second attempt of a is in flight
		dying.Reset(1)               // and its result is never committed
		time.Sleep(time.Minute)
		first.stop()
		second := run(w, s)
		defer second.stop()
		e := second.rest(t, id)
		want(t, e, schemas.StatusSucceeded, "", "a=succeeded m=succeeded")
		keys := map[string]string{}
		for _, c := range w.ledger {
			if before, ok := keys[c.id]; ok && before != c.key {
				t.Errorf("%s was called with key %s and then %s", c.id, before, c.key)
			}
			keys[c.id] = c.key
		}
		at, _ := e.CreatedAt.MarshalText()
		wanted := map[string]string{id + "-" + string(at): id + "/a", "i0": id + "/m/0", "i1": id + "/m/1"}
		if d := cmp.Diff(wanted, keys); d != "" {
			t.Errorf("keys by the inputs that came with them (-want +got):\n%s", d)
		}
		if n := w.calls("idempotent", id+"-"+string(at)); n != 3 {
			t.Errorf("called %d times, want once, again after its failure and again after the crash", n)
		}
		if e.Nodes[0].Attempts != 3 {
			t.Errorf("%+v", e.Nodes[0])
		}
	})
}

// Whatever is requested at the moment at which a call ends, an execution ends once.
func TestAnExecutionEndsOnce(t *testing.T) {
	for _, effect := range []string{"read", "once"} {
		for _, at := range []time.Duration{999 * time.Millisecond, time.Second, 1001 * time.Millisecond} {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				for range 20 {
					id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.`+effect+`","inputs":{"take":"1s"}}]}`)
					time.Sleep(at)
					var wg sync.WaitGroup
					wg.Go(func() { _, _ = p.Executions.Suspend(t.Context(), id, "now", "") }) // each may come too late
					wg.Go(func() { _, _ = p.Executions.Cancel(t.Context(), id, engine.CancelOptions{}) })
					wg.Go(func() { _, _ = p.Executions.Suspend(t.Context(), id, "", "") })
					wg.Wait()
					e := p.rest(t, id)
					if e.Status == schemas.StatusSuspended {
						p.resume(t, id)
						e = p.rest(t, id)
					}
					time.Sleep(time.Minute) // for whatever comes late
					synctest.Wait()
					after, err := p.Executions.Status(t.Context(), id, schemas.ViewNodes, 0, nil)
					if err != nil || after.Status != e.Status || !e.Status.Terminal() {
						t.Errorf("%s, and later %s, %v", e.Status, after.Status, err)
					}
					events, err := p.Executions.Events(t.Context(), id, 0, 0)
					if err != nil {
						t.Fatal(err)
					}
					ends := 0
					for _, event := range events.Events {
						if event.Type == schemas.EventFinished {
							ends++
						}
					}
					if ends != 1 || events.Events[len(events.Events)-1].Type != schemas.EventFinished {
						t.Errorf("%d ends in %+v", ends, events.Events)
					}
				}
			})
		}
	}
}

// A plan that names another execution, the environment or files is refused.
func TestOneExecutionDoesNotReadAnother(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		first := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","set":"secret"}]}`).ExecutionID
		for _, expression := range []string{"nodes.a.output", "executions['" + first + "'].nodes.a.output", "env.HOME", "file('/etc/passwd')"} {
			raw, _ := json.Marshal("${" + expression + "}")
			_, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"b","set":` + string(raw) + `}]}`)})
			if !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidPlan}) {
				t.Errorf("%s: %v", expression, err)
			}
		}
	})
}
