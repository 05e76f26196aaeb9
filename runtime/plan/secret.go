package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// SecretNames are the secrets that the arguments read, sorted.
func (t *Target) SecretNames() []string {
	if len(t.secrets) == 0 { // as of nearly all calls
		return nil
	}
	return slices.Sorted(maps.Keys(t.secrets))
}

// checkSecrets returns an error if rendered arguments have a reference to a secret that the plan has not written there: a value that was
// read, such as a tool's answer, must not be replaced by a secret.
func (t *Target) checkSecrets(rendered json.RawMessage) *schemas.Error {
	return t.countSecrets(rendered, func(found, written int) bool { return found == written })
}

// CheckGivenSecrets is checkSecrets for inputs that a person or a patch has given instead, and for what a schema has filled in: they may leave
// out secrets, and have no more of them than the plan.
func (t *Target) CheckGivenSecrets(inputs json.RawMessage) *schemas.Error {
	return t.countSecrets(inputs, func(found, written int) bool { return found <= written })
}

func (t *Target) countSecrets(rendered json.RawMessage, allowed func(found, written int) bool) *schemas.Error {
	if len(t.secrets) == 0 {
		return nil
	}
	if bytes.Contains(rendered, []byte(`\u`)) { // a part of a reference may be written as an escape, which a later step may resolve
		var v any
		if json.Unmarshal(rendered, &v) == nil {
			if plain, err := json.Marshal(v); err == nil {
				rendered = plain
			}
		}
	}
	for name, written := range t.secrets {
		if !allowed(expr.CountSecret(string(rendered), name), written) {
			return schemas.Errorf(schemas.CodeExpressionError, "%s cannot be called by node %q: a value in its inputs contains the text %s, which stands "+
				"for the secret", t.Name(), t.node, expr.SecretReference(name)).WithOutcome(schemas.NotRun).
				WithHint("leave that value out, or pass it to a call that takes no secret")
		}
	}
	return nil
}

// AfterSecrets returns those problems of arguments that remain when secrets take the places of their references. A secret is a text, of
// which nothing more is known.
func AfterSecrets(problems []schemas.Problem, inputs json.RawMessage, secrets []string) []schemas.Problem {
	if len(secrets) == 0 || len(problems) == 0 {
		return problems
	}
	t, err := document.Parse(string(inputs))
	if err != nil {
		return problems
	}
	return slices.DeleteFunc(problems, func(p schemas.Problem) bool {
		v := t.Find(p.Field)
		return v != nil && v.Kind == '"' && p.Keyword != "type" && slices.ContainsFunc(secrets, func(name string) bool {
			return expr.CountSecret(v.Raw, name) > 0
		})
	})
}

const onlyInInputs = "a secret is read in the inputs of a capability alone, as ${secret.<name>}, where it is filled in as the call is sent"

// readsSecret checks a placeholder that reads a secret.
func (c *compiler) readsSecret(s site, r expr.Read) {
	name := r.Path.SecretName()
	targets, misplaced := c.sentTo(s)
	switch {
	case misplaced != "":
		c.out.errorf(codeMisplacedSecret, s.at, "%s, got ${%s} in %s", onlyInInputs, expr.Shorten(s.Text), misplaced)
		return
	case !s.Plain:
		c.out.errorf(codeMisplacedSecret, s.at, "nothing is computed with a secret: write ${secret.<name>} alone, with text around it where it is needed, "+
			"as in \"Bearer ${secret.token}\", got ${%s}", expr.Shorten(s.Text))
		return
	case name == "":
		c.out.errorf(codeMisplacedSecret, s.at, "a secret is read as ${secret.<name>}, got ${%s}", expr.Shorten(s.Text))
		return
	}
	for _, capability := range targets {
		t := c.tools[capability]
		if t == nil || slices.Contains(t.Policy.Secrets, name) {
			continue
		}
		realm := realmOf(capability)
		message := fmt.Sprintf("the operator has not allowed secret.%s for %s", name, capability)
		allowed := slices.Sorted(slices.Values(t.Policy.Secrets))
		if len(allowed) > 0 {
			message += "; it may read " + expr.NameList(allowed, 10)
		}
		f := c.out.errorf(codeSecretNotAllowed, s.at, "%s. The operator allows it with policies.realms.%s.secrets in the configuration", message, realm)
		if near := schemas.Nearest(name, allowed, 1); len(near) > 0 && schemas.Misspelt(name, near[0]) {
			c.fixPath(f, s, r.Path, 0, near[0])
		}
		return
	}
	c.deniedFallback(s, name)
}

// deniedFallback warns of a fallback of the operator's that is called with the inputs of the node, and may not read a secret in them.
func (c *compiler) deniedFallback(s site, name string) {
	from := &c.plan.Nodes[s.node]
	if s.field != "/inputs" || len(from.Fallback) > 0 {
		return
	}
	for _, f := range c.pins[from.Capability].Fallback {
		realm, tool, called := strings.Cut(f.Capability, ".")
		if !called {
			continue
		}
		if t, known := c.cat.Tool(realm, tool); known && !slices.Contains(t.Policy.Secrets, name) {
			c.out.warnf(codeSecretNotAllowed, s.at, "%s, the policy's fallback of %s, is denied: the operator has not allowed secret.%s for it. Give the node a "+
				"fallback of its own; the operator allows it with policies.realms.%s.secrets in the configuration", f.Capability, from.Capability, name, realm)
			return
		}
	}
}

// sentTo lists the capabilities that the template of a place is sent to; misplaced says what the place is where it is sent to none.
func (c *compiler) sentTo(s site) (capabilities []string, misplaced string) {
	if s.node < 0 {
		return nil, "the output of the plan"
	}
	n := &c.prog.Nodes[s.node]
	from := &c.plan.Nodes[s.node]
	switch field := s.field; {
	case field == "/inputs" && n.Kind == KindCapability:
		capabilities = []string{from.Capability}
		for k := range from.Fallback {
			if f := &from.Fallback[k]; f.Capability != "" && len(f.Inputs) == 0 {
				capabilities = append(capabilities, f.Capability)
			}
		}
	case field == "/inputs":
		return nil, "the inputs of a " + string(n.Kind) + ": a node within the definition reads it itself"
	case strings.HasPrefix(field, "/fallback/") && strings.HasSuffix(field, "/inputs"):
		for k := range from.Fallback {
			if field == schemas.PointerToItem("/fallback", k)+"/inputs" {
				capabilities = []string{from.Fallback[k].Capability}
			}
		}
	case field == "/compensate/inputs":
		capabilities = []string{from.Compensate.Capability}
	case field == "/on_unknown/verify/inputs":
		capabilities = []string{from.OnUnknown.Verify.Capability}
	default:
		return nil, strings.ReplaceAll(strings.TrimPrefix(field, "/"), "/", ".")
	}
	return capabilities, ""
}

// environment are the forms in which other languages read a variable of the environment or a secret.
var environment = regexp.MustCompile(`^(?:env:|\$?env\.|process\.env\.|secrets\.|\$?vault\.|os\.environ\.|vars\.secret\.)([A-Za-z_]\w*)$`)

// foreignSecret reads a reference to an environment or to secrets of another language: the path of the one secret that the place may read
// and that has this name, or a sentence on what to write.
func (c *compiler) foreignSecret(s site, name string) (p expr.Path, stuck string) {
	targets, misplaced := c.sentTo(s)
	found := ""
	if misplaced == "" && len(targets) > 0 && c.tools[targets[0]] != nil {
		for _, allowed := range c.tools[targets[0]].Policy.Secrets {
			if fold(allowed) == fold(name) {
				found = allowed
			}
		}
	}
	if found == "" {
		return p, "expressions read no environment: pass the value in and read inputs.<name>; a secret of the operator's is ${secret.<name>} in the inputs " +
			"of a capability that the configuration allows it for"
	}
	return expr.Path{Root: expr.Secret, Steps: []expr.Step{{Key: found, Index: -1}}}, ""
}
