package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// describeLimits describes the policies for the calls of a capability; without a capability, those for a realm's calls unless a
// capability has its own.
func describeLimits(p schemas.Policies, realm, capability string) string {
	policy, rules := p.For(realm, capability), call.NewRules(p, realm, capability)
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case policy.Timeout == nil:
		add("timeout 60s (built-in default)")
	case *policy.Timeout == 0:
		add("no timeout (%s)", policy.TimeoutFrom)
	default:
		add("timeout %s (%s)", policy.Timeout, policy.TimeoutFrom)
	}
	if b := rules.Breaker; b.Failures > 0 {
		add("breaker after %d faults in a row for %s", b.Failures, schemas.Duration(b.OpenFor))
	} else {
		add("no breaker")
	}
	if r := policy.Retry; r != nil && r.MaxAttempts > 0 {
		add("%d attempts", r.MaxAttempts)
	}
	for _, r := range rules.Rates {
		add("rate %d in %s, %d at once, for %s", r.Rate, cmp.Or(r.Per, schemas.Duration(time.Second)), cmp.Or(r.Burst, r.Rate), r.Scope)
	}
	for _, r := range rules.Concurrency {
		add("%d calls of %s in flight, others wait %s", r.Calls, r.Scope, schemas.Duration(rules.BulkheadWait))
	}
	if rules.CacheTTL > 0 {
		add("answers of reads are reused for %s", schemas.Duration(rules.CacheTTL))
	}
	if rules.StaleIfError > 0 {
		add("stale ones are used for %s more", schemas.Duration(rules.StaleIfError))
	}
	for _, f := range rules.Policy.Fallback {
		add("falls back to %s", cmp.Or(f.Capability, "a value"))
	}
	if rules.Drift == schemas.DriftAllowCompatible {
		add("a compatible changed definition is accepted")
	}
	if rules.Policy.AsksPerson() {
		add("a person has to allow each call")
	}
	if !rules.RetryUnknown {
		add("no plan repeats a call whose outcome is unknown")
	}
	switch {
	case policy.IdempotencyArg != "":
		add("idempotent by its %s", policy.IdempotencyArg)
	case policy.Effect != "":
		add("effect %s", policy.Effect)
	}
	return strings.Join(parts, "; ")
}

// describeQuota describes what each principal or session may use.
func describeQuota(q schemas.Quota) string {
	var parts []string
	for _, n := range []struct {
		n    int
		what string
	}{{q.Calls, "calls"}, {q.Bytes, "bytes"}, {q.Executions, "executions"}} {
		if n.n > 0 {
			parts = append(parts, fmt.Sprint(n.n, " ", n.what))
		}
	}
	if q.Time > 0 {
		parts = append(parts, q.Time.String()+" in calls")
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + " in " + cmp.Or(q.Per, schemas.Duration(call.DefaultQuotaPeriod)).String()
}
