package tools

import (
	"context"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/schemas"
)

type checkHealth struct {
	Scope schemas.HealthScope `json:"scope,omitempty" jsonschema:"enum=runtime,enum=agents,enum=capabilities,enum=all,description=default all"`
}

// Health is the contract Health.
func Health() []Method {
	return []Method{
		method("Health", "check_health", "Check health", Reads,
			`Tells how well things work: runtime (store, queue, room, repairs), agents (clients and sessions) and capabilities (each realm's state, last success, `+
				`failures in a row, latency; circuits). Use it when calls fail or take long. Each check has a status and, where something is wrong, the cure.`,
			func(ctx context.Context, rt *runtime.Runtime, in checkHealth, _ Request) (schemas.Health, error) {
				return rt.Health.Check(ctx, in.Scope), nil
			}),
	}
}
