//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// repeats is a plan whose rounds do not end, or gather more than there is room for.
func (m *maker) repeats() object {
	repeat := object{
		"until": pick(m, "${false}", "${index > 5}", "${size(["+m.expression()+"]) == 0}", "${"+m.truth([]string{"output", "previous"}, 2)+"}", "${size([previous, output]) == 3}"),
		"every": pick(m, "0s", "1ms", "${index}ms", "${"+m.expression()+"}"), "max": pick(m, 1, 100, 1000, 10_000, 10_000),
	}
	if m.chance(70) {
		repeat["collect"] = pick(m, "${output}", "${[output, output]}", "${inputs}", "${inputs.l + inputs.l}", "${lists.range(10000)}", "${[previous, output]}", "${"+m.growth()+"}", "${"+m.loops()+"}")
	}
	if m.chance(30) {
		repeat["timeout"] = pick(m, "1ms", "500ms", "1h")
	}
	node := pick(m,
		object{"capability": "shop.echo", "inputs": object{"msg": "${index}"}},
		object{"capability": "shop.echo", "inputs": object{"msg": "${inputs.s}"}},
		object{"capability": "shop.echo", "inputs": object{"msg": "${previous == null ? inputs.s : string(previous) + string(previous)}"}},
		object{"capability": "liar.huge", "inputs": object{"msg": fmt.Sprint(pick(m, 1000, 1<<20, 12<<20))}, "timeout": "1s"},
		object{"workflow": object{"definition": m.plan(m.each(m.leaf()))}},
		object{"workflow": object{"definition": m.plan(object{"id": "a", "capability": "shop.echo", "inputs": object{"msg": "x"}, "repeat": object{"until": "${false}", "every": "0s", "max": 10_000}})}},
	)
	node["id"], node["repeat"], node["on_error"] = "a", repeat, pick(m, "fail", "continue", "suspend")
	nodes := []any{node, object{"id": "b", "set": pick(m, "${nodes.a.output}", "${size(nodes.a.output)}", "${nodes.a.errors}", "${[nodes.a.output, nodes.a.content]}"), "depends_on": []any{"a"}, "trigger_rule": "all_done"}}
	for i := range pick(m, 0, 0, 3, 60) {
		other := object{}
		for k, v := range node {
			other[k] = v
		}
		other["id"] = fmt.Sprintf("n%d", i)
		nodes = append(nodes, other)
	}
	plan := m.plan(nodes...)
	if m.chance(20) {
		plan["limits"] = object{"calls": pick(m, 1, 50), "bytes": pick(m, 1000, 1<<20), "time": "1s"}
	}
	return plan
}

// asks is a plan that asks a person with a form or with choices that are made to be expensive.
func (m *maker) asks() object {
	deep := strings.Repeat(`{"type":"object","properties":{"a":`, pick(m, 1, 30, 300)) + "{}"
	deep += strings.Repeat("}}", strings.Count(deep, "properties"))
	doubling := `{"$defs":{"a0":{}`
	for i := range 40 {
		doubling += fmt.Sprintf(`,"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, i+1, i, i)
	}
	choices := make([]any, pick(m, 1, 100, 10_000))
	for i := range choices {
		choices[i] = fmt.Sprintf("choice %d", i)
	}
	return m.plan(object{"id": "a", "review": object{"question": "${" + m.growth() + "}", "expires": "1s", "choices": choices}},
		object{"id": "b", "review": object{"question": "Pay?", "expires": "1s", "schema": pick[any](m, json.RawMessage(deep), json.RawMessage(doubling+`},"$ref":"#/$defs/a40"}`), object{"type": "string", "pattern": m.pattern()}, object{"$ref": "#"})}},
		object{"id": "c", "set": "${[nodes.a.output, nodes.b.output.data]}", "trigger_rule": "all_done"})
}
