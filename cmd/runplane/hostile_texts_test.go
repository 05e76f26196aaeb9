//go:build linux

package main

import (
	"fmt"
	"strings"
)

// figure is a text of JSON where a number is expected.
func (m *maker) figure() string {
	return pick(m, "0", "1", "-1", "3", "1000", "10001", "2147483648", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551616", "-0", "-0.0", "0.1", "1e3", "1e308", "1e309", "1e999999",
		"-1e999999", "1e-999999", "0."+strings.Repeat("3", 5000), "1"+strings.Repeat("0", 5000), "null", "true", `"1"`, `"NaN"`, `"Infinity"`, `"1e400"`, "[]", "{}", `"${1}"`, `"${9223372036854775807 + 1}"`, `"${1.0 / 0.0}"`, `"${double('NaN')}"`)
}

// time is a text of JSON where a duration or a time is expected.
func (m *maker) time() string {
	return pick(m, `"1s"`, `"0s"`, `"-1s"`, `"1ns"`, `"999999999999h"`, `"9223372036854775807ns"`, `"1e400s"`, `"1e9d"`, `"PT99999999999S"`, `"P1Y"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"2026-02-30T00:00:00Z"`,
		`"-9223372036854775808ns"`, `"`+strings.Repeat("1h", 2000)+`"`, `"${inputs.x}"`, `"${duration('1h')}"`, m.figure())
}

// merges is a YAML text of few bytes that stands for many values: each level names the one before several times.
func (m *maker) merges() string {
	var b strings.Builder
	levels, wide := pick(m, 3, 6, 10, 26), pick(m, 2, 9, 10, 30)
	within := m.chance(60)
	if within { // the levels are inputs, so that the plan is valid without them
		b.WriteString("inputs:\n  ")
	}
	b.WriteString("x: &l0 " + pick(m, "{x: 1}", "[1, 2]", "lol", "{a: {b: {c: d}}}") + "\n")
	for i := 1; i <= levels; i++ {
		last := fmt.Sprintf("*l%d", i-1)
		all := strings.TrimSuffix(strings.Repeat(last+", ", wide), ", ")
		if within {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "y%d: &l%d %s\n", i, i, pick(m, "{<<: ["+all+"]}", "{<<: ["+all+"]}", "["+all+"]", "{<<: "+last+", a: "+last+", b: "+last+"}", "{<<: [{<<: ["+all+"]}, "+last+"], k"+fmt.Sprint(i)+": 1}", "{? "+last+" : 1}"))
	}
	end := fmt.Sprintf("*l%d", levels)
	b.WriteString(pick(m, "nodes: []\n", "nodes: [{id: a, set: "+end+"}]\n", "nodes: [{id: a, set: \"${inputs}\"}]\n", "nodes: [{id: a, set: "+end+"}]\n", "<<: "+end+"\nnodes: [{id: a, set: 1}]\n", "nodes: "+end+"\n"))
	if m.chance(50) {
		b.WriteString("plan: v1\n")
	}
	return b.String()
}

// forms is a YAML text of unusual forms.
func (m *maker) forms() string {
	n := pick(m, 10, 1000, 20_000)
	part := func() string {
		return pick(m,
			"inputs: !!binary "+strings.Repeat("QUFB", n)+"\n", "inputs: !!float .inf\n", "inputs: {a: .nan, b: -.inf, c: 0x7fffffffffffffff, d: 0o777, e: 1_000, f: 1e999999}\n",
			"inputs: {a: !!int 99999999999999999999999999, b: !!python/object/apply:os.system [ls]}\n", "? {a: [1, {b: c}]}\n: x\n", "? "+strings.Repeat("[", min(n, 2000))+strings.Repeat("]", min(n, 2000))+"\n: y\n",
			"description: >-\n"+strings.Repeat("  x\n", n), "description: |9\n         x\n", "description: \""+strings.Repeat("\\\n   ", n)+"\"\n", "%YAML 9.9\n---\n", "--- \n...\n--- a\n", "---\n"+strings.Repeat("- ", min(n, 5000))+"x\n",
			strings.Repeat("  ", n)+"a: b\n", "inputs:\n"+strings.Repeat("\t", n)+"a: b\n", strings.Repeat("#", n)+"\n", "inputs: {"+strings.Repeat("a, ", n)+"}\n", "inputs: {"+strings.Repeat("? ", n)+"}\n",
			"inputs: {a: &a [*a]}\n", "inputs: &a {b: *a}\n", "inputs: *nothing\n", strings.Repeat("&a ", n)+"x: 1\n", strings.Repeat("!", n)+" x: 1\n", "\ufeff", "\x00\n", "inputs: {a: \"\\ud800\", b: \"\\x00\", c: '\u202e'}\n",
			"inputs: {<<: {<<: {<<: {a: 1}}}}\n", "inputs: {<<: 1}\n", "inputs: {<<: [[{a: 1}]]}\n", "inputs: {a: 2001-12-14t21:59:43.10-05:00, b: yes, c: ~, d: =}\n", "inputs: {"+strings.Repeat("k: {", min(n, 3000))+strings.Repeat("}", min(n, 3000))+"}\n",
			"nodes: [{id: a, set: "+strings.Repeat("'", n)+"}]\n", "nodes:\n"+strings.Repeat("  - {id: a, set: 1}\n", min(n, 5000)), "nodes: {"+strings.Repeat("a: {set: 1}, ", min(n, 5000))+"}\n",
		)
	}
	var b strings.Builder
	for range 1 + m.IntN(4) {
		b.WriteString(part())
	}
	if m.chance(70) {
		b.WriteString("plan: v1\n")
	}
	if m.chance(70) {
		b.WriteString("nodes: [{id: a, set: \"${inputs}\"}]\n")
	}
	return b.String()
}
