package plan

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// listed are the kinds that may have for_each.
var listed = []string{string(KindCapability), string(KindSet), string(KindWorkflow)}

// kindsWith are the kinds of node that have a field which not every kind has.
var kindsWith = map[string][]string{
	"inputs":            {string(KindCapability), string(KindWorkflow)},
	"for_each":          listed,
	"repeat":            {string(KindCapability), string(KindWorkflow)},
	"timeout":           called,
	"total_timeout":     {string(KindCapability), string(KindWorkflow)},
	"queue_timeout":     called,
	"heartbeat_timeout": called,
	"retry":             called,
	"safety_level":      called,
	"fallback":          called,
	"compensate":        called,
	"on_unknown":        called,
	"effect":            called,
}

var called = []string{string(KindCapability)}

// withForEach are fields that go with for_each.
var withForEach = []string{"max_parallel", "max_items", "min_success"}

// nodeSetting is a field that not every node may have.
type nodeSetting struct {
	*field
	kinds []string // nil: those with for_each
}

// settingsOfKinds lists the fields that not every node may have; those that go with for_each are the last.
var settingsOfKinds = sync.OnceValue(func() []nodeSetting {
	var settings, listed []nodeSetting
	table := fieldsOf(reflect.TypeFor[schemas.Node]())
	for i := range table {
		switch f := &table[i]; {
		case kindsWith[f.name] != nil:
			settings = append(settings, nodeSetting{f, kindsWith[f.name]})
		case slices.Contains(withForEach, f.name):
			listed = append(listed, nodeSetting{f, nil})
		}
	}
	return append(settings, listed...)
})

// nodeSettings checks everything about a node but its references; false when it has not exactly one kind.
func (c *compiler) nodeSettings(i int) bool {
	n := &c.plan.Nodes[i]
	at := c.at(i)
	kinds := kindsOf(n)
	switch len(kinds) {
	case 0:
		c.out.errorf(codeMissingKind, at, "node %q does nothing: give it one of %s", n.ID, strings.Join(kindNames, ", "))
		return false
	case 1:
	default:
		c.out.errorf(codeSeveralKinds, at, "node %q has %s: a node does one thing, so make a node of each", n.ID, strings.Join(kinds, " and "))
		return false
	}
	c.misplaced(n, at, kinds[0])
	c.triggerRule(n, at)
	if n.OnError != "" && !c.handler(n, at+"/on_error") {
		c.wordOf(at, "on_error", string(n.OnError), onErrors)
	}
	c.wordOf(at, "safety_level", n.SafetyLevel, safetyLevels)
	c.wordOf(at, "effect", string(n.Effect), effects)
	if n.Priority != 0 {
		c.inRange(at+"/priority", "priority", n.Priority, schemas.PriorityFirst, schemas.PriorityLast)
	}
	c.durationOf(at, "timeout", n.Timeout)
	c.durationOf(at, "total_timeout", n.TotalTimeout)
	c.durationOf(at, "queue_timeout", n.QueueTimeout)
	c.durationOf(at, "heartbeat_timeout", n.HeartbeatTimeout)
	if n.Retry != nil {
		c.retry(at+"/retry", n.Retry)
	}
	if n.Timeout > 0 && n.TotalTimeout > 0 && n.TotalTimeout < n.Timeout {
		c.out.warnf(codeShortTotalTimeout, at+"/total_timeout",
			"total_timeout %s is shorter than the timeout of one attempt, %s", n.TotalTimeout, n.Timeout).Fix =
			[]schemas.PatchOp{opReplaceText(at+"/timeout", n.TotalTimeout.String())}
	}
	if n.OnError == schemas.OnErrorCompensate && !c.undoes {
		c.out.warnf(codeNothingToCompensate, at+"/on_error",
			"on_error is compensate, but no node has a compensate: this is the same as fail")
	}
	if n.When != "" {
		c.condition("when", n.When, at+"/when")
	}
	switch {
	case n.Wait != "":
		c.wait(n.Wait, at+"/wait")
	case n.WaitFor != nil:
		c.waitFor(n.WaitFor, at+"/wait_for")
	case n.Review != nil:
		c.reviewSettings(n.Review, at+"/review")
		c.refusals(n, at+"/review/choices")
	case n.Workflow != nil:
		if !c.workflow(n.Workflow, at+"/workflow") {
			return false
		}
	}
	c.list(n, at)
	c.repeat(n, at)
	c.fallbacks(n.Fallback, at+"/fallback")
	if u := n.Compensate; u != nil {
		c.missing(u.Capability, "capability", "compensate", at+"/compensate")
		c.duration(at+"/compensate/timeout", "timeout", u.Timeout)
		c.retry(at+"/compensate/retry", u.Retry)
	}
	if u := n.OnUnknown; u != nil {
		c.onUnknown(u, at+"/on_unknown")
	}
	return true
}

// handler reports an on_error that is a word of another language, or names what is to run after the failure.
func (c *compiler) handler(n *schemas.Node, at string) bool {
	given := string(n.OnError)
	word, known := onErrorWords[snake(strings.ToLower(given))]
	switch {
	case slices.Contains(onErrors, given):
	case c.isNode(given):
		c.out.errorf(codeUnknownValue, at, "on_error says what the failure does to the execution: %s. %s", strings.Join(onErrors, ", "), sayHandler)
		return true
	case known:
		c.out.errorf(codeUnknownValue, at, "on_error %q is not known; did you mean %q?", given, word).Fix = []schemas.PatchOp{opReplaceText(at, word)}
		return true
	}
	return false
}

// misplaced reports settings that this kind of node does not have. A timeout is moved to the one that the kind has.
func (c *compiler) misplaced(n *schemas.Node, at, kind string) {
	object := reflect.ValueOf(n).Elem()
	for _, f := range settingsOfKinds() {
		switch {
		case !f.isGiven(object):
		case f.kinds == nil: // it goes with for_each
			if n.ForEach == nil {
				c.out.errorf(codeMisplacedField, at+"/"+f.name, "%s goes with for_each, which node %q does not have", f.name, n.ID)
			}
		case !slices.Contains(f.kinds, kind):
			found := c.out.errorf(codeMisplacedField, at+"/"+f.name,
				"node %q is a %s node; %s belongs to %s nodes alone", n.ID, kind, f.name, strings.Join(f.kinds, ", "))
			if f.name == "timeout" || f.name == "total_timeout" {
				c.moveTimeout(found, n, at, f.name)
			}
		}
	}
}

func (c *compiler) moveTimeout(f *schemas.Finding, n *schemas.Node, at, name string) {
	from := at + "/" + name
	switch {
	case n.WaitFor != nil && n.WaitFor.Timeout == 0:
		f.Message += "; write wait_for: {event, timeout}"
		f.Fix = []schemas.PatchOp{opMove(from, at+"/wait_for/timeout")}
		if n.WaitFor.Bare {
			f.Fix = append([]schemas.PatchOp{opReplace(at+"/wait_for", json.RawMessage(`{"event":`+document.Quote(n.WaitFor.Event)+`}`))}, f.Fix...)
		}
	case n.Review != nil && n.Review.Expires == 0:
		f.Message += "; write review: {question, expires}"
		f.Fix = []schemas.PatchOp{opMove(from, at+"/review/expires")}
		if n.Review.Bare {
			f.Fix = append([]schemas.PatchOp{opReplace(at+"/review", json.RawMessage(`{"question":`+document.Quote(n.Review.Question)+`}`))}, f.Fix...)
		}
	case n.Workflow != nil && n.TotalTimeout == 0:
		f.Message += "; a workflow has total_timeout, and a timeout inside its definition"
		f.Fix = []schemas.PatchOp{opMove(from, at+"/total_timeout")}
	}
}

// missing reports a required field that is absent.
func (c *compiler) missing(value, field, of, at string) bool {
	if value != "" {
		return false
	}
	c.out.errorf(codeMissingField, at, "%s has no %s", of, field)
	return true
}

// workflow reports what cannot be run; the plan within is compiled later.
func (c *compiler) workflow(w *schemas.Workflow, at string) bool {
	name := at + "/name"
	if w.Bare {
		name = at
	}
	switch {
	case w.Name != "" && w.Definition != nil:
		c.out.errorf(codeSeveralKinds, at, "workflow has a name and a definition; keep one of them")
	case w.Name == unreadable:
	case w.Name != "": // the runtime has replaced the names of workflows that exist by their plans
		c.out.errorf(codeUnknownWorkflow, name, "no workflow %.80q is known here", w.Name)
	case w.Definition == nil:
		c.out.errorf(codeMissingField, at, "workflow has no definition: write workflow: {definition: {nodes: […]}}")
	}
	return w.Definition != nil
}

func (c *compiler) fallbacks(list []schemas.Fallback, at string) {
	final := -1 // the first value: nothing comes after it
	for k := range list {
		f, where := &list[k], schemas.PointerToItem(at, k)
		switch {
		case f.Capability != "" && len(f.Value) > 0:
			c.out.errorf(codeSeveralKinds, where, "a fallback is a capability or a value; make an entry of each").Fix = []schemas.PatchOp{
				opAdd(schemas.PointerToItem(at, k+1), json.RawMessage(`{"value":`+string(f.Value)+`}`)), opRemove(where + "/value"),
			}
			return // the indices of the entries after it have changed
		case f.Capability == "" && len(f.Value) == 0:
			c.out.errorf(codeMissingField, where, "a fallback has a capability or a value")
		case len(f.Value) > 0 && len(f.Inputs) > 0:
			c.out.errorf(codeMisplacedField, where+"/inputs",
				"a fallback that is a value calls nothing and has no inputs; take them out, or write the capability")
		}
		if final < 0 && len(f.Value) > 0 {
			final = k
		}
	}
	if final >= 0 && final < len(list)-1 {
		f := c.out.warnf(codeUnreachableFallback, schemas.PointerToItem(at, final+1),
			"a fallback that is a value always succeeds, so the entries after it are never reached")
		for k := len(list) - 1; k > final; k-- {
			f.Fix = append(f.Fix, opRemove(schemas.PointerToItem(at, k)))
		}
	}
}

func (c *compiler) onUnknown(u *schemas.OnUnknown, at string) {
	then := at + "/then"
	if u.Bare {
		then = at
	}
	if u.Then == "verify" {
		c.out.errorf(codeUnknownValue, then,
			"verify needs a capability and a condition, as in on_unknown: {verify: {capability, inputs, happened: "+
				"\"${…output…}\"}}")
		return
	}
	c.word(then, "on_unknown", u.Then, onUnknowns)
	v := u.Verify
	if v == nil {
		if u.Then == "" && !u.Bare {
			c.out.errorf(codeMissingField, at, "on_unknown has then or verify")
		}
		return
	}
	c.missing(v.Capability, "capability", "verify", at+"/verify")
	if !c.missing(v.Happened, "happened: write a condition over its answer, such as ${size(output.items) > 0}", "verify", at+"/verify") {
		c.condition("happened", v.Happened, at+"/verify/happened")
	}
}

// compensates reports whether any node of the plan, or of one within it, has a compensation.
func compensates(p *schemas.Plan, depth int) bool {
	for i := range p.Nodes {
		if p.Nodes[i].Compensate != nil {
			return true
		}
		if d := definitionOf(&p.Nodes[i]); d != nil && depth > 0 && compensates(d, depth-1) {
			return true
		}
	}
	return false
}
