package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// liveTool is one capability of the catalog that this compilation has used.
type liveTool struct {
	Tool
	checker *schemas.Checker // nil: the schema cannot be used
	input   shape
	output  shape
}

// pinTools finds every capability and pins what the plan is accepted with.
func (c *compiler) pinTools() {
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		for _, call := range callsOf(n) {
			if call.capability == unreadable {
				continue
			}
			t := c.tools[call.capability]
			if t == nil {
				t = c.findTool(call.capability, c.at(i)+call.at)
			}
			if t != nil {
				c.suits(n, i, call, t)
			}
			if t != nil && call.at == "/capability" && len(n.Fallback) == 0 {
				c.policyFallbacks(call.capability, c.at(i)+call.at, t)
			}
		}
		c.mayRepeat(n, c.at(i)+"/on_unknown")
		if c.out.full() {
			return
		}
	}
}

// suits checks that the tool's effect is allowed where the node calls it.
func (c *compiler) suits(n *schemas.Node, i int, call call, t *liveTool) {
	at := c.at(i) + call.at
	effect := cmp.Or(t.Effect, schemas.EffectOnce)
	switch {
	case call.at == "/capability":
		c.effect(n, i, t)
	case strings.HasPrefix(call.at, "/on_unknown") && effect != schemas.EffectRead:
		c.out.errorf(codeVerifyNotRead, at,
			"%s has the effect %q; only a capability that reads may verify, because it is called whether or not the "+
				"first call happened", call.capability, effect)
	case strings.HasPrefix(call.at, "/compensate") && effect == schemas.EffectOnce:
		c.out.warnf(codeOnceCompensation, at,
			"%s has the effect \"once\": a compensation whose outcome is unknown is not called again and waits for a "+
				"person; set its effect to idempotent in the policy if it is", call.capability)
	}
}

// findTool asks the catalog for a capability and pins it, or reports why there is none.
func (c *compiler) findTool(capability, at string) *liveTool {
	realm, name, ok := strings.Cut(capability, ".")
	if c.realms == nil {
		c.realms = c.cat.Realms()
	}
	switch {
	case !ok || realm == "" || name == "":
		c.unqualified(capability, at, c.realms)
		return nil
	case !slices.Contains(c.realms, realm):
		c.unknownRealm(realm, name, at, c.realms)
		return nil
	}
	down, asked := c.unavailable[realm]
	if !asked {
		down = !c.available(realm, at)
		c.unavailable[realm] = down
	}
	if down {
		return nil
	}
	t, ok := c.cat.Tool(realm, name)
	if !ok {
		c.unknownCapability(realm, name, at, c.realms)
		return nil
	}
	c.pin(capability, at, t)
	return c.tools[capability]
}

// realmOf is the realm of a capability; empty when it names none.
func realmOf(capability string) string {
	realm, _, ok := strings.Cut(capability, ".")
	if !ok {
		return ""
	}
	return realm
}

func (c *compiler) pin(capability, at string, t Tool) {
	given := schemas.Optional(t.InputSchema, t.Policy.IdempotencyArg)
	live := &liveTool{Tool: t, input: newShape(given), output: newShape(t.OutputSchema)}
	checker, err := schemas.NewToolChecker(given)
	if err != nil {
		c.out.warnf(codeUnusableSchema, at, "the arguments of %s are not checked before the call: %v", capability, err)
	} else {
		c.uncheckedParts(capability, at, checker)
	}
	live.checker = checker
	c.tools[capability] = live
	_, checks := c.shared()
	checks[capability] = inputCheck{name: capability, checker: func() *schemas.Checker { return checker }}
	c.pins[capability] = Pin{
		Effect: t.Effect, Hash: t.Hash, InputSchema: t.InputSchema,
		Timeout: t.Policy.Timeout, TimeoutFrom: t.Policy.TimeoutFrom, Retry: t.Policy.Retry, IdempotencyArg: t.Policy.IdempotencyArg, MaxRefusals: t.Policy.MaxRefusals,
		AsksPerson: t.Policy.AsksPerson(),
	}
}

// uncheckedParts says what of a tool's schema is not checked before the call.
func (c *compiler) uncheckedParts(capability, at string, checker *schemas.Checker) {
	if left := checker.LeftOut(); len(left) > 0 {
		c.out.warnf(codeUnusableSchema, at, "%d keywords of the schema of %s cannot be read and are not checked before the call, such as %s",
			len(left), capability, expr.Shorten(left[0]))
	}
	if unchecked := checker.Unchecked(); len(unchecked) > 0 {
		c.out.warnf(codeUncheckedPattern, at, "%d patterns of the schema of %s are too large to be checked before the call (limit %d instructions each), such as %s",
			len(unchecked), capability, schemas.MaxPattern, expr.Shorten(unchecked[0]))
	}
}

// policyFallbacks pins the fallbacks of a capability's policy. An entry that is not known is left out: it is the
// operator's, and the plan is valid without it.
func (c *compiler) policyFallbacks(capability, at string, t *liveTool) {
	p := c.pins[capability]
	if p.Fallback != nil || len(t.Policy.Fallback) == 0 {
		return
	}
	p.Fallback = []schemas.PolicyFallback{}
	for _, f := range t.Policy.Fallback {
		if realm, name, ok := strings.Cut(f.Capability, "."); ok && c.tools[f.Capability] == nil {
			other, known := c.cat.Tool(realm, name)
			if !known {
				c.out.warnf(codeNoFallback, at, "%s, the policy's fallback of %s, is not known now and is left out", f.Capability, capability)
				continue
			}
			c.pin(f.Capability, at, other)
		}
		p.Fallback = append(p.Fallback, f)
	}
	c.pins[capability] = p
}

// available asks the catalog for the realm's tools and reports why they are not known.
func (c *compiler) available(realm, at string) bool {
	_, err := c.cat.Tools(realm)
	if err == nil {
		return true
	}
	e := schemas.AsError(err)
	message := e.Message
	if e.Code == schemas.CodeInternal {
		message = err.Error()
	}
	if e.Hint != "" && e.Code != schemas.CodeInternal {
		message += " (" + e.Hint + ")"
	}
	f := c.out.errorf(CodeRealmUnavailable, at, "the tools of realm %q are not known now: %s", realm, message)
	f.Temporary = e.Retryable
	return false
}

// meantCapability is the capability that a name of another spelling evidently means; empty: none does.
func (c *compiler) meantCapability(name string, realms []string) string {
	name = strings.TrimSpace(name)
	for _, prefix := range []string{"mcp__", "mcp.", "mcp:", "mcp/", "mcp_", "functions.", "tools.", "tool:", "server:"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && !slices.Contains(realms, strings.TrimRight(prefix, "_.:/")) {
			name = rest
			break
		}
	}
	folded := foldName(name)
	var meant []string
	for _, realm := range realms {
		tools, _ := c.cat.Tools(realm)
		for _, tool := range tools {
			if full := foldName(realm + "." + tool); folded == full || folded == foldName(tool) {
				meant = append(meant, realm+"."+tool)
			}
		}
	}
	if len(meant) == 1 {
		return meant[0]
	}
	return ""
}

// foldName is a name in lower case without what separates its words.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("._-:/# >", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// ownTools are tools of this runtime that models call from within a plan.
var ownTools = strings.Fields("execute_plan execute_with_timeout execute_with_retry execute_workflow invoke_capability")

// notCalled says why a capability cannot be called in the way that it is written; empty: nothing is known.
func notCalled(capability string) string {
	_, bare, _ := strings.Cut(capability, ".")
	switch {
	case slices.Contains(ownTools, capability), slices.Contains(ownTools, bare):
		return "a plan does not call the runtime: a plan within a plan is a node with workflow: {definition: {nodes: […]}}, and a capability stands in a node itself"
	case strings.ContainsAny(capability, "(="):
		return "capability is the name alone: the arguments go into inputs: {name: value}"
	case strings.HasSuffix(strings.ToLower(capability), "waitfortasktoken"), strings.HasSuffix(capability, ".sync"):
		return "a call ends with its answer: an event is waited for by a node of its own, with wait_for: <event>"
	}
	return ""
}

func (c *compiler) unqualified(capability, at string, realms []string) {
	f := c.out.errorf(codeInvalidCapability, at, "invalid capability %q: write realm.name", expr.Shorten(capability))
	if say := notCalled(capability); say != "" {
		f.Message += "; " + say
		return
	}
	if meant := c.meantCapability(capability, realms); meant != "" {
		f.Message += fmt.Sprintf("; did you mean %q?", meant)
		f.Fix = []schemas.PatchOp{opReplaceText(at, meant)}
		return
	}
	f.Message += "; the realms are " + expr.NameList(realms, 20)
	if strings.Contains(at, "/fallback/") {
		f.Message += "; a fallback that is a value is written {value: …}"
	}
}

func (c *compiler) unknownRealm(realm, name, at string, realms []string) {
	f := c.out.errorf(codeUnknownRealm, at, "no realm %q", realm)
	if meant := c.meantCapability(realm+"."+name, realms); meant != "" {
		f.Message += fmt.Sprintf("; did you mean %q?", meant)
		f.Fix = []schemas.PatchOp{opReplaceText(at, meant)}
		return
	}
	if say := notCalled(realm + "." + name); say != "" {
		f.Message += "; " + say
		return
	}
	if near := schemas.Nearest(realm, realms, 3); len(near) > 0 {
		f.Message += fmt.Sprintf("; did you mean %s?", strings.Join(quoteAll(near), " or "))
		if _, ok := c.cat.Tool(near[0], name); ok && len(near) == 1 && schemas.Misspelt(realm, near[0]) {
			f.Fix = []schemas.PatchOp{opReplaceText(at, near[0]+"."+name)}
		}
		return
	}
	if len(realms) == 0 {
		f.Message += "; none is configured"
		return
	}
	f.Message += "; the realms are " + expr.NameList(realms, 20)
}

func (c *compiler) unknownCapability(realm, name, at string, realms []string) {
	tools, _ := c.cat.Tools(realm)
	f := c.out.errorf(codeUnknownCapability, at, "no capability %q in realm %q", name, realm)
	if meant := c.meantCapability(name, []string{realm}); meant != "" {
		f.Message += fmt.Sprintf("; did you mean %q?", meant)
		f.Fix = []schemas.PatchOp{opReplaceText(at, meant)}
		return
	}
	if say := notCalled(realm + "." + name); say != "" {
		f.Message += "; " + say
		return
	}
	if near := schemas.Nearest(name, tools, 3); len(near) > 0 {
		f.Message += fmt.Sprintf("; did you mean %s?", strings.Join(quoteAll(near), " or "))
		if meant := onlyMisspelt(name, tools); meant != "" {
			f.Fix = []schemas.PatchOp{opReplaceText(at, realm+"."+meant)}
		}
		return
	}
	if meant := c.meantCapability(name, realms); meant != "" {
		f.Message += fmt.Sprintf("; did you mean %q?", meant)
		f.Fix = []schemas.PatchOp{opReplaceText(at, meant)}
		return
	}
	f.Message += "; it has " + expr.NameList(tools, 20)
}

// onlyMisspelt is the one name that a word is evidently a misspelling of; empty: there is none, or there are several.
func onlyMisspelt(word string, names []string) string {
	found := ""
	for _, name := range names {
		if !schemas.Misspelt(word, name) {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strconv.Quote(name)
	}
	return out
}

// effect refuses a plan that gives a tool a less strict effect than its own.
func (c *compiler) effect(n *schemas.Node, i int, t *liveTool) {
	if n.Effect == "" || !slices.Contains(effects, string(n.Effect)) || n.Effect.Rank() >= t.Effect.Rank() {
		return
	}
	at := c.at(i) + "/effect"
	effect := t.Effect
	if effect == "" {
		effect = schemas.EffectOnce
	}
	c.out.errorf(codeLooserEffect, at, "%s has the effect %q; a plan may be stricter than that, not looser (%q): the operator's policies say what the effect "+
		"of a capability is", n.Capability, effect, n.Effect)
}
