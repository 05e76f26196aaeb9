package plan

import (
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// translated rewrites an expression that is written with the words of another language, and returns the expression that the fix leaves.
// ok is false where nothing more can be checked.
func (c *compiler) translated(s site) (after site, ok bool) {
	if _, dashed := expr.Dashed(s.Text); dashed {
		return s, true
	}
	if s.Plain && !expr.Counts(s.Path) && slices.Contains(expr.Roots, s.Path.Root) {
		if ref := (meant{c, s}).Reference(s.Path.Root, s.Path.Steps); !ref.Changed && ref.Stuck+ref.Doubt == "" {
			return s, true
		}
	}
	if variable := environment.FindStringSubmatch(s.Text); variable != nil && strings.HasPrefix(s.Text, "env:") {
		return c.ofEnvironment(s, variable[1])
	}
	r := expr.Rewrite(s.Text, meant{c, s})
	for _, doubt := range r.Doubt {
		c.out.warnf(codeForeign, s.at, "%s, got ${%s}", doubt, expr.Shorten(s.Text))
	}
	var faults []expr.Fault
	if !s.Plain {
		_, faults = c.language(s.node).Check(s.Text)
	}
	if !r.Changed && len(r.Stuck) == 0 {
		return s, true
	}
	severity, code := schemas.SeverityError, r.Code
	switch {
	case code != "":
	case len(faults) > 0:
		code = faults[0].Code
	default:
		code = codeForeign
		if r.Guessed || len(r.Stuck) > 0 {
			severity = schemas.SeverityWarning // it may be meant as it is written
		}
	}
	if len(r.Stuck) > 0 {
		c.out.add(severity, code, s.at, "%s, got ${%s}", strings.Join(r.Stuck, "; "), expr.Shorten(s.Text))
		return s, severity == schemas.SeverityWarning
	}
	written := "${" + r.Text + "}"
	if r.Whole {
		written = r.Text
	}
	if problem := c.unusable(s.node, written); problem != "" {
		c.out.add(severity, code, s.at, "%s: that would be %s, where %s", strings.Join(r.Said, "; "), expr.Shorten(written), problem)
		return s, false
	}
	f := c.out.add(severity, code, s.at, "%s: write %s", strings.Join(r.Said, "; "), written)
	if r.Lossy && c.decides(s) {
		return s, false
	}
	f.Lossy = r.Lossy
	before := "${" + s.Text + "}"
	f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceExpression(text, s.Text, written) })}
	if r.Whole || !strings.Contains(c.texts[s.at], written) || before == written {
		return s, false
	}
	h := *s.Placeholder
	h.Text, h.Source = r.Text, c.texts[s.at]
	h.Offset = strings.Index(h.Source, written) + len("${")
	h.Path, h.Plain = c.language(s.node).Path(h.Text)
	s.Placeholder = &h
	return s, true
}

// ofEnvironment reports ${env:NAME}, the form of the configuration for a variable of the environment.
func (c *compiler) ofEnvironment(s site, name string) (site, bool) {
	p, stuck := c.foreignSecret(s, name)
	if stuck != "" {
		c.out.errorf(expr.CodeUnknownRoot, s.at, "%s, got ${%s}", stuck, expr.Shorten(s.Text))
		return s, false
	}
	written := "${" + p.String() + "}"
	c.out.errorf(expr.CodeUnknownRoot, s.at, "expressions read no environment, and a secret of the operator's is read as %s: write %s", p, written).Fix =
		[]schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceExpression(text, s.Text, written) })}
	return s, false
}

// unusable says what is wrong with a string of a plan; empty: its expressions compile.
func (c *compiler) unusable(node int, source string) string {
	t, bad := expr.NewText(source, c.language(node), c.lim.Limits)
	if len(bad) > 0 {
		return bad[0].Message
	}
	for h := range t.Placeholders() {
		if h.Plain {
			continue
		}
		if _, faults := c.language(node).Check(h.Text); len(faults) > 0 {
			return faults[0].Message
		}
	}
	return ""
}
