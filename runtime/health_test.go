package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func checkNamed(t *testing.T, h schemas.Health, name string) schemas.Check {
	t.Helper()
	for _, c := range h.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %q in %+v", name, h.Checks)
	return schemas.Check{}
}

func TestHealthFollowsTheRealms(t *testing.T) {
	failure := schemas.Errorf(schemas.CodeUnavailable, "realm %q: command \"x\" was not found", "r").WithHint("install x")
	for _, tt := range []struct {
		name   string
		realm  schemas.RealmHealth
		check  schemas.HealthStatus
		status schemas.HealthStatus
		ready  bool
	}{
		{"ready", schemas.RealmHealth{State: schemas.RealmReady}, "ok", "ok", true},
		{"idle", schemas.RealmHealth{State: schemas.RealmIdle}, "ok", "ok", true},
		{"starting", schemas.RealmHealth{State: schemas.RealmStarting}, "ok", "ok", true},
		{"starting, required", schemas.RealmHealth{State: schemas.RealmStarting, Required: true}, "down", "down", false},
		{"starting again", schemas.RealmHealth{State: schemas.RealmStarting, ConsecutiveFailures: 2, Error: failure}, "down", "degraded", true},
		{"ready, with an error", schemas.RealmHealth{State: schemas.RealmReady, Error: failure}, "degraded", "degraded", true},
		{"ready, with an error, required", schemas.RealmHealth{State: schemas.RealmReady, Required: true, Error: failure}, "degraded", "degraded", true},
		{"broken", schemas.RealmHealth{State: schemas.RealmBroken, Error: failure, ConsecutiveFailures: 1}, "down", "degraded", true},
		{"broken, required", schemas.RealmHealth{State: schemas.RealmBroken, Required: true, Error: failure, ConsecutiveFailures: 1}, "down", "down", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			tt.realm.Realm = "r"
			w.health = []schemas.RealmHealth{tt.realm}
			r := idle(w, recordstest.Memory(t))
			h := r.Health.Check(t.Context(), schemas.ScopeAll)
			c := checkNamed(t, h, "capabilities.r")
			if h.Status != tt.status || c.Status != tt.check || c.Message == "" {
				t.Errorf("the health is %s with %+v", h.Status, c)
			}
			if tt.realm.Error != nil && (c.Message != failure.Message || c.Cure != "install x") {
				t.Errorf("the check says %q, cure %q", c.Message, c.Cure)
			}
			err := r.Health.Ready(t.Context())
			if (err == nil) != tt.ready || err != nil && schemas.AsError(err).Message != c.Message {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

func TestHealthOfAStoreThatDoesNotAnswer(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		r := idle(w, &hooks{Store: s, get: func(ctx context.Context, _ store.Key) (store.Record, error) {
			<-ctx.Done()
			return store.Record{}, ctx.Err()
		}, queue: func(context.Context, string) (store.Queue, error) { return store.Queue{}, errors.New("gone") }})
		began := time.Now()
		h := r.Health.Check(t.Context(), schemas.ScopeRuntime)
		c := checkNamed(t, h, "runtime.store")
		if h.Status != schemas.HealthDown || c.Status != schemas.HealthDown || c.Cure == "" {
			t.Errorf("the health is %+v", h)
		}
		if took := time.Since(began); took != records.AnswerTimeout {
			t.Errorf("it took %s", took)
		}
		if q := checkNamed(t, h, "runtime.queue"); q.Status != schemas.HealthDegraded {
			t.Errorf("the queue is %+v", q)
		}
		if err := r.Health.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "store does not answer") {
			t.Errorf("ready: %v", err)
		}
	})
}

func TestHealthShowsWhatWaits(t *testing.T) {
	s := recordstest.Memory(t)
	one := withLimits(func(l *engine.Limits) { l.MaxExecutions = 1 })
	key := store.Key{Kind: journal.KindExecution, ID: "late"}
	if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: key, At: time.Now().Add(-5 * time.Minute), Priority: 3}}}); err != nil {
		t.Fatal(err)
	}
	r := idle(newWorld(), s, one)
	h := r.Health.Check(t.Context(), schemas.ScopeRuntime)
	q := checkNamed(t, h, "runtime.queue")
	if q.Status != schemas.HealthDegraded || q.Numbers["due"] != 1 || q.Numbers["oldest_seconds"] < 299 || q.Cure == "" {
		t.Errorf("the queue is %+v", q)
	}
	if c := checkNamed(t, h, "runtime.executions"); c.Status != schemas.HealthOK || c.Numbers["capacity"] != 1 {
		t.Errorf("executions are %+v", c)
	}
	r = replica(t, newWorld(), s, one)
	if _, err := r.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"hold":true}}]}`)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is in memory", func() bool { return r.Executions.InMemory() > 0 })
	if c := checkNamed(t, r.Health.Check(t.Context(), schemas.ScopeRuntime), "runtime.executions"); c.Status != schemas.HealthDegraded {
		t.Errorf("at capacity executions are %+v", c)
	}
	if err := r.Health.Ready(t.Context()); err != nil {
		t.Errorf("a queue is no reason to send requests elsewhere: %v", err)
	}
}

func TestHealthScopes(t *testing.T) {
	w := newWorld()
	w.health = []schemas.RealmHealth{{Realm: "r", State: schemas.RealmReady}}
	r := idle(w, recordstest.Memory(t))
	for scope, want := range map[schemas.HealthScope]int{schemas.ScopeRuntime: 6, schemas.ScopeAgents: 2, schemas.ScopeCapabilities: 1, schemas.ScopeAll: 9, "": 9} {
		if h := r.Health.Check(t.Context(), scope); len(h.Checks) != want || h.Status != schemas.HealthOK {
			t.Errorf("%q has %d checks, status %s; want %d", scope, len(h.Checks), h.Status, want)
		}
	}
}

func TestHealthShowsAgents(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		agent := func(ctx context.Context, id string) schemas.Session {
			u := schemas.SessionUpdates{}
			if id != "" {
				u.AgentID = &id
			}
			created, err := p.Sessions.Create(ctx, u)
			if err != nil {
				t.Fatal(err)
			}
			return created
		}
		message := func() string {
			c := checkNamed(t, p.Health.Check(t.Context(), schemas.ScopeAgents), "agents.sessions")
			if c.Status != schemas.HealthOK {
				t.Errorf("%+v", c)
			}
			return c.Message
		}
		if got, want := message(), "0 sessions open, 0 of them idle, of 0 agents"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		agent(t.Context(), "bob\n")
		agent(t.Context(), "")
		time.Sleep(20 * time.Minute)
		agent(t.Context(), "ada")
		ended := agent(t.Context(), "eve")
		agent(as(t, "other"), "mallory")
		if _, err := p.Sessions.Delete(t.Context(), ended.SessionID); err != nil {
			t.Fatal(err)
		}
		if got, want := message(), "3 sessions open, 2 of them idle, of 2 agents: ada, bob (idle, last seen 20m0s ago); 1 session without an agent_id"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// The counters are in check_health, and those that mean a defect or lost data degrade it.
func TestHealthShowsWhatWasRepaired(t *testing.T) {
	for _, tt := range []struct {
		name   string
		happen func(*process)
		number string
		status schemas.HealthStatus
	}{
		{"a call that was not sent", func(r *process) { r.Executions.Counters.Fenced.Add(1) }, "fenced", schemas.HealthOK},
		{"a late result", func(r *process) { r.Executions.Counters.LateUsed.Add(1) }, "late_used", schemas.HealthOK},
		{"a result too late", func(r *process) { r.Executions.Counters.LateUnused.Add(1) }, "late_unused", schemas.HealthOK},
		{"an execution in no queue", func(r *process) { r.upkeep.Unqueued.Add(1) }, "unqueued", schemas.HealthDegraded},
		{"commits that were lost", func(r *process) { r.Executions.Counters.RolledBack.Add(1) }, "rolled_back", schemas.HealthDegraded},
	} {
		r := idle(newWorld(), recordstest.Memory(t))
		if c := checkNamed(t, r.Health.Check(t.Context(), schemas.ScopeRuntime), "runtime.recovery"); c.Status != schemas.HealthOK || c.Numbers[tt.number] != 0 {
			t.Errorf("before: %+v", c)
		}
		tt.happen(r)
		if c := checkNamed(t, r.Health.Check(t.Context(), schemas.ScopeRuntime), "runtime.recovery"); c.Status != tt.status || c.Numbers[tt.number] != 1 || (c.Cure == "") != (c.Status == schemas.HealthOK) {
			t.Errorf("%s: %+v", tt.name, c)
		}
	}
}

// A capability whose breaker is open has a check of its own, and none once it is closed again.
func TestHealthNamesOpenCircuits(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := runWithPolicy(w, s, schemas.Policy{Breaker: breaker(2, time.Minute)})
		defer p.stop()
		call := func(inputs string) error {
			_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "read", Inputs: json.RawMessage(inputs), Retry: &schemas.Retry{MaxAttempts: 1}})
			return err
		}
		for range 2 {
			if call(fails) == nil {
				t.Fatal("the call did not fail")
			}
		}
		c := checkNamed(t, p.Health.Check(t.Context(), schemas.ScopeCapabilities), "capabilities.r.read")
		if c.Status != schemas.HealthDegraded || !strings.Contains(c.Message, "open") || c.Numbers["retry_after_seconds"] <= 0 {
			t.Errorf("got %+v", c)
		}
		open := func(status schemas.HealthStatus, checks int, when string) {
			t.Helper()
			if h := p.Health.Check(t.Context(), schemas.ScopeCapabilities); h.Status != status || len(h.Checks) != checks {
				t.Errorf("%s: %+v", when, h)
			}
		}
		p.Capabilities.SetPolicies(schemas.Policies{Default: schemas.Policy{Breaker: breaker(0, 0)}})
		open(schemas.HealthOK, 0, "switched off")
		p.Capabilities.SetPolicies(schemas.Policies{Default: schemas.Policy{Breaker: breaker(2, time.Minute)}})
		open(schemas.HealthDegraded, 1, "and on again")
		time.Sleep(2 * time.Minute)
		open(schemas.HealthOK, 1, "it was not tried yet")
		if err := call(`{}`); err != nil {
			t.Fatal(err)
		}
		if h := p.Health.Check(t.Context(), schemas.ScopeCapabilities); len(h.Checks) != 0 {
			t.Errorf("closed again: %+v", h)
		}
		_, _ = call(`{"id":"y","fail":2,"code":"unavailable"}`), call(`{"id":"y","fail":2,"code":"unavailable"}`) // they fail
		open(schemas.HealthDegraded, 1, "open again")
		p.Capabilities.Forget("q")
		open(schemas.HealthDegraded, 1, "another realm is gone")
		p.Capabilities.Forget("r")
		open(schemas.HealthOK, 0, "the realm is gone")
	})
}
