package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
)

// policyPair is one row: two wrappers of the call chain on one capability, and what a refusal by one may not cost of the other. Limits and
// quotas have periods of an hour, so that nothing is refilled while a test runs, however slow the machine.
type policyPair struct {
	name  string
	all   schemas.Policy            // of the realm
	own   map[string]schemas.Policy // by capability
	quota int                       // calls of the principal in an hour
	check func(t *testing.T, f *paired)
}

var hour = new(schemas.Duration(time.Hour))

// noWait is how long a call waits in a full bulkhead: no time, so that it is refused at once.
var noWait = new(schemas.Duration(time.Millisecond))

var policyPairs = []policyPair{
	{name: "breaker and limit: an open breaker spends no token", all: schemas.Policy{Breaker: breaker(2, time.Hour), RateLimit: rate(3, time.Hour)},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", broken, "unavailable", "unavailable", "circuit_open", "circuit_open", "circuit_open", "circuit_open")
			f.invoke(t, "read", works, "", "rate_limited", "rate_limited", "rate_limited")
			f.invoke(t, "idempotent", works, "rate_limited", "rate_limited", "rate_limited") // a refusal is no fault of the realm
			f.wantClosed(t, "idempotent")
		}},
	{name: "breaker and bulkhead: an open breaker takes no slot of a bulkhead", all: schemas.Policy{Breaker: breaker(2, time.Hour), Concurrency: new(1), ConcurrencyWait: noWait},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", broken, "unavailable", "unavailable")
			leave := f.occupy(t, "read")
			f.invoke(t, "once", broken, "circuit_open", "circuit_open")
			f.invoke(t, "idempotent", works, "rate_limited", "rate_limited", "rate_limited") // a full bulkhead is no fault of the realm
			leave()
			f.invoke(t, "idempotent", works, "")
		}},
	{name: "breaker and quota: an open breaker costs nothing", all: schemas.Policy{Breaker: breaker(2, time.Hour)}, quota: 3,
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", broken, "unavailable", "unavailable", "circuit_open", "circuit_open", "circuit_open")
			f.invoke(t, "read", works, "", "quota_exceeded", "quota_exceeded", "quota_exceeded")
			f.wantClosed(t, "read")
		}},
	{name: "breaker and fallback: an open breaker falls back", own: map[string]schemas.Policy{"once": {Breaker: breaker(1, time.Hour), Fallback: insteadOf("r.idempotent")}},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", `{"id":"x","fail":1,"code":"unavailable"}`, "by r.idempotent", "by r.idempotent", "by r.idempotent")
			f.wantCalls(t, "once", 1)
		}},
	{name: "breaker and cache: a cached answer needs no breaker", all: schemas.Policy{Breaker: breaker(1, time.Hour), CacheTTL: hour},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "read", works, "")
			f.invoke(t, "read", broken, "unavailable", "circuit_open")
			f.invoke(t, "read", works, "", "")
			f.wantCalls(t, "read", 2)
		}},
	{name: "breaker and cache: a stale answer stands in for an open breaker", all: schemas.Policy{Breaker: breaker(1, time.Hour), StaleIfError: hour},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "read", works, "", "")
			f.invoke(t, "read", broken, "unavailable", "circuit_open")
			f.invoke(t, "read", works, "by r.read", "by r.read") // flagged degraded
			f.wantCalls(t, "read", 3)
		}},
	{name: "breaker and retry: a direct call does not wait for it, a node does and spends no attempt",
		own: map[string]schemas.Policy{"once": {Breaker: breaker(2, time.Hour)}, "idempotent": {Breaker: breaker(2, 300*time.Millisecond)}},
		check: func(t *testing.T, f *paired) {
			f.tries = 9
			f.invoke(t, "once", broken, "circuit_open")
			f.wantCalls(t, "once", 2)
			e := f.execute(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.idempotent","inputs":{"id":"n","fail":2,"code":"unavailable"},"retry":{"max_attempts":3,"initial_interval":"1ms"}}]}`)
			want(t, e, schemas.StatusSucceeded, "", "n=succeeded")
			f.wantAttempts(t, &e, 3)
			f.wantCalls(t, "idempotent", 3)
		}},
	{name: "limit and bulkhead: a full bulkhead spends no token", all: schemas.Policy{RateLimit: rate(2, time.Hour), Concurrency: new(1), ConcurrencyWait: noWait},
		check: func(t *testing.T, f *paired) {
			leave := f.occupy(t, "read")
			f.invoke(t, "once", works, "rate_limited", "rate_limited", "rate_limited")
			leave()
			f.invoke(t, "once", works, "", "rate_limited")
		}},
	{name: "limit and quota: an empty bucket costs nothing", own: map[string]schemas.Policy{"once": {RateLimit: rate(1, time.Hour)}}, quota: 3,
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", works, "", "rate_limited", "rate_limited", "rate_limited")
			f.invoke(t, "read", works, "", "", "quota_exceeded")
		}},
	{name: "limit and quota: a principal whose quota is used up spends no tokens", all: schemas.Policy{RateLimit: rate(5, time.Hour)}, quota: 2,
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", works, "", "", "quota_exceeded", "quota_exceeded", "quota_exceeded", "quota_exceeded") // the first refusal spends a token, the next ones do not
			f.ctx = as(t, "bob")
			f.invoke(t, "once", works, "", "", "rate_limited") // all five are gone
		}},
	{name: "limit and fallback: an empty bucket falls back", own: map[string]schemas.Policy{"once": {RateLimit: rate(1, time.Hour), Fallback: insteadOf("r.idempotent")}},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", works, "", "by r.idempotent", "by r.idempotent")
			f.wantCalls(t, "once", 1)
		}},
	{name: "limit and cache: a cached answer spends no token", all: schemas.Policy{RateLimit: rate(2, time.Hour), CacheTTL: hour},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "read", works, "", "", "", "")
			f.invoke(t, "read", `{"id":"other"}`, "")
			f.invoke(t, "read", `{"id":"third"}`, "rate_limited")
			f.invoke(t, "read", works, "")
		}},
	{name: "limit and retry: a refusal spends no attempt, an attempt a token",
		own: map[string]schemas.Policy{"once": {RateLimit: rate(1, 300*time.Millisecond)}, "idempotent": {RateLimit: rate(2, time.Hour)}},
		check: func(t *testing.T, f *paired) {
			e := f.execute(t, `{"plan":"v1","inputs":{"l":[0,1,2]},"nodes":[{"id":"n","capability":"r.once","for_each":"${inputs.l}","inputs":{"id":"i${index}"},"retry":{"max_attempts":1}}]}`)
			want(t, e, schemas.StatusSucceeded, "", "n=succeeded")
			f.wantAttempts(t, &e, 3)
			waits := &schemas.Retry{MaxAttempts: 1, RetryOn: []schemas.Code{schemas.CodeRateLimited}}
			out, err := f.p.Capabilities.Invoke(f.ctx, capability.Invocation{Realm: "r", Capability: "once", Inputs: json.RawMessage(works), Retry: waits})
			if err != nil || out.Attempts != 1 {
				t.Errorf("a direct call that waited for its token: %+v %v", out, err)
			}
			f.tries = 5
			f.invoke(t, "idempotent", broken, "rate_limited")
			f.wantCalls(t, "idempotent", 2)
		}},
	{name: "bulkhead and quota: a full bulkhead costs nothing", all: schemas.Policy{Concurrency: new(1), ConcurrencyWait: noWait}, quota: 2,
		check: func(t *testing.T, f *paired) {
			leave := f.occupy(t, "read")
			f.invoke(t, "once", works, "rate_limited", "rate_limited", "rate_limited")
			leave()
			f.invoke(t, "once", works, "", "quota_exceeded")
		}},
	{name: "bulkhead and fallback: a full bulkhead falls back", own: map[string]schemas.Policy{"once": {Concurrency: new(1), ConcurrencyWait: noWait, Fallback: insteadOf("r.idempotent")}},
		check: func(t *testing.T, f *paired) {
			leave := f.occupy(t, "once")
			f.invoke(t, "once", works, "by r.idempotent")
			leave()
			f.invoke(t, "once", works, "")
		}},
	{name: "bulkhead and cache: a cached answer needs no slot", all: schemas.Policy{Concurrency: new(1), ConcurrencyWait: noWait, CacheTTL: hour},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "read", works, "")
			leave := f.occupy(t, "once")
			f.invoke(t, "read", works, "")
			f.invoke(t, "read", `{"id":"other"}`, "rate_limited")
			leave()
			f.invoke(t, "read", `{"id":"other"}`, "")
		}},
	{name: "bulkhead and retry: a full bulkhead spends no attempt", all: schemas.Policy{Concurrency: new(1), ConcurrencyWait: noWait},
		check: func(t *testing.T, f *paired) {
			leave := f.occupy(t, "read")
			e := f.postponed(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","retry":{"max_attempts":1}}]}`, schemas.ReasonTimer, schemas.CodeRateLimited)
			leave()
			e = f.rest(t, e.ExecutionID)
			want(t, e, schemas.StatusSucceeded, "", "n=succeeded")
			f.wantAttempts(t, &e, 1)
		}},
	{name: "quota and fallback: a used-up quota falls back, and pays for what serves", quota: 1,
		own: map[string]schemas.Policy{"once": {Fallback: insteadOf("r.idempotent")}},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "once", works, "", "by fallback value")
			f.wantCalls(t, "idempotent", 0)
		}},
	{name: "quota and cache: a cached answer costs nothing", all: schemas.Policy{CacheTTL: hour}, quota: 2,
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "read", works, "", "", "", "")
			f.invoke(t, "read", `{"id":"other"}`, "")
			f.invoke(t, "read", `{"id":"third"}`, "quota_exceeded")
			f.invoke(t, "read", works, "")
		}},
	{name: "quota and retry: each attempt costs, a refusal spends none", quota: 3,
		check: func(t *testing.T, f *paired) {
			f.tries = 9
			f.invoke(t, "idempotent", broken, "quota_exceeded")
			f.wantCalls(t, "idempotent", 3)
			e := f.postponed(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","retry":{"max_attempts":1}}]}`, schemas.ReasonBudget, schemas.CodeQuotaExceeded)
			f.wantCalls(t, "once", 0)
			if e.Progress.Failed != 0 {
				t.Errorf("%+v", e)
			}
		}},
	{name: "fallback and cache: the answer of a fallback is not cached", all: schemas.Policy{CacheTTL: hour}, own: map[string]schemas.Policy{"read": {Fallback: insteadOf("r.idempotent")}},
		check: func(t *testing.T, f *paired) {
			f.invoke(t, "read", `{"id":"x","fail":1,"code":"unavailable"}`, "by r.idempotent", "", "")
			f.wantCalls(t, "read", 2)
		}},
	{name: "fallback and retry: it falls back when no attempt is left", own: map[string]schemas.Policy{"idempotent": {Fallback: insteadOf("r.once")}},
		check: func(t *testing.T, f *paired) {
			f.tries = 3
			f.invoke(t, "idempotent", `{"id":"x","fail":3,"code":"unavailable"}`, "by r.once")
			f.wantCalls(t, "idempotent", 3)
			f.wantCalls(t, "once", 1)
		}},
	{name: "cache and retry: the answer of a later attempt is cached", all: schemas.Policy{CacheTTL: hour},
		check: func(t *testing.T, f *paired) {
			f.tries = 3
			f.invoke(t, "read", `{"id":"x","fail":2,"code":"unavailable"}`, "", "", "")
			f.wantCalls(t, "read", 3)
		}},
}

const (
	works  = `{"id":"w"}`
	broken = `{"id":"b","fail":99,"code":"unavailable"}`
)

// insteadOf is a fallback list: a capability, and then a value.
func insteadOf(capability string) []schemas.PolicyFallback {
	return []schemas.PolicyFallback{{Capability: capability}, {Value: schemas.Value(`"none"`)}}
}

// Each two wrappers of the call chain together, on each store: their order decides what a refusal by one costs of the other.
func TestPoliciesInPairsOnEveryStore(t *testing.T) {
	for _, st := range recordstest.Stores {
		t.Run(st.Name, func(t *testing.T) {
			for _, tt := range policyPairs {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					f := &paired{queueFixture: &queueFixture{world: newWorld(), open: st.Open(t)}, tries: 1}
					f.ctx = as(t, "ada")
					f.p = f.worker(t, 8)
					f.setPolicies(tt.all, tt.own)
					f.p.Capabilities.SetQuotas(call.QuotaRules{Principal: schemas.Quota{Calls: tt.quota, Per: schemas.Duration(time.Hour)}})
					tt.check(t, f)
				})
			}
		})
	}
}

// What one replica has used up is used up for the others on the same store.
func TestReplicasShareLimitsAndQuotas(t *testing.T) {
	for _, st := range recordstest.Stores {
		t.Run(st.Name, func(t *testing.T) {
			world, open := newWorld(), st.Open(t)
			var replicas []*paired
			for range 3 {
				f := &paired{queueFixture: &queueFixture{world: world, open: open}, tries: 1}
				f.ctx = as(t, "ada")
				f.p = f.worker(t, 8)
				f.setPolicies(schemas.Policy{}, map[string]schemas.Policy{"once": {RateLimit: rate(2, time.Hour)}})
				f.p.Capabilities.SetQuotas(call.QuotaRules{Principal: schemas.Quota{Calls: 4, Per: schemas.Duration(time.Hour)}})
				replicas = append(replicas, f)
			}
			replicas[0].invoke(t, "once", works, "")
			replicas[1].invoke(t, "once", works, "")
			for _, f := range replicas {
				f.invoke(t, "once", works, "rate_limited")
			}
			replicas[2].invoke(t, "read", works, "", "")
			for _, f := range replicas {
				f.invoke(t, "read", works, "quota_exceeded")
			}
		})
	}
}

// paired is a store with one worker under the policies of a pair.
type paired struct {
	*queueFixture
	p     *process
	ctx   context.Context // of the principal that calls
	tries int             // attempts of a direct call
}

// setPolicies sets the policies of the realm and of its capabilities.
func (f *paired) setPolicies(all schemas.Policy, own map[string]schemas.Policy) {
	f.p.Capabilities.SetPolicies(schemas.Policies{Default: all, Realms: map[string]schemas.RealmPolicy{"r": {Capabilities: own}}})
}

// invoke makes direct calls, one by one, and compares how each ends: a code, or which capability served it where that is degraded, or
// nothing. A call that is refused does not wait.
func (f *paired) invoke(t *testing.T, name, inputs string, ends ...string) {
	t.Helper()
	atOnce := []schemas.Code{schemas.CodeRateLimited, schemas.CodeQuotaExceeded, schemas.CodeCircuitOpen}
	retry := &schemas.Retry{MaxAttempts: f.tries, InitialInterval: schemas.Duration(time.Millisecond), NoRetryOn: atOnce}
	var got []string
	for range ends {
		out, err := f.p.Capabilities.Invoke(f.ctx, capability.Invocation{Realm: "r", Capability: name, Inputs: json.RawMessage(inputs), Retry: retry})
		switch e := schemas.AsError(err); {
		case e != nil:
			got = append(got, string(e.Code))
		case out.Degraded:
			got = append(got, "by "+out.ServedBy)
		default:
			got = append(got, "")
		}
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", ends) {
		t.Errorf("%s %s ends as %q, want %q", name, inputs, got, ends)
	}
}

// occupy starts a call that stays in flight until the function that it returns is called.
func (f *paired) occupy(t *testing.T, name string) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = f.p.Capabilities.Invoke(ctx, capability.Invocation{Realm: "r", Capability: name, Inputs: json.RawMessage(`{"id":"stays","mute":true}`), Retry: once}) // it is cancelled
	}()
	eventually(t, "the slot is taken", func() bool { return f.calls(name, "stays") == 1 })
	return func() { cancel(); <-done }
}

// postponed submits a plan of one node and waits until its call was refused.
func (f *paired) postponed(t *testing.T, source, reason string, code schemas.Code) (e schemas.Execution) {
	t.Helper()
	e, err := f.p.Executions.Execute(f.ctx, engine.Submit{Plan: []byte(source)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the call is refused", func() bool {
		e, err = f.p.Executions.Status(f.ctx, e.ExecutionID, schemas.ViewNodes, 0, nil)
		return err != nil || len(e.WaitingFor) == 1
	})
	if err != nil || e.WaitingFor[0].Reason != reason || e.Nodes[0].Error == nil || e.Nodes[0].Error.Code != code {
		t.Fatalf("%+v %v", e, err)
	}
	return e
}

// execute submits a plan and waits until it comes to rest.
func (f *paired) execute(t *testing.T, source string) schemas.Execution {
	t.Helper()
	e, err := f.p.Executions.Execute(f.ctx, engine.Submit{Plan: []byte(source)})
	if err != nil {
		t.Fatal(err)
	}
	return f.rest(t, e.ExecutionID)
}

func (f *paired) rest(t *testing.T, id string) (e schemas.Execution) {
	t.Helper()
	eventually(t, "the execution comes to rest", func() bool {
		var err error
		if e, err = f.p.Executions.Status(f.ctx, id, schemas.ViewNodes, time.Second, nil); err != nil {
			t.Fatal(err)
		}
		return journal.AtRest(&e)
	})
	return e
}

func (f *paired) wantAttempts(t *testing.T, e *schemas.Execution, n int) {
	t.Helper()
	if e.Nodes[0].Attempts != n {
		t.Errorf("node %s took %d attempts, want %d", e.Nodes[0].ID, e.Nodes[0].Attempts, n)
	}
}

func (f *paired) wantCalls(t *testing.T, capability string, n int) {
	t.Helper()
	if got := f.calls(capability, ""); got != n {
		t.Errorf("%s was called %d times, want %d", capability, got, n)
	}
}

// wantClosed asserts that the breaker of a capability is closed.
func (f *paired) wantClosed(t *testing.T, capability string) {
	t.Helper()
	for _, b := range f.p.Capabilities.Breakers() {
		if strings.HasSuffix(b.Capability, "."+capability) && (b.State != schemas.CircuitClosed || b.Failures != 0) {
			t.Errorf("%+v", b)
		}
	}
}
