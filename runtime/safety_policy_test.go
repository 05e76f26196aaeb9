package runtime

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// reviewed has a person allow each call of r.idempotent.
var reviewed = schemas.Policies{Realms: map[string]schemas.RealmPolicy{"r": {Capabilities: map[string]schemas.Policy{
	"idempotent": {Safety: schemas.SafetyReviewed},
	"read":       {Fallback: []schemas.PolicyFallback{{Capability: "r.idempotent"}}},
}}}}

func underReview(c *Config) { c.Policies = reviewed }

const guarded = `{"id":"n","capability":"r.idempotent","inputs":{"id":"g"}}`

// Every way by which an execution calls a capability on its way to a result is held by the policy until a person has allowed the call.
func TestPolicyHoldsEveryCallOfAnExecutionForAPerson(t *testing.T) {
	plan := func(nodes string) string { return `{"plan":"v1","nodes":[` + nodes + `]}` }
	for name, tt := range map[string]struct {
		plan             string
		scheduled, named bool
		calls            int // each is allowed on its own
	}{
		"node":      {plan: plan(guarded), calls: 1},
		"normal":    {plan: plan(`{"id":"n","capability":"r.idempotent","safety_level":"normal","inputs":{"id":"g"}}`), calls: 1},
		"for_each":  {plan: plan(`{"id":"n","for_each":[1,2],"capability":"r.idempotent","inputs":{"id":"g"}}`), calls: 2},
		"repeat":    {plan: plan(`{"id":"n","capability":"r.idempotent","inputs":{"id":"g"},"repeat":{"until":"${index == 1}","max_rounds":2}}`), calls: 2},
		"fallback":  {plan: plan(`{"id":"n","capability":"r.once","inputs":{"id":"o","fail":9},"fallback":[{"capability":"r.idempotent","inputs":{"id":"g"}}]}`), calls: 1},
		"workflow":  {plan: plan(subplan("w", "", guarded)), calls: 1},
		"published": {plan: plan(guarded), named: true, calls: 1},
		"schedule":  {plan: plan(guarded), scheduled: true, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s, underReview)
				defer p.stop()
				switch {
				case tt.scheduled:
					first := p.setSchedule(t, "w", tt.plan, schemas.Schedule{Every: interval(24 * time.Hour)})
					time.Sleep(time.Until(first) + time.Minute)
				case tt.named:
					if _, err := p.Workflows.Create(t.Context(), workflow.Spec{Name: "w", Definition: []byte(tt.plan), Publish: new(true)}); err != nil {
						t.Fatal(err)
					}
					if _, err := p.Workflows.Execute(t.Context(), "w", 0, engine.Submit{}); err != nil {
						t.Fatal(err)
					}
				default:
					p.submit(t, tt.plan)
				}
				for allowed := range tt.calls {
					time.Sleep(time.Minute)
					synctest.Wait()
					if n := w.calls("idempotent", ""); n != allowed {
						t.Fatalf("%d calls, %d were allowed: %v", n, allowed, w.ledger)
					}
					open, err := p.Safety.Reviews(t.Context())
					if err != nil || len(open) == 0 || open[0].Capability != "r.idempotent" {
						t.Fatalf("%+v, %v", open, err)
					}
					p.decide(t, open[0].ReviewID, safety.Decision{Approve: true, By: "ada"})
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := w.calls("idempotent", ""); n != tt.calls {
					t.Errorf("%d calls, %d were allowed", n, tt.calls)
				}
			})
		})
	}
}

// What no person is asked about is not called.
func TestPolicyRefusesCallsThatNoPersonIsAskedAbout(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, underReview)
		defer p.stop()
		for _, tool := range []string{"idempotent", "read"} { // the second by its fallback
			_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: tool, Inputs: json.RawMessage(`{"id":"d","fail":9,"code":"denied"}`)})
			e, code := schemas.AsError(err), map[string]schemas.Code{"idempotent": schemas.CodeNeedsReview, "read": schemas.CodeDenied}[tool]
			if e == nil || e.Code != code {
				t.Errorf("%s: %v", tool, err)
			}
		}
		undo := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","compensate":{"capability":"r.idempotent","inputs":{"id":"undo"}}},
			{"id":"b","capability":"r.once","depends_on":["a"],"inputs":{"fail":9},"on_error":"compensate"}]}`)
		want(t, undo, schemas.StatusFailed, "", "a=succeeded b=failed")
		p.Capabilities.SetPolicies(schemas.Policies{Realms: map[string]schemas.RealmPolicy{"r": {Capabilities: map[string]schemas.Policy{"read": {Safety: schemas.SafetyReviewed}}}}})
		verify := p.execute(t, `{"plan":"v1","nodes":[{"id":"v","capability":"r.once","inputs":{"id":"v","take":"2m"},"timeout":"1s",
			"on_unknown":{"verify":{"capability":"r.read","inputs":{"id":"look"},"happened":"${false}"}}}]}`)
		want(t, verify, schemas.StatusSuspended, "", "v=held")
		if n := w.calls("idempotent", ""); n != 0 || w.calls("once", "v") != 1 || w.calls("read", "look") != 0 {
			t.Errorf("%d calls that no person allowed: %v", n, w.ledger)
		}
	})
}

// A policy that comes after a plan was accepted holds from the next call on, and one that goes lets a direct call through at once.
func TestPolicyOfReviewHoldsForAcceptedPlans(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"t","wait":"1h"},{"id":"n","capability":"r.idempotent","depends_on":["t"]}]}`)
		p.Capabilities.SetPolicies(reviewed)
		time.Sleep(2 * time.Hour)
		want(t, p.rest(t, id), schemas.StatusRunning, "", "t=succeeded n=held")
		p.decide(t, p.review(t, id, "n"), safety.Decision{By: "ada"})
		want(t, p.rest(t, id), schemas.StatusFailed, "", "t=succeeded n=failed")
		if _, err := invokeOnce(p, t, "idempotent", `{}`); !errors.Is(err, &schemas.Error{Code: schemas.CodeNeedsReview}) || err.Outcome != schemas.NotRun {
			t.Errorf("%v", err)
		}
		p.Capabilities.SetPolicies(schemas.Policies{})
		if _, err := invokeOnce(p, t, "idempotent", `{}`); err != nil || w.calls("", "") != 1 {
			t.Errorf("%v, ledger %v", err, w.ledger)
		}
	})
}

// A node that waits for its next attempt as the policy comes is held before that attempt, and goes on with it once a person has allowed it.
func TestPolicyOfReviewHoldsTheNextAttempt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.idempotent","inputs":{"id":"g","fail":2,"code":"unavailable"},
			"retry":{"max_attempts":3,"initial_interval":"1h","backoff_coefficient":1}}]}`)
		p.Capabilities.SetPolicies(reviewed)
		want(t, p.rest(t, id), schemas.StatusRunning, "", "n=held")
		if w.calls("", "") != 1 {
			t.Errorf("an attempt that no person allowed: %v", w.ledger)
		}
		p.decide(t, p.review(t, id, "n"), safety.Decision{Approve: true, By: "ada"})
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "n=succeeded")
		if w.calls("", "") != 3 {
			t.Errorf("one review is for all attempts of a call: %v", w.ledger)
		}
	})
}
