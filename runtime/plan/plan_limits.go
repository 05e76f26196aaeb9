package plan

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// What follows is about the budget of a plan, limits: {calls, time, bytes} with on_limit.

const (
	sayLimits = "a plan bounds itself by limits: {calls: 100}, with time and bytes beside calls; calls are those of capabilities, with their retries, and " +
		"tokens and costs are counted by nobody"
	sayLimitsOfNode = "limits bound the whole plan, and stand beside nodes; retry: {max_attempts: 3} bounds the attempts of a node, max_items its items"
	sayOnLimit      = "on_limit is suspend, which resume_execution continues, or fail, which ends the execution"
)

// planLimits reads {calls, time, bytes}.
func (d *decoder) planLimits(to **schemas.PlanLimits, v *document.Tree, at string) {
	*to = new(schemas.PlanLimits)
	if v.Kind != '{' {
		d.wrong(v, at, "an object of calls, time and bytes, such as {calls: 100}")
		return
	}
	before := d.out.errors
	if d.fields(*to, v, at, "limits"); **to == (schemas.PlanLimits{}) && d.out.errors == before {
		d.out.errorf(codeMissingField, at, "limits has none of calls, time and bytes: write one of them, as in limits: {calls: 100}, or remove limits")
	}
}

// limitNumber reads calls or bytes, of which at least one is allowed.
func (d *decoder) limitNumber(to *int, v *document.Tree, at string) {
	text := v.Raw
	if v.Kind == '"' {
		text = strings.TrimSpace(v.Text())
	}
	name := lastPart(at)
	n, err := strconv.Atoi(text)
	switch {
	case err == nil && n < 1:
		d.out.errorf(codeOutOfRange, at, "%s must be at least 1, got %d: write how many are allowed, or remove %s if there is no limit", name, n, name)
	case err != nil && v.Kind == '"':
		d.wrong(v, at, "a whole number, without a unit and without quotes").Message += "; 10 MB are 10000000, 10 MiB are 10485760"
	case v.Kind == '"':
		d.wrong(v, at, "a whole number").Fix = []schemas.PatchOp{opReplace(at, json.RawMessage(strconv.Itoa(n)))}
		*to = n
	default:
		d.integer(to, v, at, 1)
	}
}

// limits checks the budget of the plan.
func (c *compiler) limits() {
	p := &c.plan
	if p.OnLimit != "" {
		at := c.base + "/on_limit"
		if c.word(at, "on_limit", p.OnLimit, onLimits); p.Limits == nil {
			c.out.errorf(codeMissingField, at, "on_limit stands beside limits, which the plan does not have: write limits: {calls: 100}, or remove on_limit")
		}
	}
	if l := p.Limits; l != nil {
		c.durationOf(c.base+"/limits", "time", l.Time)
	}
}

// limitedCalls compares the limit of calls with those that the plan makes if every node succeeds, as far as that is certain.
func (c *compiler) limitedCalls() {
	l := c.plan.Limits
	if l == nil || l.Calls == 0 || c.out.errors > 0 {
		return
	}
	least := c.prog.Size().Least
	needed := least.Calls - least.Executions // each of which counts as a call of the tree
	if needed <= int64(l.Calls) {
		return
	}
	at := c.base + "/limits/calls"
	if c.plan.OnLimit == schemas.OnLimitFail {
		c.out.errorf(codeOverBudget, at, "the plan makes %d calls at least, and fails after %d of them: raise limits.calls, or make fewer calls", needed, l.Calls)
		return
	}
	c.out.warnf(codeOverBudget, at, "the plan makes %d calls at least, and is suspended after %d of them, until resume_execution raises limits.calls",
		needed, l.Calls)
}

// budgetWords is the budget of other languages, if it has what limits has.
func budgetWords(f *found) bool {
	if f.value.Kind != '{' {
		return f.refused(sayLimits)
	}
	f.becomes("limits")
	return true
}

// intoLimits moves a bound of calls at the plan into its limits.
func intoLimits(f *found) bool {
	if f.value.Kind != '0' && f.value.Kind != '"' {
		return f.refused(sayLimits)
	}
	limits := f.object.Get("limits")
	if limits != nil {
		return f.refused("limits is given as well: write it there, as in limits: {calls: 100}")
	}
	v := *f.value
	f.d.out.warnf(codeAlias, f.where(), "%s is taken as limits: {calls}", f.name).Fix = []schemas.PatchOp{
		opAdd(schemas.PointerTo(f.at, "limits"), json.RawMessage("{}")), opMove(f.where(), schemas.PointerTo(f.at, "limits")+"/calls")}
	f.object.Drop(f.name)
	inside := document.Tree{Kind: '{'}
	inside.Put("calls", v)
	f.object.Put("limits", inside)
	return true
}

// onLimitInside moves on_limit out of limits.
func (d *decoder) onLimitInside(t *document.Tree, at string) {
	limits := t.Get("limits")
	if limits == nil || limits.Kind != '{' {
		return
	}
	inner := limits.Get("on_limit")
	if inner == nil || t.Get("on_limit") != nil {
		return
	}
	v := *inner
	from := schemas.PointerTo(at, "limits") + "/on_limit"
	d.out.errorf(codeMisplacedField, from, "on_limit stands beside limits").Fix = []schemas.PatchOp{opMove(from, schemas.PointerTo(at, "on_limit"))}
	limits.Drop("on_limit")
	t.Put("on_limit", v)
}
