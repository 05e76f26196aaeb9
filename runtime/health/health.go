package health

import (
	"context"
	"errors"
	"fmt"
	stdruntime "runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/upkeep"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// queueStale is how long an execution may be due before the queue is reported as degraded.
const queueStale = time.Minute

// Config configures Health. Every field is required.
type Config struct {
	Store        *records.Store
	Log          hclog.Logger
	Sessions     *session.Sessions
	Capabilities *capability.Capabilities
	Executions   *engine.Engine
	Upkeep       *upkeep.Upkeep
}

// Health implements the contract Health.
type Health struct {
	store        *records.Store
	log          hclog.Logger
	sessions     *session.Sessions
	capabilities *capability.Capabilities
	executions   *engine.Engine
	upkeep       *upkeep.Upkeep
	clients      clients
	edge         atomic.Pointer[func() schemas.Check] // see IncludeClients
}

// New returns Health.
func New(c Config) *Health {
	return &Health{
		store: c.Store, log: c.Log, sessions: c.Sessions, capabilities: c.Capabilities, executions: c.Executions, upkeep: c.Upkeep,
	}
}

// Check checks the runtime, the agents, the capabilities, or all of them; an empty scope is all. Only the store is asked anything, for at
// most records.AnswerTimeout each time; everything else is in memory.
func (h *Health) Check(ctx context.Context, scope schemas.HealthScope) schemas.Health {
	var checks []schemas.Check
	included := func(s schemas.HealthScope) bool { return scope == s || scope == schemas.ScopeAll || scope == "" }
	if included(schemas.ScopeRuntime) {
		checks = append(checks, h.checkStore(ctx), h.checkQueue(ctx), h.checkExecutions(), h.checkRecovery(), h.checkHeld(ctx), checkGoroutines())
	}
	if included(schemas.ScopeAgents) {
		checks = append(checks, h.checkClients(), h.checkSessions(ctx))
		if check := h.edge.Load(); check != nil {
			checks = append(checks, (*check)())
		}
	}
	if included(schemas.ScopeCapabilities) {
		for _, realm := range h.capabilities.Realms.Health() {
			checks = append(checks, checkRealm(realm))
		}
		for _, b := range h.capabilities.Breakers() {
			if b.State != schemas.CircuitClosed {
				checks = append(checks, checkBreaker(b))
			}
		}
	}
	return schemas.NewHealth(checks)
}

// IncludeClients sets the check of what serves clients, which knows the connections; there is one for a process. It is called for each
// health check of the agents, and must not block.
func (h *Health) IncludeClients(check func() schemas.Check) { h.edge.Store(&check) }

// Ready returns nil if this replica can serve requests: the store answers, and every required realm works. Otherwise the error, with code
// unavailable, says why not.
func (h *Health) Ready(ctx context.Context) error {
	checks := []schemas.Check{h.checkStore(ctx)}
	for _, realm := range h.capabilities.Realms.Health() {
		checks = append(checks, checkRealm(realm))
	}
	for _, c := range checks {
		if c.Required && c.Status == schemas.HealthDown {
			return schemas.Errorf(schemas.CodeUnavailable, "%s", c.Message).WithHint("%s", c.Cure)
		}
	}
	return nil
}

// checkStore is down if the store does not answer, and degraded if it answers reads and refuses writes.
func (h *Health) checkStore(ctx context.Context) schemas.Check {
	status := schemas.HealthDown
	took, err := records.Timed(ctx, func(ctx context.Context) error {
		_, err := h.store.Get(ctx, store.Key{Kind: capability.KindCatalog, ID: "health"})
		if err == nil || errors.Is(err, store.ErrNotFound) {
			status, err = schemas.HealthDegraded, h.store.CheckWrite(ctx, h.store.Worker())
		}
		return err
	})
	c := schemas.Check{
		Name: "runtime.store", Required: true, Status: schemas.HealthOK, Message: "the store answers",
		Numbers: map[string]float64{"latency_ms": milliseconds(took)},
	}
	if err == nil {
		for _, found := range h.store.Conditions() {
			c.Status = schemas.HealthDegraded
			c.Message += "; " + found.Message
			c.Cure = strings.TrimPrefix(c.Cure+"; "+found.Cure, "; ")
		}
		return c
	}
	h.log.Warn("check the store: it does not work", "error", err)
	c.Status, c.Message = status, records.Describe(err).Message
	c.Cure = records.Cure(err)
	if !records.Lasting(err) {
		c.Cure += ". Nothing that was acknowledged is lost; work continues when the store is back"
	}
	return c
}

func (h *Health) checkQueue(ctx context.Context) schemas.Check {
	c := schemas.Check{Name: "runtime.queue", Status: schemas.HealthOK, Message: "executions are run as they become due"}
	var q store.Queue
	_, err := records.Timed(ctx, func(ctx context.Context) (err error) {
		q, err = h.store.Queue(ctx, journal.KindExecution)
		return err
	})
	if err != nil {
		c.Status, c.Message, c.Cure = schemas.HealthDegraded, "the queue cannot be read: "+records.Describe(err).Message, records.Cure(err)
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
	age := max(0, h.store.Now().Sub(q.Oldest))
	c.Numbers["oldest_seconds"] = age.Seconds()
	if age > queueStale {
		c.Status = schemas.HealthDegraded
		c.Message = fmt.Sprintf("an execution has been waiting for %s", age.Round(time.Second))
		c.Cure = "raise limits.max_executions, add a replica, or give urgent executions a higher priority"
	}
	return c
}

// checkExecutions counts the executions in memory. It is degraded if no more fit, or if the progress of some cannot be committed.
func (h *Health) checkExecutions() schemas.Check {
	l := h.executions.Load()
	c := schemas.Check{
		Name: "runtime.executions", Status: schemas.HealthOK, Message: fmt.Sprintf("%d of %d executions in memory", l.InMemory, l.Capacity),
		Numbers: map[string]float64{"in_memory": float64(l.InMemory), "capacity": float64(l.Capacity), "uncommitted": float64(l.Uncommitted),
			"items": float64(l.Items), "max_items": float64(l.MaxItems), "waiting_for_memory": float64(l.Roomless)},
	}
	switch {
	case l.Uncommitted > 0:
		c.Status = schemas.HealthDegraded
		c.Message = fmt.Sprintf("the progress of %d executions cannot be written: %s", l.Uncommitted, records.Describe(l.CommitError).Message)
		c.Cure = records.Cure(l.CommitError) + ". It is kept in memory, and tried again until the store accepts it"
	case l.Roomless > 0:
		c.Status = schemas.HealthDegraded
		c.Message = fmt.Sprintf("%d executions wait for memory: the for_each nodes of others have %d items (limit %d, limits.max_items_in_memory)",
			l.Roomless, l.Items, l.MaxItems)
		c.Cure = "they go on when those have ended: raise limits.max_items_in_memory, or add a replica"
	case l.InMemory-l.Apart >= l.Capacity:
		c.Status, c.Cure = schemas.HealthDegraded, "new executions wait until others end: raise limits.max_executions, or add a replica"
	}
	return c
}

// checkRecovery counts what this process had to repair. It is degraded, until the process restarts, if that was a defect or lost data.
func (h *Health) checkRecovery() schemas.Check {
	n := &h.executions.Counters
	rolledBack, unqueued := n.RolledBack.Load(), h.upkeep.Unqueued.Load()
	c := schemas.Check{Name: "runtime.recovery", Status: schemas.HealthOK, Message: "nothing had to be repaired", Numbers: map[string]float64{
		"fenced": float64(n.Fenced.Load()), "late_used": float64(n.LateUsed.Load()), "late_unused": float64(n.LateUnused.Load()),
		"unqueued": float64(unqueued), "rolled_back": float64(rolledBack),
	}}
	if d := h.upkeep.Unbelieved(); d > 0 {
		c.Message = fmt.Sprintf("nothing had to be repaired; nothing ran for long, or a clock is ahead, so retention goes by a time that is %s earlier",
			d.Round(time.Second))
	}
	switch {
	case rolledBack > 0:
		c.Status, c.Message = schemas.HealthDegraded, fmt.Sprintf("the store lost acknowledged commits of %d executions", rolledBack)
		c.Cure = "get_execution_events shows execution_rolled_back where it happened; what was still known was committed again. With " +
			"durability=strict the store cannot lose answers that callers got, starts of once calls and ends of executions"
	case unqueued > 0:
		c.Status, c.Message = schemas.HealthDegraded, fmt.Sprintf("%d executions were in no queue and were woken", unqueued)
		c.Cure = "nothing is lost; this is a defect of the runtime or of the store, and the log names the executions"
	}
	return c
}

// checkHeld names the executions that are held because a process died while it evaluated them.
func (h *Health) checkHeld(ctx context.Context) schemas.Check {
	const most = 10
	c := schemas.Check{Name: "runtime.held", Status: schemas.HealthOK, Message: "no execution is held because the runtime died by it"}
	var found []store.Record
	_, err := records.Timed(ctx, func(ctx context.Context) (err error) {
		found, err = h.store.List(ctx, store.Query{Kind: journal.KindExecution, Term: journal.TermRecovery, Bare: true, Limit: most})
		return err
	})
	switch {
	case err != nil:
		c.Status, c.Message, c.Cure = schemas.HealthDegraded, "held executions cannot be listed: "+records.Describe(err).Message, records.Cure(err)
	case len(found) > 0:
		ids := make([]string, len(found))
		for i := range found {
			ids[i] = found[i].Key.ID
		}
		c.Status = schemas.HealthDegraded
		c.Message = fmt.Sprintf("the runtime died while it evaluated an execution, which is held now: %s", strings.Join(ids, ", "))
		if len(ids) == most {
			c.Message += ", and perhaps others"
		}
		c.Cure = "cancel_execution, or runplane held cancel ID, ends it and evaluates nothing; resume_execution, or runplane held resume ID, has " +
			"it tried again, and the runtime may die again"
	}
	c.Numbers = map[string]float64{"held": float64(len(found))}
	return c
}

// checkBreaker checks a breaker that is not closed. One that is half-open refuses no calls: the next call decides whether it closes.
func checkBreaker(b schemas.BreakerState) schemas.Check {
	c := schemas.Check{
		Name: "capabilities." + b.Capability, Status: schemas.HealthDegraded,
		Message: fmt.Sprintf("the circuit of %s is %s after %d faults in a row", b.Capability, b.State, b.Failures),
		Cure:    "calls are refused until it is tried again",
		Numbers: map[string]float64{"failures": float64(b.Failures), "opened": float64(b.Opened), "retry_after_seconds": b.RetryAfterSeconds},
	}
	if b.State == schemas.CircuitHalfOpen {
		c.Status, c.Cure = schemas.HealthOK, "the next call shows whether it works again"
	}
	if b.LastError != nil {
		c.Message += ": " + b.LastError.Message
		if b.LastError.Hint != "" {
			c.Cure += "; " + b.LastError.Hint
		}
	}
	return c
}

func checkGoroutines() schemas.Check {
	n := stdruntime.NumGoroutine()
	return schemas.Check{
		Name: "runtime.goroutines", Status: schemas.HealthOK, Message: fmt.Sprintf("%d goroutines", n),
		Numbers: map[string]float64{"count": float64(n)},
	}
}

// checkRealm checks one realm. One that is down and not required only degrades the whole, see schemas.NewHealth.
func checkRealm(realm schemas.RealmHealth) schemas.Check {
	c := schemas.Check{Name: "capabilities." + realm.Realm, Status: schemas.HealthOK, Required: realm.Required, Realm: &realm}
	switch {
	case realm.State == schemas.RealmReady && realm.Error == nil:
		c.Message = fmt.Sprintf("realm %q is ready with %d capabilities", realm.Realm, realm.Capabilities)
	case realm.State == schemas.RealmReady: // it works, with an error
		c.Status = schemas.HealthDegraded
	case realm.State == schemas.RealmBroken, realm.ConsecutiveFailures > 0:
		c.Status = schemas.HealthDown
	default:
		c.Message = fmt.Sprintf("realm %q is %s", realm.Realm, realm.State)
		if realm.Required {
			c.Status, c.Cure = schemas.HealthDown, "wait until it is ready"
		}
	}
	if realm.Error != nil {
		c.Message, c.Cure = realm.Error.Message, realm.Error.Hint
	}
	return c
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
