//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// hostilePlan is one plan that may not harm the program.
type hostilePlan struct {
	number   int
	kind     string
	library  []hostileWorkflow // created before
	source   any               // the plan: an object, or its text
	line     string            // instead of a plan: a whole line of input, in which %s is the id of the request
	mutation string            // what was done to it besides
}

// hostileWorkflow is a workflow that plans may name.
type hostileWorkflow struct {
	Name       string
	Definition any
}

// hostileKind is one row: how often it is made, and how.
type hostileKind struct {
	name   string
	weight int
	make   func(m *maker, p *hostilePlan)
}

var hostileKinds = []hostileKind{
	{"for_each in nested definitions", 10, func(m *maker, p *hostilePlan) {
		inner := m.leaf()
		for range 1 + m.IntN(5) {
			inner = object{"workflow": object{"definition": m.plan(m.each(inner))}}
		}
		p.source = m.plan(m.each(inner))
	}},
	{"for_each over workflows of workflows", 6, func(m *maker, p *hostilePlan) {
		name := ""
		inner := m.leaf()
		for i := range 1 + m.IntN(6) {
			name = fmt.Sprintf("hostile%d-%d", p.number%7, i)
			p.library = append(p.library, hostileWorkflow{name, m.plan(m.each(inner))})
			inner = object{"workflow": name}
		}
		p.source = m.plan(m.each(inner))
	}},
	{"any expression", 14, func(m *maker, p *hostilePlan) { p.source = m.computes(m.expression) }},
	{"growing expression", 14, func(m *maker, p *hostilePlan) { p.source = m.computes(m.growth) }},
	{"loops in loops", 10, func(m *maker, p *hostilePlan) { p.source = m.computes(m.loops) }},
	{"expression in every place", 4, func(m *maker, p *hostilePlan) {
		e := func() string { return pick(m, m.expression, m.growth, m.loops)() }
		is := func() string { return "${size([" + e() + "]) == 1}" }
		places := []any{
			object{"set": "${" + e() + "}", "when": is()},
			object{"for_each": "${[" + e() + "]}", "max_parallel": 1 + m.many()%1000, "set": "${" + e() + "}"},
			object{"for_each": "${inputs.l + inputs.l}", "set": object{"x": "${index} ${" + e() + "} ${item}"}},
			object{"capability": "shop.echo", "inputs": object{"msg": "x${" + e() + "}"}},
			object{"capability": "shop.get_order", "inputs": object{"id": "Z"}, "fallback": []any{object{"value": "${" + e() + "}"}}},
			object{"wait": "${size([" + e() + "]) == 0 ? '1h' : '1ms'}"},
			object{"wait_for": object{"state": object{"type": "t", "key": "k${" + e() + "}"}, "until": is(), "timeout": "1s"}},
			object{"review": object{"question": "Pay ${" + e() + "}?", "expires": "1s"}},
			object{"workflow": object{"definition": object{"inputs": object{"x": nil}, "nodes": []any{object{"id": "n", "set": "${inputs.x}"}}, "output": "${[inputs.x, inputs.x]}"}}, "inputs": object{"x": "${" + e() + "}"}},
		}
		for i := range places {
			node := places[i].(object)
			node["id"], node["on_error"] = fmt.Sprintf("n%d", i), "continue"
		}
		m.Shuffle(len(places), func(i, k int) { places[i], places[k] = places[k], places[i] })
		p.source = m.plan(places[:1+m.IntN(4)]...)
		if m.chance(30) {
			p.source.(object)["output"] = "${" + e() + "}"
		}
	}},
	{"pattern", 4, func(m *maker, p *hostilePlan) {
		text := strings.Repeat(pick(m, "x", "a", "xy"), pick(m, 10, 1000, 100_000))
		p.source = m.plan(pick(m,
			object{"id": "a", "set": "${inputs.t.matches('" + m.pattern() + "')}"},
			object{"id": "a", "set": "${lists.range(1000).map(i, inputs.t.matches('" + m.pattern() + "'))}"},
			object{"id": "a", "capability": "liar.pattern", "inputs": object{"msg": "${inputs.t}"}},
			object{"id": "a", "capability": "liar.pattern", "inputs": object{"msg": text}},
			object{"id": "a", "capability": "liar.pattern", "for_each": "${lists.range(100)}", "inputs": object{text[:min(len(text), 1000)]: "${inputs.t}"}},
		))
		p.source.(object)["inputs"] = object{"t": text}
	}},
	{"many nodes", 6, func(m *maker, p *hostilePlan) {
		n := pick(m, 10, 100, 999, 1000, 1001, 3000)
		e := pick(m, m.expression, m.growth, m.loops, func() string { return "inputs" }, func() string { return "1" })()
		if !m.chance(10) {
			n = min(n, 1000, 100_000/len(e))
		}
		nodes := make([]any, n)
		for i := range nodes {
			node := object{"id": fmt.Sprintf("n%d", i), "set": "${" + e + "}"}
			var before []string
			for j := max(0, i-pick(m, 0, 1, 1, 60)); j < i; j++ {
				before = append(before, fmt.Sprintf("n%d", j))
			}
			if len(before) > 0 {
				node["depends_on"] = before
			}
			nodes[i] = node
		}
		p.source = object{"plan": "v1", "inputs": m.inputs(), "nodes": nodes, "max_parallel": pick(m, 1, 32, 1000)}
	}},
	{"large values, copied", 6, func(m *maker, p *hostilePlan) {
		nodes := []any{object{"id": "a", "set": object{"v": "${inputs}"}}}
		for i := range pick(m, 1, 20, 300) {
			last := nodes[i].(object)["id"]
			nodes = append(nodes, object{"id": fmt.Sprintf("n%d", i), "set": pick(m,
				fmt.Sprintf("${nodes.%s.output}", last), fmt.Sprintf("${nodes.%s.output} ${nodes.%s.output}", last, last),
				fmt.Sprintf("${[nodes.%s.output, nodes.%s.output]}", last, last), "${nodes.a.output}", "${inputs.s + inputs.s}",
			)})
		}
		if m.chance(50) {
			nodes = append(nodes, object{"id": "z", "for_each": fmt.Sprintf("${lists.range(%d)}", m.many()), "max_parallel": pick(m, 1, 32, 1000), "set": "${inputs.s}"})
		}
		p.source = object{"plan": "v1", "inputs": m.inputs(), "nodes": nodes}
	}},
	{"answers of a bad realm", 6, func(m *maker, p *hostilePlan) {
		node := object{
			"id": "a", "capability": "liar." + pick(m, "huge", "deep", "numbers", "bytes", "no_result", "garbage", "misaddress", "storm", "twice", "echo"),
			"inputs": object{"msg": fmt.Sprint(pick(m, 10, 1000, 100_000, 1<<20, 12<<20))}, "timeout": "1s", "on_error": pick(m, "fail", "continue", "compensate"),
		}
		if m.chance(50) {
			node["for_each"], node["max_parallel"] = fmt.Sprintf("${lists.range(%d)}", pick(m, 2, 20, 200)), pick(m, 1, 32, 1000)
		}
		p.source = m.plan(node, object{"id": "b", "set": "${" + pick(m, "nodes.a.output", "string(nodes.a.output)", "[nodes.a.output, nodes.a.output]", "nodes.a.text + nodes.a.text", "size(nodes.a.output)") + "}"})
	}},
	{"numbers and times", 5, func(m *maker, p *hostilePlan) {
		most := pick(m, 15, 15, 15, 100) // percent of the fields
		field := func(name, ordinary string, hostile func() string) string {
			if m.chance(most) {
				ordinary = hostile()
			}
			return fmt.Sprintf("%q:%s,", name, ordinary)
		}
		p.source = `{"plan":"v1","inputs":{"x":1},` + field("timeout", `"10s"`, m.time) + field("queue_timeout", `"1h"`, m.time) + field("priority", "3", m.figure) + field("max_parallel", "4", m.figure) +
			`"nodes":[{` + field("for_each", "[1,2]", m.figure) + field("max_items", "10", m.figure) + field("min_success", "1", m.figure) + field("max_parallel", "2", m.figure) + field("timeout", `"1s"`, m.time) + field("total_timeout", `"2s"`, m.time) +
			`"retry":{` + field("max_attempts", "2", m.figure) + field("initial_interval", `"1ms"`, m.time) + field("backoff_coefficient", "2", m.figure) + field("jitter", "0.1", m.figure) + `"max_elapsed":"1s"},` +
			`"id":"a","capability":"shop.echo","inputs":{` + field("msg", `"x"`, m.figure) + `"msg2":1}},{` + field("wait", `"1ms"`, m.time) + `"id":"b"},{` + field("set", "1", m.figure) + `"id":"c"}],` + field("output", "1", m.figure) + `"name":"x"}`
	}},
	{"failures that cost", 4, func(m *maker, p *hostilePlan) {
		nodes := make([]any, pick(m, 1, 30, 300))
		for i := range nodes {
			nodes[i] = object{
				"id": fmt.Sprintf("n%d", i), "capability": pick(m, "shop.echo", "shop.reserve", "shop.get_order", "liar.garbage", "liar.no_result"), "inputs": object{"id": "Z", "msg": "x", "sku": "x", "qty": 1, "key": "k"},
				"timeout": "1s", "retry": object{"max_attempts": pick(m, 1, 10, 100), "initial_interval": pick(m, "1ms", "10ms"), "max_interval": "20ms"}, "on_error": pick(m, "continue", "compensate", "suspend"),
				"compensate": object{"capability": pick(m, "shop.echo", "liar.garbage"), "inputs": object{"msg": "${string(size([nodes.n" + fmt.Sprint(i) + ".output]))}"}},
				"fallback":   []any{object{"capability": "liar.no_result"}, object{"value": "${" + m.loops() + "}"}},
			}
		}
		p.source = m.plan(nodes...)
	}},
	{"rounds", 10, func(m *maker, p *hostilePlan) { p.source = m.repeats() }},
	{"forms and choices", 2, func(m *maker, p *hostilePlan) { p.source = m.asks() }},
	{"depth", 5, func(m *maker, p *hostilePlan) {
		n := pick(m, 60, 64, 100, 1000, 9000, 9990, 10_000, 50_000)
		open, shut := pick(m, "[", `{"a":`), ""
		shut = map[string]string{"[": "]", `{"a":`: "}"}[open]
		deep := strings.Repeat(open, n) + "1" + strings.Repeat(shut, n)
		p.source = pick(m,
			`{"plan":"v1","nodes":[{"id":"a","set":`+deep+`}]}`, `{"plan":"v1","inputs":{"x":`+deep+`},"nodes":[{"id":"a","set":"${inputs.x}"}]}`, deep,
			"plan: v1\nnodes: [{id: a, set: "+deep+"}]\n", "plan: v1\nnodes: [{id: a, set: \"${"+strings.Repeat("(", n)+"1"+strings.Repeat(")", n)+"}\"}]\n",
			`{"plan":"v1","nodes":[{"id":"a","set":"${`+strings.Repeat("[", min(n, 2000))+strings.Repeat("]", min(n, 2000))+`}"}]}`,
		)
	}},
	{"YAML merges", 8, func(m *maker, p *hostilePlan) { p.source = m.merges() }},
	{"YAML forms", 6, func(m *maker, p *hostilePlan) { p.source = m.forms() }},
	{"names", 4, func(m *maker, p *hostilePlan) {
		most := pick(m, 10, 10, 100) // percent of the names
		name := func(ordinary string) string {
			if !m.chance(most) {
				return ordinary
			}
			return pick(m, "__proto__", "constructor", "a", "a.b", "", strings.Repeat("n", 64), strings.Repeat("x", 10_000), "${inputs}", "\u202Eabc", "a\u200b", "\x00", "\x1b[8m", "id", "then", "nodes/~1", "#", "..", "%2e", "\ufeff")
		}
		node := object{"id": name("b"), "capability": name("shop") + "." + name("echo"), "depends_on": []any{name("c")}, "inputs": object{name("msg"): name("x")}, name("description"): "x"}
		nodes := []any{node, object{"id": name("c"), "set": object{name("k"): "${inputs." + name("y") + "}"}}, object{"id": name("d"), "set": "${nodes.c.output." + name("k") + "}"}}
		if m.chance(30) {
			for i := range pick(m, 100, 900) {
				nodes = append(nodes, object{"id": fmt.Sprint("n", i), name("x") + fmt.Sprint(i): 1, "capability": fmt.Sprint("shop.ech", i)})
			}
		}
		p.source = object{"plan": "v1", "name": name("n"), "description": name("d"), "idempotency_key": name("k") + fmt.Sprint(p.number), "inputs": object{name("y"): 1}, "nodes": nodes}
	}},
	{"bytes", 5, func(m *maker, p *hostilePlan) {
		bad := pick(m, "\xff\xfe", "\xc0\x80", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", `\ud800`, `\udc00\ud800`, `\u0000`, "\x7f", "\u2028", `\u202e`, "\U000e0041", "\xf4\x90\x80\x80", "\xe2\x82")
		where := pick(m, `{"plan":"v1","name":"%s","nodes":[{"id":"a","set":1}]}`, `{"plan":"v1","nodes":[{"id":"a","set":"x%sx"}]}`, `{"plan":"v1","nodes":[{"id":"a","set":{"k%s":1}}]}`,
			`{"plan":"v1","nodes":[{"id":"a","capability":"shop.echo","inputs":{"msg":"%s"}}]}`, `{"plan":"v1","nodes":[{"id":"a","review":{"question":"pay %s?","expires":"1s"}}]}`, `{"plan":"v1","%s":1,"nodes":[]}`,
			`{"plan":"v1","nodes":[{"id":"a","wait_for":{"event":"%s","timeout":"100ms"}}]}`, `{"plan":"v1","nodes":[{"id":"a","set":"${'%s'.reverse()}"}]}`)
		p.line = `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"execute_plan","arguments":{"wait_seconds":2,"execution_plan":` + strings.ReplaceAll(fmt.Sprintf(where, bad), "%", "%%") + `}}}`
	}},
	{"lines", 4, func(m *maker, p *hostilePlan) {
		n := pick(m, 100, 9000, 10_001, 200_000)
		plan := pick(m, strings.Repeat("[", n)+strings.Repeat("]", n), strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n), `1e999999`, `1`+strings.Repeat("0", n), `"`+strings.Repeat("x", n*20)+`"`,
			`{"plan":"v1","plan":"v1","nodes":[],"nodes":[{"id":"a","set":1e400}]}`, `{"plan":"v1","nodes":[{"id":"a","set":0.`+strings.Repeat("1", n)+`}]}`, "null", "true", `[{"id":"a","set":-0}]`)
		p.line = `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"` + pick(m, "execute_plan", "validate_plan", "create_workflow") + `","arguments":{"name":"x","definition":` + plan + `,"execution_plan":` + plan + `}}}`
	}},
	{"text with errors", 6, func(m *maker, p *hostilePlan) {
		text, _ := json.Marshal(m.plan(m.each(m.leaf()), object{"id": "b", "set": "${" + m.expression() + "}"})) // made of values that have a form
		if m.chance(50) {
			text = []byte(m.merges() + m.forms())
		}
		for range 1 + m.IntN(20) {
			at := m.IntN(len(text))
			switch m.IntN(4) {
			case 0:
				text[at] = pick(m, byte('{'), '}', '[', ']', '"', ':', ',', '\n', '\t', '&', '*', '!', '|', '$', ' ', '#', '-', '~')
			case 1:
				text = append(text[:at], text[min(len(text), at+m.IntN(30)):]...)
			case 2:
				part := string(text[at:min(len(text), at+m.IntN(200))])
				text = append(text[:at], strings.Repeat(part, m.IntN(6))+string(text[at:])...)
			default:
				text = text[:max(1, at)]
			}
			if len(text) == 0 {
				text = []byte("x")
			}
		}
		p.source = string(text)
	}},
}

// makePlan is plan number n of a seed.
func makePlan(seed uint64, n int) *hostilePlan {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, uint64(n))), room: 100_000}
	total := 0
	for _, k := range hostileKinds {
		total += k.weight
	}
	at := m.IntN(total)
	for _, k := range hostileKinds {
		if at -= k.weight; at < 0 {
			p := &hostilePlan{number: n, kind: k.name}
			k.make(m, p)
			m.mutate(p)
			return p
		}
	}
	panic("the weights add up")
}

// plan is a plan of some nodes with inputs.
func (m *maker) plan(nodes ...any) object {
	return object{"plan": "v1", "inputs": m.inputs(), "nodes": nodes}
}

// each is a node that does something for each of a list.
func (m *maker) each(what object) object {
	n := object{"id": "a"}
	for k, v := range what {
		n[k] = v
	}
	n["for_each"] = pick[any](m, fmt.Sprintf("${lists.range(%d)}", m.many()), "${lists.range(10000)}", "${lists.range(10000)}", "${inputs.l}", []int{1, 2, 3})
	n["max_parallel"] = pick(m, 1, 32, 1000, 1000)
	return n
}

// leaf is what an innermost node does.
func (m *maker) leaf() object {
	return pick(m, object{"set": 1}, object{"set": "${inputs}"}, object{"set": "${" + m.expression() + "}"}, object{"set": "${" + m.growth() + "}"},
		object{"capability": "shop.echo", "inputs": object{"msg": "x"}}, object{"capability": "shop.echo", "inputs": object{"msg": "${inputs.s}"}},
		object{"workflow": object{"definition": m.plan(object{"id": "w", "wait": pick(m, "1s", "1h")})}},
	)
}

// computes is a plan that evaluates an expression, in one of several ways.
func (m *maker) computes(of func() string) object {
	node := object{"id": "a", "set": "${" + of() + "}"}
	switch m.IntN(8) {
	case 0:
		node["set"] = object{"x": []any{node["set"], "${" + of() + "} and ${" + of() + "}"}}
	case 1:
		node["for_each"] = fmt.Sprintf("${lists.range(%d)}", m.many())
	case 2:
		node = object{"id": "a", "when": "${size([" + of() + "]) == 1}", "set": 1}
	case 3:
		node = object{"id": "a", "for_each": "${[" + of() + "]}", "set": "${item}"}
	}
	return m.plan(node)
}

// mutate hides a plan: after a wait, so that it is durable when it does harm, or as a text.
func (m *maker) mutate(p *hostilePlan) {
	plan, ok := p.source.(object)
	if !ok {
		return
	}
	nodes, _ := plan["nodes"].([]any)
	if m.chance(30) {
		for _, n := range nodes {
			if n, ok := n.(object); ok && n["depends_on"] == nil {
				n["depends_on"] = []any{"first"}
			}
		}
		plan["nodes"] = append([]any{object{"id": "first", "wait": pick(m, "10ms", "300ms", "1100ms")}}, nodes...)
		p.mutation += " after a wait"
	}
	if m.chance(15) {
		plan["timeout"] = pick(m, "1s", "100ms", "1ms")
		p.mutation += " with a timeout"
	}
	if m.chance(20) {
		text, _ := json.Marshal(plan) // made of values that have a form
		p.source = string(text)
		p.mutation += " as a text"
	}
}
