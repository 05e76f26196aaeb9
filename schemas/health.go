package schemas

// HealthStatus is the result of a [Check] or of all of them.
type HealthStatus string

const (
	// HealthOK: no problem was found.
	HealthOK HealthStatus = "ok"
	// HealthDegraded: it works, but something that is not required fails or runs short.
	HealthDegraded HealthStatus = "degraded"
	// HealthDown: something required fails.
	HealthDown HealthStatus = "down"
)

// HealthScope selects the checks.
type HealthScope string

// The scopes.
const (
	ScopeRuntime      HealthScope = "runtime"
	ScopeAgents       HealthScope = "agents"
	ScopeCapabilities HealthScope = "capabilities"
	ScopeAll          HealthScope = "all"
)

// Health is the result of several checks: the worst of them, where a check that is down and not required counts as degraded.
type Health struct {
	Status HealthStatus `json:"status" jsonschema:"enum=ok,enum=degraded,enum=down"`
	Checks []Check      `json:"checks"`

	More *Ref `json:"more,omitempty" jsonschema:"description=where all of it is read\\, if parts are left out"`
}

// Check is the health of one component.
type Check struct {
	Name     string             `json:"name" jsonschema:"description=runtime.store\\, runtime.queue\\, runtime.executions\\, runtime.recovery\\, runtime.goroutines\\, agents.clients\\, agents.sessions\\, agents.connections\\, or capabilities. and a realm or a capability with an open circuit"`
	Status   HealthStatus       `json:"status" jsonschema:"enum=ok,enum=degraded,enum=down"`
	Required bool               `json:"required,omitempty" jsonschema:"description=this process is not ready without it"`
	Message  string             `json:"message"`
	Cure     string             `json:"cure,omitempty" jsonschema:"description=how to repair it"`
	Numbers  map[string]float64 `json:"numbers,omitempty"`
	Realm    *RealmHealth       `json:"realm,omitempty"`
}

// NewHealth combines checks.
func NewHealth(checks []Check) Health {
	h := Health{Status: HealthOK, Checks: checks}
	for _, c := range checks {
		switch {
		case c.Status == HealthDown && c.Required:
			h.Status = HealthDown
		case c.Status != HealthOK && h.Status == HealthOK:
			h.Status = HealthDegraded
		}
	}
	return h
}
