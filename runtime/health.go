package runtime

import (
	"context"
	"errors"
	"fmt"
	stdruntime "runtime"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const (
	storeWait  = 2 * time.Second // for the store's answer to a health check
	queueStale = time.Minute     // an execution that is due longer than this has nobody to run it
)

// CheckHealth looks at the runtime, the agents, the capabilities, or all of them; an empty scope is all. Only the store is
// asked something, for at most two seconds; everything else answers from memory.
func (r *Runtime) CheckHealth(ctx context.Context, scope schemas.HealthScope) schemas.Health {
	var checks []schemas.Check
	in := func(s schemas.HealthScope) bool { return scope == s || scope == schemas.ScopeAll || scope == "" }
	if in(schemas.ScopeRuntime) {
		checks = append(checks, r.checkStore(ctx), r.checkQueue(ctx), r.checkExecutions(), checkGoroutines())
	}
	if in(schemas.ScopeAgents) {
		checks = append(checks, r.checkClients(), r.checkSessions(ctx))
	}
	if in(schemas.ScopeCapabilities) {
		for _, h := range r.realms.Health() {
			checks = append(checks, checkRealm(h))
		}
	}
	return schemas.NewHealth(checks)
}

// Ready says why requests should go to another replica; nil: they may come. It follows CheckHealth: the store answers, and
// every realm that is required works.
func (r *Runtime) Ready(ctx context.Context) error {
	checks := []schemas.Check{r.checkStore(ctx)}
	for _, h := range r.realms.Health() {
		checks = append(checks, checkRealm(h))
	}
	for _, c := range checks {
		if c.Required && c.Status == schemas.HealthDown {
			return schemas.Errorf(schemas.CodeUnavailable, "%s", c.Message).WithHint("%s", c.Cure)
		}
	}
	return nil
}

// timed asks the store something within storeWait and tells how long that took.
func timed(ctx context.Context, question func(context.Context) error) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	began := time.Now()
	err = question(ctx)
	return time.Since(began), err
}

func (r *Runtime) checkStore(ctx context.Context) schemas.Check {
	took, err := timed(ctx, func(ctx context.Context) error {
		_, err := r.store.Get(ctx, store.Key{Kind: kindCatalog, ID: "health"})
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	c := schemas.Check{Name: "runtime.store", Required: true, Status: schemas.HealthOK, Message: "the store answers", Numbers: map[string]float64{"latency_ms": milliseconds(took)}}
	if err != nil {
		r.log.Warn("health: the store does not answer", "error", err)
		c.Status, c.Message = schemas.HealthDown, "the store does not answer"
		c.Cure = "see whether the store's server and its disk are up; the log says what was wrong. Nothing is lost: work goes on when it is back"
	}
	return c
}

func (r *Runtime) checkQueue(ctx context.Context) schemas.Check {
	c := schemas.Check{Name: "runtime.queue", Status: schemas.HealthOK, Message: "executions find somebody to run them"}
	var q store.Queue
	_, err := timed(ctx, func(ctx context.Context) (err error) {
		q, err = r.store.Queue(ctx, kindExecution)
		return err
	})
	if err != nil {
		c.Status, c.Message, c.Cure = schemas.HealthDegraded, "the queue cannot be read", "see runtime.store"
		return c
	}
	due := 0
	for _, n := range q.Due {
		due += n
	}
	c.Numbers = map[string]float64{"due": float64(due), "leased": float64(q.Leased), "sleeping": float64(q.Sleeping)}
	if q.Oldest.IsZero() {
		return c
	}
	age := max(0, time.Since(q.Oldest))
	c.Numbers["oldest_seconds"] = age.Seconds()
	if age > queueStale {
		c.Status = schemas.HealthDegraded
		c.Message = fmt.Sprintf("an execution waits for %s already", age.Round(time.Second))
		c.Cure = "raise limits.max_executions, add a replica, or give what is urgent a higher priority"
	}
	return c
}

func (r *Runtime) checkExecutions() schemas.Check {
	r.mu.Lock()
	n := len(r.owned)
	r.mu.Unlock()
	c := schemas.Check{
		Name: "runtime.executions", Status: schemas.HealthOK, Message: fmt.Sprintf("%d of %d executions in memory", n, r.limits.MaxExecutions),
		Numbers: map[string]float64{"in_memory": float64(n), "capacity": float64(r.limits.MaxExecutions)},
	}
	if n >= r.limits.MaxExecutions {
		c.Status, c.Cure = schemas.HealthDegraded, "new ones wait until there is room: raise limits.max_executions, or add a replica"
	}
	return c
}

func checkGoroutines() schemas.Check {
	n := stdruntime.NumGoroutine()
	return schemas.Check{Name: "runtime.goroutines", Status: schemas.HealthOK, Message: fmt.Sprintf("%d goroutines", n), Numbers: map[string]float64{"count": float64(n)}}
}

// checkRealm judges one realm. What is broken and not required degrades, and no more.
func checkRealm(h schemas.RealmHealth) schemas.Check {
	c := schemas.Check{Name: "capabilities." + h.Realm, Status: schemas.HealthOK, Required: h.Required, Realm: &h}
	switch {
	case h.State == schemas.RealmReady && h.Error == nil:
		c.Message = fmt.Sprintf("realm %q is ready with %d capabilities", h.Realm, h.Capabilities)
	case h.State == schemas.RealmReady: // it works, and yet
		c.Status = schemas.HealthDegraded
	case h.State == schemas.RealmBroken, h.ConsecutiveFailures > 0:
		c.Status = schemas.HealthDown
	default:
		c.Message = fmt.Sprintf("realm %q is %s", h.Realm, h.State)
		if h.Required {
			c.Status, c.Cure = schemas.HealthDown, "wait until it is up"
		}
	}
	if h.Error != nil {
		c.Message, c.Cure = h.Error.Message, h.Error.Hint
	}
	return c
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
