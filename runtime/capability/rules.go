package capability

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// resolvedRules resolves the policies once for each capability in use.
type resolvedRules struct {
	policies schemas.Policies
	mu       sync.RWMutex
	rules    map[[2]string]*call.Rules
}

// SetPolicies replaces the policies for every call that begins from now on. Breakers, limits and rooms whose own numbers
// stay keep what they have counted.
func (c *Capabilities) SetPolicies(p schemas.Policies) {
	c.rules.Store(&resolvedRules{policies: p, rules: map[[2]string]*call.Rules{}})
}

// SetQuotas replaces what principals and sessions may use, for every call that begins from now on.
func (c *Capabilities) SetQuotas(q call.QuotaRules) { c.Quotas.Set(q) }

// RulesOf is what a capability's calls are held to now.
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

// Forbids tells whether a plan may not have a `once` call of the target repeated whose outcome is unknown, as the policies
// are now.
func (c *Capabilities) Forbids(t *plan.Target) bool {
	return !c.RulesOf(t.Realm, t.Capability).RetryUnknown
}

// WithFallbacks adds the realms that the policies have serve when one of these fails.
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

// Breakers are the breakers of the capabilities that were called, as far as the policies of now have one for them, in no order.
func (c *Capabilities) Breakers() (states []schemas.BreakerState) {
	for _, name := range c.breakers.Names() {
		realm, capability, _ := strings.Cut(name, ".")
		if s := c.breakers.State(name, c.RulesOf(realm, capability).Breaker); s != nil {
			states = append(states, *s)
		}
	}
	return states
}

// Forget drops what was learnt of realms that are gone, or that are reached by other means now: their breakers are closed.
func (c *Capabilities) Forget(names ...string) {
	for _, realm := range names {
		c.breakers.Forget(realm)
	}
}

// addLimits adds what the runtime holds a capability to.
func (c *Capabilities) addLimits(described *schemas.Capability) {
	rules := c.RulesOf(described.Realm, described.CapabilityName)
	described.Breaker = c.breakers.State(described.Realm+"."+described.CapabilityName, rules.Breaker)
	limits := cmp.Or(described.Limits, &schemas.CapabilityLimits{Timeout: schemas.Duration(defaultTimeout)})
	limits.Breaker = &schemas.Breaker{Failures: new(rules.Breaker.Failures)}
	if rules.Breaker.Failures > 0 {
		limits.Breaker.OpenFor = schemas.Duration(rules.Breaker.OpenFor)
	}
	limits.RateLimits, limits.Concurrency = rules.Rates, rules.Rooms
	if len(rules.Rooms) > 0 {
		limits.ConcurrencyWait = schemas.Duration(rules.RoomWait)
	}
	limits.CacheTTL, limits.StaleIfError = schemas.Duration(rules.CacheTTL), schemas.Duration(rules.StaleIfError)
	limits.Fallback, limits.Drift = rules.Fallback, rules.Drift
	if !rules.RetryUnknown {
		limits.RetryUnknown = new(false)
	}
	described.Limits = limits
}
