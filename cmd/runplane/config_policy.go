package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// policy checks what one level of the policies says as a whole.
func (d *decoder) policy(path string, p *schemas.Policy, realms []string) {
	say := func(at, format string, args ...any) {
		if where, ok := d.at[at]; ok && !d.failed(at) {
			d.fail(where, at, format, args...)
		}
	}
	if p.RateLimit != nil {
		at := join(path, "rate_limit")
		if _, ok := d.at[join(at, "rate")]; !ok {
			say(at, "needs a rate, such as {rate: 10, per: 1s}; {rate: 0} is no limit")
		}
		if _, ok := d.at[join(at, "per")]; ok && p.RateLimit.Per == 0 {
			say(join(at, "per"), "the period is longer than nothing")
		}
	}
	for i, f := range p.Fallback {
		at := fmt.Sprintf("%s[%d]", join(path, "fallback"), i)
		realm, name, qualified := strings.Cut(f.Capability, ".")
		switch _, hasValue := d.at[join(at, "value")]; {
		case hasValue == (f.Capability != ""):
			say(at, "is either {capability: realm.name} or {value: …}")
		case hasValue:
		case !qualified || name == "":
			say(join(at, "capability"), "a capability is written realm.name")
		case !slices.Contains(realms, realm):
			near := schemas.Nearest(realm, realms, 1)
			message := fmt.Sprintf("no realm %q in mcpServers", realm)
			if len(near) > 0 {
				message += fmt.Sprintf(": did you mean %q?", near[0]+"."+name)
			}
			d.problems = append(d.problems, problem{d.at[join(at, "capability")], join(at, "capability"), message, near})
		}
	}
	if b := p.Breaker; b != nil && b.OpenFor == 0 && b.Failures == nil {
		say(join(path, "breaker"), "is empty: give it failures (0 is never; default %d) or open_for (default %s)",
			call.DefaultRules.Breaker.Failures, schemas.Duration(call.DefaultRules.Breaker.OpenFor))
	}
}
