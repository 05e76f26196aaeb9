package machine

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// planner writes random plans over the whole language.
type planner struct{ t *rapid.T }

func (p planner) pick(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(p.t, label)
}

func (p planner) chance(label string, in int) bool {
	return rapid.IntRange(1, in).Draw(p.t, label) == in
}

// plan is one of 2 to 10 nodes.
func (p planner) plan() string {
	var nodes []string
	for i := range rapid.IntRange(2, 10).Draw(p.t, "nodes") {
		nodes = append(nodes, "{"+p.node(i)+"}")
	}
	return fmt.Sprintf(`{"plan":"v1","inputs":{"list":[1,2,3]},"max_parallel":%d%s%s,"nodes":[%s]}`,
		rapid.IntRange(1, 4).Draw(p.t, "max_parallel"), p.pick("timeout", ``, ``, `,"timeout":"3m"`),
		p.pick("limits", ``, ``, ``, `,"limits":{"calls":3}`, `,"limits":{"calls":4}`, `,"limits":{"time":"1m"}`, `,"limits":{"time":"40s","calls":9}`,
			`,"limits":{"bytes":2}`), strings.Join(nodes, ",\n"))
}

func (p planner) node(i int) string {
	var deps []string
	for d := max(0, i-5); d < i; d++ {
		if p.chance("edge", 4) {
			deps = append(deps, fmt.Sprintf(`"n%d"`, d))
		}
	}
	n := fmt.Sprintf(`"id":"n%d","depends_on":[%s]`, i, strings.Join(deps, ","))
	n += p.pick("rule", ``, ``, `,"trigger_rule":"none_failed"`, `,"trigger_rule":"all_done"`, `,"trigger_rule":"one_success"`, `,"trigger_rule":"one_failed"`,
		`,"trigger_rule":"one_success","cancel_others":true`)
	n += p.pick("on_error", ``, `,"on_error":"continue"`, `,"on_error":"continue"`, `,"on_error":"suspend"`, `,"on_error":"compensate"`)
	n += p.pick("priority", ``, ``, `,"priority":1`, `,"priority":5`)
	switch kind := p.pick("kind", "read", "idempotent", "once", "once", "once", "once", "set", "wait", "wait_for", "review", "workflow"); kind {
	case "set":
		return n + `,"set":1` + p.list()
	case "wait":
		return n + `,"wait":"1m"`
	case "wait_for":
		return n + `,"wait_for":` + p.pick("event", `"ping"`, `{"event":"ping","timeout":"40s"}`, `{"event":"pong","timeout":"1m"}`,
			`{"state":{"type":"order","key":"A"}}`, `{"state":{"type":"order","key":"A"},"timeout":"40s"}`)
	case "review":
		return n + `,"review":` + p.pick("review", `"?"`, `{"question":"?","expires":"40s"}`)
	case "workflow":
		n += `,"workflow":{"definition":{"nodes":[{"id":"x","set":1}]}}` + p.pick("total_timeout", ``, `,"total_timeout":"50s"`)
		if p.chance("repeat", 3) {
			return n + p.repeat()
		}
		return n + p.list()
	default:
		if p.chance("repeat", 3) {
			return n + p.call(kind, false) + p.repeat()
		}
		return n + p.call(kind, true) + p.list()
	}
}

func (p planner) retry() string {
	return p.pick("retry", ``, `,"retry":{"max_attempts":1}`, `,"retry":{"max_attempts":2}`, `,"retry":{"max_attempts":4,"max_elapsed":"5s"}`, `,"retry":{"max_attempts":3,"retry_on":["timeout"]}`)
}

// repeat has a node make its call again.
func (p planner) repeat() string {
	return `,"repeat":{"until":"${output == 1}","once":true` + p.pick("every", ``, `,"every":"0s"`, `,"every":"20s"`) + p.pick("rounds", ``, `,"max":1`, `,"max":3`) +
		p.pick("repeat timeout", ``, ``, `,"timeout":"30s"`) + p.pick("collect", ``, `,"collect":"${output}"`) + `}`
}

// call is a capability node whose call has the effect.
func (p planner) call(effect string, undone bool) string {
	n := `,"capability":"r.` + effect + `"` + p.retry()
	n += p.pick("total_timeout", ``, ``, ``, `,"total_timeout":"20s"`)
	n += p.pick("queue_timeout", ``, ``, ``, `,"queue_timeout":"30s"`)
	n += p.pick("safety", ``, ``, ``, `,"safety_level":"review"`)
	n += p.pick("fallback", ``, ``, ``, `,"fallback":[{"value":0}]`, `,"fallback":[{"capability":"r.once_b"}]`, `,"fallback":[{"capability":"r.read_b"},{"capability":"r.idempotent_b"},{"value":0}]`)
	if undone && p.chance("compensate", 2) {
		n += `,"compensate":{"capability":"r.` + p.pick("undo", "read", "idempotent", "once") + `_undo"` + p.retry() + `}`
	}
	if effect == "once" {
		n += p.pick("on_unknown", ``, `,"on_unknown":"retry"`, `,"on_unknown":"fail"`,
			`,"on_unknown":{"verify":{"capability":"r.read_v","happened":"${output.yes}"}}`,
			`,"on_unknown":{"then":"fail","verify":{"capability":"r.read_v","happened":"${output.yes}"}}`)
	}
	return n
}

// list may make a node a for_each node.
func (p planner) list() string {
	if !p.chance("for_each", 3) {
		return ""
	}
	return p.pick("list", `,"for_each":[1,2,3,4]`, `,"for_each":"${inputs.list}"`) +
		p.pick("items at once", ``, `,"max_parallel":1`, `,"max_parallel":2`) + p.pick("min_success", ``, ``, `,"min_success":0`, `,"min_success":2`)
}
