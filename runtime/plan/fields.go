package plan

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// field is one field of an object of the plan and how it is read.
type field[T any] struct {
	name string
	read func(d *decoder, to *T, v *document.Tree, at string)
}

// planFields are the fields of a plan.
var planFields = []field[schemas.Plan]{
	{"plan", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.version(&p.Version, v, at) }},
	{"name", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.text(&p.Name, v, at) }},
	{"description", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.text(&p.Description, v, at) }},
	{"inputs", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.object(&p.Inputs, v, at) }},
	{"timeout", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.duration(&p.Timeout, v, at) }},
	{"queue_timeout", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.duration(&p.QueueTimeout, v, at) }},
	{"priority", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) {
		d.integer(&p.Priority, v, at, schemas.PriorityFirst)
	}},
	{"idempotency_key", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.text(&p.IdempotencyKey, v, at) }},
	{"max_parallel", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.integer(&p.MaxParallel, v, at, 1) }},
	{"defaults", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) {
		p.Defaults = new(schemas.Defaults)
		fields(d, p.Defaults, v, at, "defaults", defaultsFields)
	}},
	{"nodes", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.nodes(p, v, at) }},
	{"output", func(d *decoder, p *schemas.Plan, v *document.Tree, at string) { d.value(&p.Output, v, at) }},
}

var defaultsFields = []field[schemas.Defaults]{
	{"timeout", func(d *decoder, to *schemas.Defaults, v *document.Tree, at string) { d.duration(&to.Timeout, v, at) }},
	{"retry", func(d *decoder, to *schemas.Defaults, v *document.Tree, at string) { d.retry(&to.Retry, v, at) }},
}

// nodeFields are the fields of a node.
var nodeFields = []field[schemas.Node]{
	{"id", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.text(&n.ID, v, at) }},
	{"description", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.text(&n.Description, v, at) }},
	{"capability", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.capability(&n.Capability, v, at) }},
	{"set", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.value(&n.Set, v, at) }},
	{"wait", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.wait(&n.Wait, v, at) }},
	{"wait_for", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.waitFor(&n.WaitFor, v, at) }},
	{"review", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.review(&n.Review, v, at) }},
	{"workflow", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.workflow(&n.Workflow, v, at) }},
	{"depends_on", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.texts(&n.DependsOn, v, at) }},
	{"trigger_rule", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { word(d, &n.TriggerRule, v, at) }},
	{"when", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.when(&n.When, v, at) }},
	{"inputs", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.object(&n.Inputs, v, at) }},
	{"for_each", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.value(&n.ForEach, v, at) }},
	{"max_parallel", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.integer(&n.MaxParallel, v, at, 1) }},
	{"max_items", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.integer(&n.MaxItems, v, at, 1) }},
	{"min_success", func(d *decoder, n *schemas.Node, v *document.Tree, at string) {
		n.MinSuccess = new(int)
		d.integer(n.MinSuccess, v, at, 0)
	}},
	{"timeout", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.duration(&n.Timeout, v, at) }},
	{"total_timeout", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.duration(&n.TotalTimeout, v, at) }},
	{"queue_timeout", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.duration(&n.QueueTimeout, v, at) }},
	{"heartbeat_timeout", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.duration(&n.HeartbeatTimeout, v, at) }},
	{"retry", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.retry(&n.Retry, v, at) }},
	{"priority", func(d *decoder, n *schemas.Node, v *document.Tree, at string) {
		d.integer(&n.Priority, v, at, schemas.PriorityFirst)
	}},
	{"safety_level", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.text(&n.SafetyLevel, v, at) }},
	{"fallback", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.fallbacks(&n.Fallback, v, at) }},
	{"compensate", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.compensate(&n.Compensate, v, at) }},
	{"on_error", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { word(d, &n.OnError, v, at) }},
	{"on_unknown", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { d.onUnknown(&n.OnUnknown, v, at) }},
	{"effect", func(d *decoder, n *schemas.Node, v *document.Tree, at string) { word(d, &n.Effect, v, at) }},
}

var waitForFields = []field[schemas.WaitFor]{
	{"event", func(d *decoder, w *schemas.WaitFor, v *document.Tree, at string) {
		d.needed(&w.Event, v, at, unreadable)
	}},
	{"state", func(d *decoder, w *schemas.WaitFor, v *document.Tree, at string) {
		w.State = new(schemas.StateName)
		if fields(d, w.State, v, at, "state", stateFields); v.Kind != '{' {
			*w.State = schemas.StateName{Type: unreadable, Key: unreadable}
		}
	}},
	{"until", func(d *decoder, w *schemas.WaitFor, v *document.Tree, at string) { d.when(&w.Until, v, at) }},
	{"timeout", func(d *decoder, w *schemas.WaitFor, v *document.Tree, at string) { d.duration(&w.Timeout, v, at) }},
}

var stateFields = []field[schemas.StateName]{
	{"type", func(d *decoder, s *schemas.StateName, v *document.Tree, at string) {
		d.needed(&s.Type, v, at, unreadable)
	}},
	{"key", func(d *decoder, s *schemas.StateName, v *document.Tree, at string) {
		d.needed(&s.Key, v, at, unreadable)
	}},
}

var reviewFields = []field[schemas.Review]{
	{"question", func(d *decoder, r *schemas.Review, v *document.Tree, at string) {
		d.needed(&r.Question, v, at, unreadable)
	}},
	{"expires", func(d *decoder, r *schemas.Review, v *document.Tree, at string) { d.duration(&r.Expires, v, at) }},
}

var workflowFields = []field[schemas.Workflow]{
	{"name", func(d *decoder, w *schemas.Workflow, v *document.Tree, at string) {
		d.needed(&w.Name, v, at, unreadable)
	}},
	{"definition", func(d *decoder, w *schemas.Workflow, v *document.Tree, at string) { d.definition(w, v, at) }},
}

var fallbackFields = []field[schemas.Fallback]{
	{"capability", func(d *decoder, f *schemas.Fallback, v *document.Tree, at string) { d.capability(&f.Capability, v, at) }},
	{"inputs", func(d *decoder, f *schemas.Fallback, v *document.Tree, at string) { d.object(&f.Inputs, v, at) }},
	{"value", func(d *decoder, f *schemas.Fallback, v *document.Tree, at string) { d.value(&f.Value, v, at) }},
}

var compensateFields = []field[schemas.Compensate]{
	{"capability", func(d *decoder, c *schemas.Compensate, v *document.Tree, at string) {
		d.capability(&c.Capability, v, at)
	}},
	{"inputs", func(d *decoder, c *schemas.Compensate, v *document.Tree, at string) { d.object(&c.Inputs, v, at) }},
	{"timeout", func(d *decoder, c *schemas.Compensate, v *document.Tree, at string) { d.duration(&c.Timeout, v, at) }},
	{"retry", func(d *decoder, c *schemas.Compensate, v *document.Tree, at string) { d.retry(&c.Retry, v, at) }},
}

var onUnknownFields = []field[schemas.OnUnknown]{
	{"then", func(d *decoder, u *schemas.OnUnknown, v *document.Tree, at string) { d.text(&u.Then, v, at) }},
	{"verify", func(d *decoder, u *schemas.OnUnknown, v *document.Tree, at string) {
		u.Verify = new(schemas.Verify)
		d.aliases(v, at, callAliases)
		fields(d, u.Verify, v, at, "verify", verifyFields)
		if v.Kind != '{' {
			*u.Verify = schemas.Verify{Capability: unreadable, Happened: "${true}"}
		}
	}},
}

var verifyFields = []field[schemas.Verify]{
	{"capability", func(d *decoder, f *schemas.Verify, v *document.Tree, at string) { d.capability(&f.Capability, v, at) }},
	{"inputs", func(d *decoder, f *schemas.Verify, v *document.Tree, at string) { d.object(&f.Inputs, v, at) }},
	{"happened", func(d *decoder, f *schemas.Verify, v *document.Tree, at string) {
		if d.when(&f.Happened, v, at); f.Happened == "" && v.Kind != '"' {
			f.Happened = "${true}"
		}
	}},
	{"output", func(d *decoder, f *schemas.Verify, v *document.Tree, at string) { d.value(&f.Output, v, at) }},
}

var retryFields = []field[schemas.Retry]{
	{"max_attempts", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) { d.integer(&r.MaxAttempts, v, at, 1) }},
	{"initial_interval", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) { d.duration(&r.InitialInterval, v, at) }},
	{"backoff_coefficient", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) {
		d.number(&r.BackoffCoefficient, v, at)
		if v.Kind == '0' && r.BackoffCoefficient == 0 { // 0 would count as absent
			r.BackoffCoefficient = -1
		}
	}},
	{"max_interval", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) { d.duration(&r.MaxInterval, v, at) }},
	{"jitter", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) {
		r.Jitter = new(float64)
		d.number(r.Jitter, v, at)
	}},
	{"max_elapsed", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) { d.duration(&r.MaxElapsed, v, at) }},
	{"retry_on", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) { d.codes(&r.RetryOn, v, at) }},
	{"no_retry_on", func(d *decoder, r *schemas.Retry, v *document.Tree, at string) { d.codes(&r.NoRetryOn, v, at) }},
}

// takesNull are the fields whose null is a value; everywhere else it counts as absent.
var takesNull = map[string]bool{"set": true, "output": true, "value": true}

// unreadable stands for a name that was refused already, so that nothing more is said of it.
const unreadable = "?"

// nullValue stands for the kind of a node whose real kind was refused, so that the rest of it can be checked.
var nullValue = schemas.Value(json.RawMessage("null"))

// callAliases are other words for the fields of a call.
var callAliases = map[string]string{
	"input": "inputs", "args": "inputs", "arguments": "inputs", "with": "inputs", "params": "inputs", "tool": "capability",
}

// nodeAliases are other words for fields of a node.
var nodeAliases = merged(callAliases, map[string]string{
	"if": "when", "needs": "depends_on", "foreach": "for_each", "for-each": "for_each", "forEach": "for_each", "fallbacks": "fallback",
	"sleep": "wait", "delay": "wait", "wait_for_event": "wait_for",
})

func merged(a, b map[string]string) map[string]string {
	all := make(map[string]string, len(a)+len(b))
	for _, m := range []map[string]string{a, b} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// synonyms are words that mean a field to many authors and are too far from it for spelling to find it; the first that
// the object has is meant.
var synonyms = map[string][]string{
	"steps": {"nodes"}, "tasks": {"nodes"}, "version": {"plan"}, "outputs": {"output"}, "title": {"name"}, "deadline": {"timeout", "expires"},
	"name": {"id", "event"}, "result": {"output"}, "after": {"depends_on"}, "condition": {"when", "happened", "until"}, "state_type": {"type"}, "state_key": {"key"}, "when": {"until"}, "value": {"set"},
	"retry_policy": {"retry"}, "max_retries": {"retries"},
	"loop": {"for_each"}, "items": {"for_each"}, "each": {"for_each"}, "over": {"for_each"}, "map": {"for_each"},
	"concurrency": {"max_parallel"}, "parallelism": {"max_parallel"}, "max_concurrency": {"max_parallel"},
	"on_failure": {"on_error"}, "on_fail": {"on_error"}, "undo": {"compensate"}, "rollback": {"compensate"}, "compensation": {"compensate"},
	"signal": {"wait_for", "event"}, "event": {"wait_for"}, "on_event": {"wait_for"}, "wait_for_signal": {"wait_for"}, "wait_for_state": {"wait_for"},
	"message": {"question"}, "text": {"question"}, "prompt": {"question"}, "timeout": {"expires"}, "expires": {"timeout"},
	"success": {"happened"}, "check": {"happened"}, "default": {"value"}, "plan": {"definition"}, "ref": {"name"},
}
