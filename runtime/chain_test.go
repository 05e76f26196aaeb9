package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// runWithPolicy runs a process with this policy for every realm.
func runWithPolicy(w *world, s store.Store, p schemas.Policy, more ...func(*Config)) *process {
	return run(w, s, append(more, func(c *Config) { c.Policies.Default = p })...)
}

func invokeOnce(p *process, t *testing.T, name, inputs string) (schemas.Invocation, *schemas.Error) {
	t.Helper()
	out, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: name, Inputs: json.RawMessage(inputs), Retry: once})
	return out, schemas.AsError(err)
}

func rate(n int, per time.Duration) *schemas.RateLimit {
	return &schemas.RateLimit{Rate: n, Per: schemas.Duration(per), Burst: n}
}

func breaker(failures int, openFor time.Duration) *schemas.Breaker {
	return &schemas.Breaker{Failures: new(failures), OpenFor: schemas.Duration(openFor)}
}

var once = &schemas.Retry{MaxAttempts: 1}

const fails = `{"id":"x","fail":2,"code":"unavailable"}`

func TestOpenBreakerSpendsNoToken(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{Breaker: breaker(2, time.Minute), RateLimit: rate(3, time.Hour)})
		defer p.stop()
		invoke := func() schemas.Code {
			_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "once", Inputs: json.RawMessage(fails), Retry: once})
			return code(schemas.AsError(err))
		}
		var got []schemas.Code
		for range 6 {
			got = append(got, invoke())
		}
		time.Sleep(time.Minute + time.Millisecond)
		got = append(got, invoke(), invoke())
		want := "[unavailable unavailable circuit_open circuit_open circuit_open circuit_open  rate_limited]"
		if fmt.Sprint(got) != want || w.calls("", "") != 3 {
			t.Errorf("got %v after %d calls, want %s", got, w.calls("", ""), want)
		}
		c, err := p.Capabilities.Resolve(t.Context(), "r", "once")
		if err != nil || c.Breaker.State != schemas.CircuitClosed || c.Breaker.Opened != 1 || *c.Limits.Breaker.Failures != 2 || c.Limits.RateLimits[0].Scope != "r" || c.Limits.RateLimits[0].Rate != 3 {
			t.Errorf("resolve says %+v %+v %v", c.Breaker, c.Limits, err)
		}
	})
}

// A direct call does not wait for an open breaker, however many retries are left; a node does, and spends none.
func TestOpenBreakerSpendsNoAttempt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{Breaker: breaker(2, time.Hour)})
		defer p.stop()
		began := time.Now()
		_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "once", Inputs: json.RawMessage(fails), Retry: &schemas.Retry{MaxAttempts: 9, InitialInterval: schemas.Duration(time.Second), Jitter: new(0.0)}})
		if e := schemas.AsError(err); code(e) != schemas.CodeCircuitOpen || w.calls("", "") != 2 || time.Since(began) > 4*time.Second {
			t.Errorf("%v after %d calls and %s", e, w.calls("", ""), time.Since(began))
		}
		if open := p.Capabilities.Breakers(); len(open) != 1 || open[0].State != schemas.CircuitOpen || open[0].Capability != "r.once" {
			t.Errorf("%+v", open)
		}
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","retry":{"max_attempts":1}},{"id":"b","capability":"r.once","retry":{"max_attempts":1}}]}`)
		want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute || e.Nodes[0].Attempts != 1 || e.Nodes[1].Attempts != 1 {
			t.Errorf("took %s, %+v", took, e.Nodes)
		}
		if m, err := p.Executions.Metrics(t.Context(), e.ExecutionID); err != nil || m.TurnedAway[schemas.CodeCircuitOpen] == 0 || m.Retries != 0 {
			t.Errorf("metrics %+v, %v", m, err)
		}
	})
}

// Nodes that a limit refuses are tried again when there is a token for each, not all at once, and spend no attempt.
func TestRateLimitPostponesNodesAndSpendsNoAttempt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{RateLimit: rate(1, time.Minute)})
		defer p.stop()
		began := time.Now()
		e := p.execute(t, `{"plan":"v1","inputs":{"l":[0,1,2,3,4,5,6,7,8,9]},"nodes":[
			{"id":"m","capability":"r.once","for_each":"${inputs.l}","inputs":{"id":"i${index}"},"retry":{"max_attempts":1}}],"output":"${size(nodes.m.output)}"}`)
		want(t, e, schemas.StatusSucceeded, `10`, "m=succeeded")
		if took := time.Since(began).Round(time.Second); took != 9*time.Minute || e.Nodes[0].Attempts != 10 || w.calls("", "") != 10 {
			t.Errorf("took %s for %d calls, %d attempts", took, w.calls("", ""), e.Nodes[0].Attempts)
		}
		m, err := p.Executions.Metrics(t.Context(), e.ExecutionID)
		if err != nil || m.Events > 60 {
			t.Errorf("%d events for ten calls: they are tried again and again (%v)", m.Events, err)
		}
		if n := m.TurnedAway[schemas.CodeRateLimited]; n < 9 || len(m.TurnedAway) != 1 || m.Nodes[0].TurnedAway[schemas.CodeRateLimited] != n || m.Attempts != 10 {
			t.Errorf("metrics %+v", m)
		}
	})
}

func TestPostponedNodeOutlivesTheProcess(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		began := time.Now()
		policy := schemas.Policy{RateLimit: rate(1, time.Hour)}
		p := runWithPolicy(w, s, policy)
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","max_parallel":1,"nodes":[{"id":"a","capability":"r.once"},{"id":"b","capability":"r.once","retry":{"max_attempts":1},"depends_on":["a"]}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		e, err = p.Executions.Status(t.Context(), e.ExecutionID, schemas.ViewNodes, 0, nil)
		if err != nil || len(e.WaitingFor) != 1 || e.WaitingFor[0].Reason != schemas.ReasonTimer || !e.Waiting || e.Nodes[1].Error == nil || e.Nodes[1].Error.Code != schemas.CodeRateLimited {
			t.Errorf("%+v %v", e, err)
		}
		p.stop()
		p = runWithPolicy(w, s, policy)
		defer p.stop()
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestTotalTimeoutBoundsRefusals(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{RateLimit: rate(1, time.Hour)})
		defer p.stop()
		began := time.Now()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"first","capability":"r.read"},
			{"id":"total","capability":"r.read","total_timeout":"5m","on_error":"continue","depends_on":["first"]},
			{"id":"queue","capability":"r.read","queue_timeout":"3m","on_error":"continue","depends_on":["first"]}],
			"output":["${nodes.total.error.code}","${nodes.queue.error.code}"]}`)
		want(t, e, schemas.StatusSucceeded, `["timeout","queue_timeout"]`, "first=succeeded total=failed queue=failed")
		if took := time.Since(began).Round(time.Second); took != 5*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

// The timeout of an attempt begins when its call is sent, not while it waits in a bulkhead.
func TestTimeInABulkheadIsNotPartOfTheTimeout(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{Concurrency: new(1), ConcurrencyWait: new(schemas.Duration(10 * time.Second))})
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","defaults":{"timeout":"5s","retry":{"max_attempts":1}},"nodes":[
			{"id":"a","capability":"r.once","inputs":{"take":"4s"}},{"id":"b","capability":"r.once","inputs":{"take":"4s"}},
			{"id":"c","capability":"r.once","inputs":{"take":"4s"}},{"id":"d","capability":"r.once","inputs":{"take":"4s"}},{"id":"e","capability":"r.once","inputs":{"take":"6s"},"on_error":"continue"}]}`)
		if e.Nodes[4].Status != schemas.NodeHeld || e.Nodes[4].Error == nil || !strings.Contains(e.Nodes[4].Error.Message, "within 5s, the timeout of its plan defaults") {
			t.Errorf("%+v", e.Nodes[4])
		}
		for _, n := range e.Nodes[:4] {
			if n.Status != schemas.NodeSucceeded || n.Attempts != 1 {
				t.Errorf("%+v", n)
			}
		}
	})
}

func TestOpenBreakerFallsBackAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{}, func(c *Config) {
			c.Policies.Realms = map[string]schemas.RealmPolicy{"r": {Capabilities: map[string]schemas.Policy{"once": {
				Breaker: breaker(1, time.Hour), Fallback: []schemas.PolicyFallback{{Capability: "r.idempotent"}, {Value: schemas.Value(`"none"`)}},
			}}}}
		})
		defer p.stop()
		for i, by := range []string{"r.idempotent", "r.idempotent"} {
			began := time.Now()
			out, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "once", Inputs: json.RawMessage(`{"id":"x","fail":1,"code":"unavailable"}`), Retry: once})
			if err != nil || out.ServedBy != by || !out.Degraded || time.Since(began) > 0 {
				t.Errorf("call %d: %+v %v", i, out, err)
			}
		}
		if w.calls("once", "") != 1 || w.calls("idempotent", "") != 2 {
			t.Errorf("%+v", w.ledger)
		}
	})
}

func TestCachedAnswersSpendNoTokenAndNeedNoBreaker(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{
			CacheTTL: new(schemas.Duration(time.Minute)), StaleIfError: new(schemas.Duration(time.Hour)), RateLimit: rate(3, time.Hour), Breaker: breaker(1, 2*time.Hour),
		})
		defer p.stop()
		for range 20 {
			if out, err := invokeOnce(p, t, "read", `{"id":"x"}`); err != nil || out.Degraded {
				t.Fatalf("%+v %v", out, err)
			}
		}
		if w.calls("", "") != 1 {
			t.Errorf("%d calls for twenty identical reads", w.calls("", ""))
		}
		if _, err := invokeOnce(p, t, "read", `{"id":"y","fail":1,"code":"unavailable"}`); code(err) != schemas.CodeUnavailable {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		if out, err := invokeOnce(p, t, "read", `{"id":"x"}`); err != nil || !out.Degraded || out.AgeSeconds != 600 || out.ServedBy != "r.read" {
			t.Errorf("a stale answer while the breaker is open: %+v %v", out, err)
		}
		if _, err := invokeOnce(p, t, "read", `{"id":"z"}`); code(err) != schemas.CodeCircuitOpen {
			t.Errorf("nothing is cached: %v", err)
		}
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"id":"x"}}]}`)
		want(t, e, schemas.StatusSucceeded, "", "a=succeeded")
		if !e.Degraded || !e.Nodes[0].Degraded || e.Nodes[0].AgeSeconds != 600 {
			t.Errorf("a node served by a stale answer is degraded, and shows how old that is: %+v", e)
		}
	})
}

func TestIdenticalReadsOfAnExecutionAreMadeOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{CacheTTL: new(schemas.Duration(time.Minute))})
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","inputs":{"l":[0,1,2,3,4,5,6,7]},"nodes":[{"id":"m","capability":"r.read","for_each":"${inputs.l}","inputs":{"id":"x","take":"3s"}}],"output":"${size(nodes.m.output)}"}`)
		want(t, e, schemas.StatusSucceeded, `8`, "m=succeeded")
		if w.calls("", "") != 1 {
			t.Errorf("%d calls", w.calls("", ""))
		}
	})
}

// A direct call does not retry a used-up quota; a node waits until there is enough, and spends no attempt.
func TestQuotaRefusesDirectCallsAndPostponesNodes(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{}, func(c *Config) { c.Quotas.Session = schemas.Quota{Calls: 2, Per: schemas.Duration(time.Hour)} })
		defer p.stop()
		began := time.Now()
		session, err := p.Sessions.Create(t.Context(), schemas.SessionUpdates{})
		if err != nil {
			t.Fatal(err)
		}
		invoke := func() *schemas.Error {
			_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "read", Inputs: json.RawMessage(`{}`), SessionID: session.SessionID})
			return schemas.AsError(err)
		}
		first, second, third := invoke(), invoke(), invoke()
		if first != nil || second != nil || code(third) != schemas.CodeQuotaExceeded || third.RetryAfterSeconds < 1790 || time.Since(began) > 0 {
			t.Errorf("%v, %v, %+v after %s", first, second, third, time.Since(began))
		}
		e, err := p.Executions.Execute(t.Context(), engine.Submit{SessionID: session.SessionID, Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.once","retry":{"max_attempts":1}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		e, err = p.Executions.Status(t.Context(), e.ExecutionID, "", 0, nil)
		if err != nil || len(e.WaitingFor) != 1 || e.WaitingFor[0].Reason != schemas.ReasonBudget {
			t.Errorf("%+v %v", e, err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "a=succeeded")
		if took := time.Since(began); took < 30*time.Minute || took > 31*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

// Policies change while calls are made; what was counted against a limit that stays the same is kept.
func TestPoliciesAreReplaced(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{Breaker: breaker(1, time.Hour), RateLimit: rate(1, time.Hour)})
		defer p.stop()
		_, _ = invokeOnce(p, t, "once", `{"id":"x","fail":1,"code":"denied"}`) // takes the token
		wait := 1500 * time.Millisecond
		p.Capabilities.SetPolicies(schemas.Policies{Default: schemas.Policy{Breaker: breaker(1, time.Hour), RateLimit: &schemas.RateLimit{}, Timeout: new(schemas.Duration(wait))}})
		if _, err := invokeOnce(p, t, "once", `{}`); err != nil {
			t.Errorf("without a limit: %v", err)
		}
		p.Capabilities.SetQuotas(call.QuotaRules{Principal: schemas.Quota{Calls: 1}})
		_, _ = invokeOnce(p, t, "read", `{}`) // the one
		if _, err := invokeOnce(p, t, "read", `{}`); code(err) != schemas.CodeQuotaExceeded {
			t.Errorf("with a quota: %v", err)
		}
	})
}

// A store that cannot be reached stops no direct call: reads are answered from the cache or by the realm, and limits still hold.
func TestDirectCallsGoOnWithoutTheStore(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{CacheTTL: new(schemas.Duration(time.Hour)), RateLimit: rate(3, time.Hour)}, func(c *Config) {
			c.Quotas.Principal = schemas.Quota{Calls: 100}
		})
		defer p.stop()
		if _, err := invokeOnce(p, t, "read", `{"id":"x"}`); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if out, err := invokeOnce(p, t, "read", `{"id":"x"}`); err != nil || out.Degraded {
			t.Errorf("cached: %+v %v", out, err)
		}
		var wg sync.WaitGroup
		passed := make(chan bool, 10)
		for i := range 10 {
			wg.Go(func() {
				_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "read", Inputs: fmt.Appendf(nil, `{"id":"n%d"}`, i), Retry: once})
				passed <- err == nil
				if err != nil && code(schemas.AsError(err)) != schemas.CodeRateLimited {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		close(passed)
		n := 0
		for ok := range passed {
			if ok {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d calls passed the limit of 3", n)
		}
		_, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","set":1}]}`)})
		if e := schemas.AsError(err); code(e) != schemas.CodeUnavailable || !errors.Is(err, records.ErrUnavailable) {
			t.Errorf("a start is refused: %v", err)
		}
	})
}

// The fallbacks of a policy serve nodes too, durably; a node's own list replaces them.
func TestNodesFallBackByPolicy(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		list := []schemas.PolicyFallback{{Capability: "gone.x"}, {Capability: "r.idempotent"}, {Value: schemas.Value(`"none"`)}}
		w.change("once", plan.Tool{Hash: "once", Effect: schemas.EffectOnce, InputSchema: worldSchema, Policy: schemas.Policy{Fallback: list}})
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[
			{"id":"a","capability":"r.once","inputs":{"id":"a","fail":1}},
			{"id":"b","capability":"r.once","inputs":{"id":"b","fail":9}},
			{"id":"c","capability":"r.once","inputs":{"id":"c","fail":9},"fallback":[{"value":"own"}]}]}`)
		want(t, e, schemas.StatusSucceeded, `{"a":{"id":"a"},"b":"none","c":"own"}`, "a=succeeded b=succeeded c=succeeded")
		if e.Nodes[0].ServedBy != "r.idempotent" || !e.Nodes[0].Degraded || e.Nodes[1].ServedBy != "fallback value" {
			t.Errorf("%+v", e.Nodes)
		}
	})
}
