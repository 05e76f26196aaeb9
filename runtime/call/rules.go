package call

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// Rules are the operator's policies for one capability, with all levels and defaults resolved. They do not change; nil means no
// rules.
type Rules struct {
	Policy schemas.Policy // what the operator wrote, all levels merged; a policy without a default needs no more than this

	Breaker      BreakerRule
	Rates        []schemas.ScopedRateLimit
	Concurrency  []schemas.ScopedConcurrency
	BulkheadWait time.Duration // longest wait for a slot
	Settle       time.Duration // how long a call may still run at its realm after its timeout
	CacheTTL     time.Duration // 0: no cache
	StaleIfError time.Duration // 0: no stale results
	Drift        schemas.Drift
	MaxRefusals  int  // refusals of the realm in a row that end a direct call; 0: no limit
	RetryUnknown bool // a plan may repeat a `once` call whose outcome is unknown
}

// BreakerRule is after how many failures in a row a breaker opens, and for how long; with 0 Failures it never opens.
type BreakerRule struct {
	Failures int
	OpenFor  time.Duration
}

// DefaultRules apply where no policy has a value.
var DefaultRules = Rules{
	Breaker:      BreakerRule{Failures: 10, OpenFor: 15 * time.Second},
	BulkheadWait: 5 * time.Second,
	Settle:       schemas.DefaultSettle.Std(),
	Drift:        schemas.DriftHold,
	MaxRefusals:  schemas.DefaultMaxRefusals,

	RetryUnknown: true,
}

// NewRules resolves the policies for one capability.
func NewRules(p schemas.Policies, realm, capability string) *Rules {
	policy, r := p.For(realm, capability), DefaultRules
	r.Policy = policy
	r.Rates, r.Concurrency = p.SharedLimits(realm, capability)
	if b := policy.Breaker; b != nil {
		if b.Failures != nil {
			r.Breaker.Failures = *b.Failures
		}
		if b.OpenFor > 0 {
			r.Breaker.OpenFor = b.OpenFor.Std()
		}
	}
	for _, d := range []struct {
		to   *time.Duration
		from *schemas.Duration
	}{{&r.BulkheadWait, policy.ConcurrencyWait}, {&r.Settle, policy.Settle}, {&r.CacheTTL, policy.CacheTTL}, {&r.StaleIfError, policy.StaleIfError}} {
		if d.from != nil {
			*d.to = d.from.Std()
		}
	}
	r.RetryUnknown = !policy.ForbidsRetryUnknown()
	if policy.MaxRefusals != nil {
		r.MaxRefusals = *policy.MaxRefusals
	}
	if policy.Drift != "" {
		r.Drift = policy.Drift
	}
	return &r
}

// rules is the rules of the call, never nil.
func (c *Call) rules() *Rules {
	if c.Rules == nil {
		return &none
	}
	return c.Rules
}

var none Rules

// refused is the error of a call that a rule refused before it was sent: it spends no attempt, and may succeed after the wait.
func refused(code schemas.Code, wait time.Duration, format string, args ...any) *schemas.Error {
	return schemas.Errorf(code, format, args...).WithOutcome(schemas.NotRun).WithRetryAfter(wait)
}
