package plan

import (
	"encoding/json"

	"github.com/runplane/runplane/schemas"
)

// field is one field of an object of the plan and how it is read.
type field[T any] struct {
	name string
	read func(d *decoder, to *T, v *tree, at string)
}

// planFields are the fields of a plan.
var planFields = []field[schemas.Plan]{
	{"plan", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.version(&p.Version, v, at) }},
	{"name", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.text(&p.Name, v, at) }},
	{"description", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.text(&p.Description, v, at) }},
	{"inputs", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.object(&p.Inputs, v, at) }},
	{"timeout", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.duration(&p.Timeout, v, at) }},
	{"priority", func(d *decoder, p *schemas.Plan, v *tree, at string) {
		d.integer(&p.Priority, v, at, schemas.PriorityFirst)
	}},
	{"idempotency_key", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.text(&p.IdempotencyKey, v, at) }},
	{"max_parallel", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.integer(&p.MaxParallel, v, at, 1) }},
	{"defaults", func(d *decoder, p *schemas.Plan, v *tree, at string) {
		p.Defaults = new(schemas.Defaults)
		fields(d, p.Defaults, v, at, "defaults", defaultsFields)
	}},
	{"nodes", func(d *decoder, p *schemas.Plan, v *tree, at string) { d.nodes(p, v, at) }},
	{"output", func(d *decoder, p *schemas.Plan, v *tree, at string) { p.Output = schemas.Value(v.appendTo(nil)) }},
}

var defaultsFields = []field[schemas.Defaults]{
	{"timeout", func(d *decoder, to *schemas.Defaults, v *tree, at string) { d.duration(&to.Timeout, v, at) }},
	{"retry", func(d *decoder, to *schemas.Defaults, v *tree, at string) { d.retry(&to.Retry, v, at) }},
}

// nodeFields are the fields of a node.
var nodeFields = []field[schemas.Node]{
	{"id", func(d *decoder, n *schemas.Node, v *tree, at string) { d.text(&n.ID, v, at) }},
	{"description", func(d *decoder, n *schemas.Node, v *tree, at string) { d.text(&n.Description, v, at) }},
	{"capability", func(d *decoder, n *schemas.Node, v *tree, at string) { d.capability(&n.Capability, v, at) }},
	{"set", func(d *decoder, n *schemas.Node, v *tree, at string) { n.Set = schemas.Value(v.appendTo(nil)) }},
	{"wait", func(d *decoder, n *schemas.Node, v *tree, at string) { d.wait(&n.Wait, v, at) }},
	{"depends_on", func(d *decoder, n *schemas.Node, v *tree, at string) { d.texts(&n.DependsOn, v, at) }},
	{"trigger_rule", func(d *decoder, n *schemas.Node, v *tree, at string) { word(d, &n.TriggerRule, v, at) }},
	{"when", func(d *decoder, n *schemas.Node, v *tree, at string) { d.when(&n.When, v, at) }},
	{"inputs", func(d *decoder, n *schemas.Node, v *tree, at string) { d.object(&n.Inputs, v, at) }},
	{"timeout", func(d *decoder, n *schemas.Node, v *tree, at string) { d.duration(&n.Timeout, v, at) }},
	{"retry", func(d *decoder, n *schemas.Node, v *tree, at string) { d.retry(&n.Retry, v, at) }},
	{"on_error", func(d *decoder, n *schemas.Node, v *tree, at string) { d.onError(&n.OnError, v, at) }},
	{"on_unknown", func(d *decoder, n *schemas.Node, v *tree, at string) { d.onUnknown(&n.OnUnknown, v, at) }},
	{"effect", func(d *decoder, n *schemas.Node, v *tree, at string) { word(d, &n.Effect, v, at) }},
}

var retryFields = []field[schemas.Retry]{
	{"max_attempts", func(d *decoder, r *schemas.Retry, v *tree, at string) { d.integer(&r.MaxAttempts, v, at, 1) }},
	{"initial_interval", func(d *decoder, r *schemas.Retry, v *tree, at string) { d.duration(&r.InitialInterval, v, at) }},
	{"backoff_coefficient", func(d *decoder, r *schemas.Retry, v *tree, at string) {
		d.number(&r.BackoffCoefficient, v, at)
		if v.kind == '0' && r.BackoffCoefficient == 0 { // 0 would count as absent
			r.BackoffCoefficient = -1
		}
	}},
	{"max_interval", func(d *decoder, r *schemas.Retry, v *tree, at string) { d.duration(&r.MaxInterval, v, at) }},
	{"jitter", func(d *decoder, r *schemas.Retry, v *tree, at string) {
		r.Jitter = new(float64)
		d.number(r.Jitter, v, at)
	}},
	{"max_elapsed", func(d *decoder, r *schemas.Retry, v *tree, at string) { d.duration(&r.MaxElapsed, v, at) }},
	{"retry_on", func(d *decoder, r *schemas.Retry, v *tree, at string) { d.codes(&r.RetryOn, v, at) }},
	{"no_retry_on", func(d *decoder, r *schemas.Retry, v *tree, at string) { d.codes(&r.NoRetryOn, v, at) }},
}

// nodeAliases are other words for fields of a node.
var nodeAliases = map[string]string{
	"if": "when", "needs": "depends_on", "input": "inputs", "args": "inputs", "arguments": "inputs", "with": "inputs",
	"params": "inputs", "tool": "capability", "foreach": "for_each",
}

// synonyms are words that mean a field to many authors and are too far from it for spelling to find it.
var synonyms = map[string]string{
	"steps": "nodes", "tasks": "nodes", "version": "plan", "outputs": "output", "title": "name", "deadline": "timeout", "name": "id",
	"result": "output", "after": "depends_on", "condition": "when", "sleep": "wait", "value": "set", "retry_policy": "retry", "max_retries": "retries",
}

// notSupported are the fields and values of the language that this runtime does not have yet, with what to write
// instead.
var notSupported = map[string]string{
	"wait_for":          "end the plan before this node and submit the rest when the event arrives",
	"review":            "end the plan before this node, ask the person, and submit the rest",
	"workflow":          "write the workflow's nodes into this plan",
	"for_each":          "write one node for each item, or compute a list in a set node with ${list.map(x, …)}",
	"fallback":          "write the fallback as a node of its own with trigger_rule: one_failed, and on_error: continue on this one",
	"compensate":        "write the compensation as a node of its own with trigger_rule: one_failed",
	"safety_level":      "leave it out; to have a person decide, end the plan before this node and submit the rest",
	"queue_timeout":     "use the plan's timeout, which covers waiting as well",
	"total_timeout":     "use retry.max_elapsed, or the plan's timeout",
	"heartbeat_timeout": "use timeout, which bounds one attempt",
	"priority":          "use the plan's priority; a node has none of its own",
	"max_parallel":      "use the plan's max_parallel",
	"on_error suspend":  "use fail and rerun_execution from this node, or continue",
	"on_error compensate": "write the compensation as a node of its own with trigger_rule: one_failed, and on_error: " +
		"continue on this one",
	"on_unknown verify": "use suspend, call the capability that can tell, and resume_execution with a patch",
}

// unsupportedKinds are those of notSupported that say what a node does.
var unsupportedKinds = map[string]bool{"wait_for": true, "review": true, "workflow": true}

// nullValue stands for the kind of a node whose real kind was refused, so that the rest of it can be checked.
var nullValue = schemas.Value(json.RawMessage("null"))
