package schemas

import "cmp"

// Breaker says after how many faults the calls of a capability are refused, and for how long.
type Breaker struct {
	Failures *int     `json:"failures,omitempty" jsonschema:"minimum=0,maximum=1000,description=consecutive faults of the realm that open it; 0: never; default 10"`
	OpenFor  Duration `json:"open_for,omitempty" jsonschema:"description=how long it stays open before one trial call; default 15s"`
}

// Or fills the absent fields of b from base; either may be nil.
func (b *Breaker) Or(base *Breaker) *Breaker {
	if b == nil || base == nil {
		return cmp.Or(b, base)
	}
	return &Breaker{Failures: cmp.Or(b.Failures, base.Failures), OpenFor: cmp.Or(b.OpenFor, base.OpenFor)}
}

// RateLimit is a token bucket: Rate calls in each Per, and at most Burst at once.
type RateLimit struct {
	Rate  int      `json:"rate" jsonschema:"minimum=0,maximum=1000000,description=calls in each period; 0: no limit"`
	Per   Duration `json:"per,omitempty" jsonschema:"description=the period; default 1s"`
	Burst int      `json:"burst,omitempty" jsonschema:"minimum=0,maximum=1000000,description=most calls at once; default the rate"`
}

// PolicyFallback is one entry of a policy's fallback list: another capability, called with the same inputs, or a value.
type PolicyFallback struct {
	Capability string `json:"capability,omitempty" jsonschema:"description=realm.name"`
	Value      Value  `json:"value,omitempty" jsonschema:"description=used as the output"`
}

// Drift says what happens to a node whose tool has changed since its plan was accepted.
type Drift string

const (
	// DriftHold holds the node for a decision; it is the default.
	DriftHold Drift = "hold"
	// DriftAllowCompatible continues if the node's inputs fit the new definition and its effect is no stricter.
	DriftAllowCompatible Drift = "allow_compatible"
)

// Quota is what one principal, or one session, may use in a period. A field that is 0 sets no limit.
type Quota struct {
	Calls      int      `json:"calls,omitempty" jsonschema:"minimum=0,maximum=1000000000,description=calls of capabilities; 0: no limit"`
	Bytes      int      `json:"bytes,omitempty" jsonschema:"minimum=0,maximum=1000000000000,description=bytes of inputs and outputs; 0: no limit"`
	Time       Duration `json:"time,omitempty" jsonschema:"description=total time in calls; 0s: no limit"`
	Executions int      `json:"executions,omitempty" jsonschema:"minimum=0,maximum=1000000000,description=executions submitted; 0: no limit"`
	Per        Duration `json:"per,omitempty" jsonschema:"description=the period; default 1h"`
}

// ScopedRateLimit is a rate limit with its scope: a realm, or one capability (realm.name).
type ScopedRateLimit struct {
	Scope string `json:"scope" jsonschema:"description=the realm or the capability whose calls share it"`
	RateLimit
}

// ScopedConcurrency is how many calls of a realm, or of one capability, may be in flight at once.
type ScopedConcurrency struct {
	Scope string `json:"scope" jsonschema:"description=the realm or the capability whose calls share it"`
	Calls int    `json:"calls"`
}

// SharedLimits returns the limits that a call shares with others. The limit of a capability applies beside that of its realm,
// which is the realm's own or else the default's; a capability's explicit 0 exempts it from both.
func (p Policies) SharedLimits(realm, capability string) (rates []ScopedRateLimit, bulkheads []ScopedConcurrency) {
	r := p.Realms[realm]
	own, name := r.Capabilities[capability], realm+"."+capability
	if l := own.RateLimit; l == nil || l.Rate > 0 {
		if l != nil {
			rates = append(rates, ScopedRateLimit{name, *l})
		}
		if l := cmp.Or(r.RateLimit, p.Default.RateLimit); l != nil && l.Rate > 0 {
			rates = append(rates, ScopedRateLimit{realm, *l})
		}
	}
	if n := own.Concurrency; n == nil || *n > 0 {
		if n != nil {
			bulkheads = append(bulkheads, ScopedConcurrency{name, *n})
		}
		if n := cmp.Or(r.Concurrency, p.Default.Concurrency); n != nil && *n > 0 {
			bulkheads = append(bulkheads, ScopedConcurrency{realm, *n})
		}
	}
	return rates, bulkheads
}
