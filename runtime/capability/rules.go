package capability

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// resolvedRules are policies, resolved once for each capability in use.
type resolvedRules struct {
	policies schemas.Policies
	mu       sync.RWMutex
	rules    map[[2]string]*call.Rules
}

// SetPolicies replaces the policies, for all calls that begin later. Breakers, rate limits and bulkheads whose settings do not change
// keep their counts.
func (c *Capabilities) SetPolicies(p schemas.Policies) {
	c.rules.Store(&resolvedRules{policies: p, rules: map[[2]string]*call.Rules{}})
}

// SetQuotas replaces the quotas of principals and sessions, for all calls that begin later.
func (c *Capabilities) SetQuotas(q call.QuotaRules) { c.Quotas.Set(q) }

// RulesOf returns the rules of a capability's calls, by the policies as they are now.
func (c *Capabilities) RulesOf(realm, capability string) *call.Rules {
	resolved, key := c.rules.Load(), [2]string{realm, capability}
	resolved.mu.RLock()
	rules := resolved.rules[key]
	resolved.mu.RUnlock()
	if rules == nil {
		rules = call.NewRules(resolved.policies, realm, capability)
		resolved.mu.Lock()
		resolved.rules[key] = rules
		resolved.mu.Unlock()
	}
	return rules
}

// UnknownRules returns what the policies, as they are now, say about calls of the target whose outcome is unknown.
func (c *Capabilities) UnknownRules(t *plan.Target) machine.UnknownRules {
	rules := c.RulesOf(t.Realm, t.Capability)
	u := machine.UnknownRules{ForbidRetry: !rules.RetryUnknown, Settle: rules.Settle}
	if len(rules.Concurrency) > 0 {
		u.Queue = rules.BulkheadWait
	}
	return u
}

// WithFallbacks returns realms and those that the policies name as fallbacks of them.
func (c *Capabilities) WithFallbacks(realms []string) []string {
	p := c.rules.Load().policies
	out := slices.Clone(realms)
	add := func(list []schemas.PolicyFallback) {
		for _, f := range list {
			if realm, _, ok := strings.Cut(f.Capability, "."); ok && !slices.Contains(out, realm) {
				out = append(out, realm)
			}
		}
	}
	for _, realm := range realms {
		add(p.Default.Fallback)
		add(p.Realms[realm].Fallback)
		for _, override := range p.Realms[realm].Capabilities {
			add(override.Fallback)
		}
	}
	return out
}

// Breakers returns the breakers of the capabilities that were called and that have one by the policies as they are now, in no order.
func (c *Capabilities) Breakers() (states []schemas.BreakerState) {
	for _, name := range c.breakers.Names() {
		realm, capability, _ := strings.Cut(name, ".")
		if s := c.breakers.State(name, c.RulesOf(realm, capability).Breaker); s != nil {
			states = append(states, *s)
		}
	}
	return states
}

// Forget closes the breakers of realms that were removed, or that are reached in another way now.
func (c *Capabilities) Forget(names ...string) {
	for _, realm := range names {
		c.breakers.Forget(realm)
	}
}

// addLimits adds the limits that the runtime enforces to the description of a capability.
func (c *Capabilities) addLimits(described *schemas.Capability) {
	rules := c.RulesOf(described.Realm, described.CapabilityName)
	described.Breaker = c.breakers.State(described.Realm+"."+described.CapabilityName, rules.Breaker)
	limits := cmp.Or(described.Limits, &schemas.CapabilityLimits{Timeout: schemas.Duration(defaultTimeout)})
	limits.Breaker = &schemas.Breaker{Failures: new(rules.Breaker.Failures)}
	if rules.Breaker.Failures > 0 {
		limits.Breaker.OpenFor = schemas.Duration(rules.Breaker.OpenFor)
	}
	limits.RateLimits, limits.Concurrency = rules.Rates, rules.Concurrency
	if len(rules.Concurrency) > 0 {
		limits.ConcurrencyWait = schemas.Duration(rules.BulkheadWait)
	}
	limits.CacheTTL, limits.StaleIfError = schemas.Duration(rules.CacheTTL), schemas.Duration(rules.StaleIfError)
	limits.Fallback, limits.Drift = rules.Policy.Fallback, rules.Drift
	limits.Safety = rules.Policy.Safety
	if !rules.RetryUnknown {
		limits.RetryUnknown = new(false)
	}
	described.Limits = limits
}
