package schemas

import (
	"cmp"
	"time"
)

// DefaultSettle is the settle of a capability whose policies set none.
const DefaultSettle = Duration(time.Minute)

// Effect says what repeating a call would do. It decides what may follow a call whose outcome is unknown.
type Effect string

const (
	// EffectRead changes nothing: the call is repeated.
	EffectRead Effect = "read"
	// EffectIdempotent changes something once, however often it is called with the same inputs and key: the call is repeated.
	EffectIdempotent Effect = "idempotent"
	// EffectOnce must not be repeated without a decision. A tool without annotations counts as once.
	EffectOnce Effect = "once"
)

// Rank orders effects from harmless (0) to strict (2); an unknown effect is strict.
func (e Effect) Rank() int {
	switch e {
	case EffectRead:
		return 0
	case EffectIdempotent:
		return 1
	default:
		return 2
	}
}

// Safety is what an operator's policy decides about each call of a capability. Nothing that a plan, a caller or a realm says lowers it.
type Safety string

const (
	// SafetyApproved: the policy lets the call be made; a plan can still ask for a review. It is the default.
	SafetyApproved Safety = "approve"
	// SafetyReviewed: a person decides first.
	SafetyReviewed Safety = "review"
)

// Retry says how often and when a failed attempt is tried again. Absent fields inherit from the next level
// (node, plan defaults, capability, realm, default policy, built-in).
type Retry struct {
	MaxAttempts        int      `json:"max_attempts,omitempty" jsonschema:"minimum=1,maximum=100,description=attempts including the first"`
	InitialInterval    Duration `json:"initial_interval,omitempty"`
	BackoffCoefficient float64  `json:"backoff_coefficient,omitempty" jsonschema:"minimum=1,maximum=100,description=factor between one wait and the next"`
	MaxInterval        Duration `json:"max_interval,omitempty"`
	Jitter             *float64 `json:"jitter,omitempty" jsonschema:"minimum=0,maximum=1,description=waits vary by up to this fraction"`
	MaxElapsed         Duration `json:"max_elapsed,omitempty" jsonschema:"description=no new attempt after this time since the first"`
	RetryOn            []Code   `json:"retry_on,omitempty" jsonschema:"description=retry only these error codes"`
	NoRetryOn          []Code   `json:"no_retry_on,omitempty" jsonschema:"description=never retry these error codes"`
}

// Or fills the absent fields of r from base; either may be nil.
func (r *Retry) Or(base *Retry) *Retry {
	if r == nil || base == nil {
		return cmp.Or(r, base)
	}
	out := Retry{
		MaxAttempts:        cmp.Or(r.MaxAttempts, base.MaxAttempts),
		InitialInterval:    cmp.Or(r.InitialInterval, base.InitialInterval),
		BackoffCoefficient: cmp.Or(r.BackoffCoefficient, base.BackoffCoefficient),
		MaxInterval:        cmp.Or(r.MaxInterval, base.MaxInterval),
		Jitter:             cmp.Or(r.Jitter, base.Jitter),
		MaxElapsed:         cmp.Or(r.MaxElapsed, base.MaxElapsed),
		RetryOn:            r.RetryOn,
		NoRetryOn:          r.NoRetryOn,
	}
	if out.RetryOn == nil {
		out.RetryOn = base.RetryOn
	}
	if out.NoRetryOn == nil {
		out.NoRetryOn = base.NoRetryOn
	}
	return &out
}

// Policy is what an operator configures for a realm or a capability. Absent fields inherit from the level above; an explicit
// 0 switches off what would be inherited.
type Policy struct {
	Timeout         *Duration        `json:"timeout,omitempty" jsonschema:"description=longest time of one attempt; 0s: none"`
	Settle          *Duration        `json:"settle,omitempty" jsonschema:"description=how long a call may still run at its realm after its timeout: until then a once call of unknown outcome is not repeated\\, and a verification that has not found it is asked again; default 1m"`
	Retry           *Retry           `json:"retry,omitempty"`
	Breaker         *Breaker         `json:"breaker,omitempty" jsonschema:"description=refuses calls of a capability that fails repeatedly"`
	RateLimit       *RateLimit       `json:"rate_limit,omitempty" jsonschema:"description=of default: for each realm; of a realm: for all its capabilities together; of a capability: in addition to the realm's"`
	Concurrency     *int             `json:"concurrency,omitempty" jsonschema:"minimum=0,maximum=10000,description=calls in flight at once from one process; levels as for rate_limit; 0: no limit"`
	ConcurrencyWait *Duration        `json:"concurrency_wait,omitempty" jsonschema:"description=how long a call waits for a free slot before it is refused; default 5s"`
	CacheTTL        *Duration        `json:"cache_ttl,omitempty" jsonschema:"description=how long the answer of a read capability is reused for the same inputs of the same principal; identical concurrent calls are made once"`
	StaleIfError    *Duration        `json:"stale_if_error,omitempty" jsonschema:"description=how long after cache_ttl an answer may be used\\, flagged degraded\\, while the capability cannot be called"`
	MaxRefusals     *int             `json:"max_refusals,omitempty" jsonschema:"minimum=0,maximum=10000,description=after so many refusals of one call in a row by the realm (HTTP 429 and alike)\\, each waited for longer\\, an attempt counts as failed; default 10; 0: no limit"`
	Fallback        []PolicyFallback `json:"fallback,omitempty" jsonschema:"description=what replaces a call that failed for good\\, tried in order; a node's own list takes precedence"`
	RetryUnknown    *bool            `json:"retry_unknown,omitempty" jsonschema:"description=false: on_unknown: retry is refused\\, so that no plan repeats a once call whose outcome is unknown; default true"`
	Drift           Drift            `json:"drift,omitempty" jsonschema:"enum=hold,enum=allow_compatible,description=what happens to a node whose tool has changed since its plan was accepted; default hold"`
	Effect          Effect           `json:"effect,omitempty" jsonschema:"enum=read,enum=idempotent,enum=once,description=overrides the tool's own annotations"`
	IdempotencyArg  string           `json:"idempotency_arg,omitempty" jsonschema:"description=input that takes the idempotency key; makes the capability idempotent"`
	Protocol        string           `json:"protocol,omitempty" jsonschema:"enum=auto,enum=2024-11-05,enum=2025-03-26,enum=2025-06-18,enum=2025-11-25,enum=2026-07-28,description=MCP version to speak with the realm"`
	Safety          Safety           `json:"safety,omitempty" jsonschema:"enum=approve,enum=review,description=review: no call is made before a person has allowed it; default approve"`
	Secrets         []string         `json:"secrets,omitempty" jsonschema:"description=names of secrets that inputs of calls may read as ${secret.name}"`
	Required        *bool            `json:"required,omitempty" jsonschema:"description=this process is ready only while the realm works"`

	// TimeoutFrom is the level that set Timeout, as errors name it; [Policies.For] sets it.
	TimeoutFrom string `json:"-"`
	// RetryUnknownFrom is the level that set RetryUnknown.
	RetryUnknownFrom string `json:"-"`
}

// DefaultMaxRefusals is MaxRefusals where no policy sets it.
const DefaultMaxRefusals = 10

// Or fills the absent fields of p from base.
func (p Policy) Or(base Policy) Policy {
	if p.Timeout == nil {
		p.Timeout, p.TimeoutFrom = base.Timeout, base.TimeoutFrom
	}
	p.Settle = cmp.Or(p.Settle, base.Settle)
	p.Retry = p.Retry.Or(base.Retry)
	p.Breaker = p.Breaker.Or(base.Breaker)
	p.RateLimit = cmp.Or(p.RateLimit, base.RateLimit)
	p.Concurrency = cmp.Or(p.Concurrency, base.Concurrency)
	p.ConcurrencyWait = cmp.Or(p.ConcurrencyWait, base.ConcurrencyWait)
	p.CacheTTL = cmp.Or(p.CacheTTL, base.CacheTTL)
	p.StaleIfError = cmp.Or(p.StaleIfError, base.StaleIfError)
	p.MaxRefusals = cmp.Or(p.MaxRefusals, base.MaxRefusals)
	if p.Fallback == nil {
		p.Fallback = base.Fallback
	}
	if p.RetryUnknown == nil {
		p.RetryUnknown, p.RetryUnknownFrom = base.RetryUnknown, base.RetryUnknownFrom
	}
	p.Drift = cmp.Or(p.Drift, base.Drift)
	if p.Effect == "" && p.IdempotencyArg == "" {
		p.Effect = base.Effect
	}
	p.IdempotencyArg = cmp.Or(p.IdempotencyArg, base.IdempotencyArg)
	p.Protocol = cmp.Or(p.Protocol, base.Protocol)
	p.Safety = cmp.Or(p.Safety, base.Safety)
	if p.Secrets == nil {
		p.Secrets = base.Secrets
	}
	p.Required = cmp.Or(p.Required, base.Required)
	return p
}

// ForbidsRetryUnknown reports whether plans may not repeat a `once` call whose outcome is unknown.
func (p Policy) ForbidsRetryUnknown() bool { return p.RetryUnknown != nil && !*p.RetryUnknown }

// AsksPerson reports whether a person has to allow each call.
func (p Policy) AsksPerson() bool { return p.Safety == SafetyReviewed }

// IsRequired reports whether Required is set to true.
func (p Policy) IsRequired() bool { return p.Required != nil && *p.Required }

// RealmPolicy is the policy of a realm and of its capabilities.
type RealmPolicy struct {
	Policy
	StartTimeout Duration          `json:"start_timeout,omitempty" jsonschema:"description=how long this realm may take to start or connect; default limits.start_timeout"`
	Capabilities map[string]Policy `json:"capabilities,omitempty" jsonschema:"description=capability name to policy"`
}

// Policies holds the three levels: default, realm, capability.
type Policies struct {
	Default Policy                 `json:"default,omitzero"`
	Realms  map[string]RealmPolicy `json:"realms,omitempty" jsonschema:"description=realm name to policy"`
}

// For resolves the policy of one capability: its own fields, else the realm's, else the default's. Protocol and
// Required apply to a realm only. Limits that calls share are in [Policies.SharedLimits].
func (p Policies) For(realm, capability string) Policy {
	r := p.Realms[realm]
	own := r.Capabilities[capability]
	for level, p := range map[string]*Policy{"capability's policy": &own, "realm's policy": &r.Policy, "default policy": &p.Default} {
		p.TimeoutFrom, p.RetryUnknownFrom = level, level
	}
	out := own.Or(r.Policy).Or(p.Default)
	if out.Timeout == nil {
		out.TimeoutFrom = ""
	}
	if out.RetryUnknown == nil {
		out.RetryUnknownFrom = ""
	}
	return out
}
