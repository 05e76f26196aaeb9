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
			`Shows the health of the runtime, of agents (clients and sessions) and of capabilities (realms, failures, latency, circuits). `+
				`Use it when calls fail or are slow. Each problem has its cure.`,
			func(ctx context.Context, rt *runtime.Runtime, in checkHealth, _ Request) (schemas.Health, error) {
				return rt.Health.Check(ctx, in.Scope).Brief(schemas.MaxAnswer), nil
			}),
	}
}
