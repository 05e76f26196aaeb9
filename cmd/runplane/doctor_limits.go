package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// realmLimits says what the policies make of a realm's calls, as far as its capabilities say nothing else.
func realmLimits(p schemas.Policies, realm string) string {
	policy, rules := p.For(realm, ""), call.NewRules(p, realm, "")
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
	for _, r := range rules.Rates {
		say("rate %d in %s, %d at once", r.Rate, cmp.Or(r.Per, schemas.Duration(time.Second)), cmp.Or(r.Burst, r.Rate))
	}
	for _, r := range rules.Rooms {
		say("%d calls in flight, others wait %s", r.Calls, schemas.Duration(rules.RoomWait))
	}
	if rules.CacheTTL > 0 {
		say("answers of reads are good for %s", schemas.Duration(rules.CacheTTL))
	}
	if rules.StaleIfError > 0 {
		say("stale ones stand in for %s more", schemas.Duration(rules.StaleIfError))
	}
	if n := len(p.Realms[realm].Capabilities); n > 0 {
		say("%d capabilities with policies of their own", n)
	}
	return strings.Join(parts, "; ")
}
