package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// limitsOf says what the policies make of the calls of a capability; with an empty one of those of a realm, as far as its
// capabilities say nothing else.
func limitsOf(p schemas.Policies, realm, capability string) string {
	policy, rules := p.For(realm, capability), call.NewRules(p, realm, capability)
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case policy.Timeout == nil:
		say("timeout 60s (built-in default)")
	case *policy.Timeout == 0:
		say("no timeout (%s)", policy.TimeoutFrom)
	default:
		say("timeout %s (%s)", policy.Timeout, policy.TimeoutFrom)
	}
	if b := rules.Breaker; b.Failures > 0 {
		say("breaker after %d faults in a row for %s", b.Failures, schemas.Duration(b.OpenFor))
	} else {
		say("no breaker")
	}
	if r := policy.Retry; r != nil && r.MaxAttempts > 0 {
		say("%d attempts", r.MaxAttempts)
	}
	for _, r := range rules.Rates {
		say("rate %d in %s, %d at once, for %s", r.Rate, cmp.Or(r.Per, schemas.Duration(time.Second)), cmp.Or(r.Burst, r.Rate), r.Scope)
	}
	for _, r := range rules.Rooms {
		say("%d calls of %s in flight, others wait %s", r.Calls, r.Scope, schemas.Duration(rules.RoomWait))
	}
	if rules.CacheTTL > 0 {
		say("answers of reads are good for %s", schemas.Duration(rules.CacheTTL))
	}
	if rules.StaleIfError > 0 {
		say("stale ones stand in for %s more", schemas.Duration(rules.StaleIfError))
	}
	for _, f := range rules.Fallback {
		say("falls back to %s", cmp.Or(f.Capability, "a value"))
	}
	if rules.Drift == schemas.DriftAllowCompatible {
		say("a changed definition that fits is accepted")
	}
	if !rules.RetryUnknown {
		say("no plan repeats a call whose outcome is unknown")
	}
	switch {
	case policy.IdempotencyArg != "":
		say("idempotent by its %s", policy.IdempotencyArg)
	case policy.Effect != "":
		say("effect %s", policy.Effect)
	}
	return strings.Join(parts, "; ")
}

// quotaWords says what each of whom may use.
func quotaWords(q schemas.Quota) string {
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
