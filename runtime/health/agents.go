package health

import (
	"context"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// Two checks are about agents, from two sides: clients are the programs that called this process, by the names they give
// themselves; sessions are the agents for which the caller has open sessions, on any replica.

func (h *Health) checkClients() schemas.Check {
	clients, calls := h.clients.recent(time.Now())
	return schemas.Check{
		Name: "agents.clients", Status: schemas.HealthOK,
		Message: fmt.Sprintf("%s called this process within %s%s", count(len(clients), "client"), clientMemory, firstNames(clients)),
		Numbers: map[string]float64{"clients": float64(len(clients)), "calls": float64(calls)},
	}
}

// checkSessions reports the agents with open sessions of the caller. An agent that makes no calls is idle, which is not a fault.
func (h *Health) checkSessions(ctx context.Context) schemas.Check {
	c := schemas.Check{Name: "agents.sessions", Status: schemas.HealthOK}
	var agents []schemas.Agent
	if _, err := records.Timed(ctx, func(ctx context.Context) (err error) {
		agents, err = h.sessions.Agents(ctx)
		return err
	}); err != nil {
		c.Status, c.Message, c.Cure = schemas.HealthDegraded, "the sessions cannot be read", "see runtime.store"
		return c
	}
	active, idle, unnamed := 0, 0, 0
	var names []string
	for _, a := range agents { // the last seen first
		active, idle = active+a.Active, idle+a.Idle
		if a.AgentID == "" {
			unnamed = a.Active + a.Idle
			continue
		}
		name := printable(a.AgentID)
		if a.Active == 0 {
			name += fmt.Sprintf(" (idle, last seen %s ago)", time.Since(a.LastSeenAt).Round(time.Second))
		}
		names = append(names, name)
	}
	c.Message = fmt.Sprintf("%s open, %d of them idle, of %s%s",
		count(active+idle, "session"), idle, count(len(names), "agent"), firstNames(names))
	if unnamed > 0 {
		c.Message += fmt.Sprintf("; %s without an agent_id", count(unnamed, "session"))
	}
	c.Numbers = map[string]float64{"agents": float64(len(names)), "active_sessions": float64(active), "idle_sessions": float64(idle)}
	return c
}

// count returns "1 client", "2 clients".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
