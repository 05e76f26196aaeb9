package schemas

// HealthStatus says how well something works.
type HealthStatus string

const (
	// HealthOK: all is as it should be.
	HealthOK HealthStatus = "ok"
	// HealthDegraded: it works, and something that is not required does not, or is short.
	HealthDegraded HealthStatus = "degraded"
	// HealthDown: something without which nothing works does not work.
	HealthDown HealthStatus = "down"
)

// HealthScope is what is asked about.
type HealthScope string

// The scopes.
const (
	ScopeRuntime      HealthScope = "runtime"
	ScopeAgents       HealthScope = "agents"
	ScopeCapabilities HealthScope = "capabilities"
	ScopeAll          HealthScope = "all"
)

// Health is the worst of its checks, where one that is down and not required counts as degraded.
type Health struct {
	Status HealthStatus `json:"status" jsonschema:"enum=ok,enum=degraded,enum=down"`
	Checks []Check      `json:"checks"`
}

// Check is one thing that was looked at.
type Check struct {
	Name     string             `json:"name" jsonschema:"description=runtime.store\\, runtime.queue\\, runtime.executions\\, runtime.recovery\\, runtime.goroutines\\, agents.clients\\, or capabilities. and a realm or a capability whose circuit is open"`
	Status   HealthStatus       `json:"status" jsonschema:"enum=ok,enum=degraded,enum=down"`
	Required bool               `json:"required,omitempty" jsonschema:"description=without it nothing is ready"`
	Message  string             `json:"message"`
	Cure     string             `json:"cure,omitempty" jsonschema:"description=what to do about it"`
	Numbers  map[string]float64 `json:"numbers,omitempty"`
	Realm    *RealmHealth       `json:"realm,omitempty"`
}

// NewHealth folds checks.
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
