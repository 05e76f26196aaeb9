package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// policy checks one level of the policies across its fields.
func (r *reader) policy(field string, p *schemas.Policy, realms []string) {
	if p.Retry != nil {
		r.codes(field+"/retry/retry_on", p.Retry.RetryOn)
		r.codes(field+"/retry/no_retry_on", p.Retry.NoRetryOn)
	}
	if at := field + "/rate_limit/per"; p.RateLimit != nil && p.RateLimit.Per == 0 && r.has(at) && !r.failed(at) {
		r.fail(at, "the period must be longer than 0s")
	}
	for i, f := range p.Fallback {
		at := schemas.PointerToItem(field+"/fallback", i)
		realm, name, qualified := strings.Cut(f.Capability, ".")
		switch hasValue := r.has(at + "/value"); {
		case r.failed(at):
		case hasValue == (f.Capability != ""):
			r.fail(at, "is either {capability: realm.name} or {value: …}")
		case hasValue:
		case !qualified || name == "":
			r.fail(at+"/capability", "a capability is written realm.name")
		case !slices.Contains(realms, realm):
			at += "/capability"
			near := schemas.Nearest(realm, realms, 1)
			message := fmt.Sprintf("%s: no realm %q in mcpServers", schemas.Dotted(at), realm)
			if len(near) > 0 {
				message += fmt.Sprintf(": did you mean %q?", near[0]+"."+name)
			}
			r.problems = append(r.problems, problem{r.position(at), at, message, near})
		}
	}
	if b := p.Breaker; b != nil && b.OpenFor == 0 && b.Failures == nil && !r.failed(field+"/breaker") {
		r.fail(field+"/breaker", "is empty: give it failures (0 is never; default %d) or open_for (default %s)",
			call.DefaultRules.Breaker.Failures, schemas.Duration(call.DefaultRules.Breaker.OpenFor))
	}
}

// codes checks a list of error codes.
func (r *reader) codes(field string, list []schemas.Code) {
	for i, code := range list {
		if code == "" || code.Valid() {
			continue
		}
		at := schemas.PointerToItem(field, i)
		shown := fmt.Sprintf("%q", code)
		if text, hidden := r.hidden(at); hidden {
			shown = text
		}
		known := make([]string, 0, len(schemas.Codes()))
		for _, c := range schemas.Codes() {
			known = append(known, string(c))
		}
		slices.Sort(known)
		message := fmt.Sprintf("%s: %s is unknown: want one of %s", schemas.Dotted(at), shown, strings.Join(known, ", "))
		r.problems = append(r.problems, problem{r.position(at), at, message, schemas.Nearest(string(code), known, 1)})
	}
}
