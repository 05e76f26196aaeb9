//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maker makes hostile plans. All choices come from its random numbers, so that a seed and a number repeat a plan.
type maker struct {
	*rand.Rand
	bound int // variables of expressions so far
	room  int // bytes that inputs may still have
}

func pick[T any](m *maker, all ...T) T { return all[m.IntN(len(all))] }

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

// many is a length or a count: small, or as large as something allows, or just beyond.
func (m *maker) many() int {
	return pick(m, 0, 1, 2, 3, 10, 100, 1000, 9999, 10_000, 10_000, 10_001, 1_000_000)
}

// inputs are what the expressions of hostile plans read: a text and a list.
func (m *maker) inputs() object {
	texts := []string{"x", "ab", "a,", "<&>", "ü", "\U0001F600", "\\\"", "\n", "%s%s", "0"}
	text := strings.Repeat(pick(m, texts...), pick(m, 1, 10, 1000, 20_000, 60_000))
	text = strings.ToValidUTF8(text[:min(len(text), m.room)], "")
	m.room -= len(text)
	list := make([]any, min(pick(m, 0, 1, 10, 1000, 5000), m.room/20))
	m.room -= 20 * len(list)
	for i := range list {
		list[i] = pick(m, any(i), any("item"), any(1.5), any(nil), any([]int{i}), any(object{"k": i}))
	}
	return object{"s": text, "l": list}
}

// expression is the inside of one ${…} of any type.
func (m *maker) expression() string {
	for {
		if e := m.any(nil, 1+m.IntN(6)); len(e) < 3500 {
			return e
		}
	}
}

// variable binds a new name for an expression that may read it.
func (m *maker) variable(read []string) (name string, now []string) {
	m.bound++
	name = fmt.Sprintf("v%d", m.bound)
	return name, append(read[:len(read):len(read)], name)
}

func (m *maker) any(read []string, depth int) string {
	if len(read) > 0 && m.chance(25) {
		return pick(m, read...)
	}
	if depth > 0 && m.chance(30) {
		name, now := m.variable(read)
		return fmt.Sprintf("cel.bind(%s, %s, %s)", name, m.any(read, depth-1), m.any(now, depth-1))
	}
	if depth > 0 && m.chance(8) {
		return m.folded(read, depth)
	}
	return pick(m, m.text, m.list, m.list, m.object, m.number, m.truth)(read, depth-1)
}

// folded is what a function makes of a whole list, or of several values.
func (m *maker) folded(read []string, depth int) string {
	l := m.list(read, depth-1)
	acc, now := m.variable(read)
	item, now := m.variable(now)
	switch m.IntN(4) {
	case 0:
		return fmt.Sprintf("(%s).reduce(%s, %s, %s, %s)", l, acc, item, m.any(read, depth-1), m.any(now, depth-1))
	case 1:
		return fmt.Sprintf("(%s).reduce(%s, %s, %s, %s)", l, acc, item, pick(m, "[1]", "inputs.s", "inputs.l", "{'a': 1}"), strings.ReplaceAll(pick(m, "[A, A]", "A + A", "{'a': A, 'b': A}", "A + ["+item+"]"), "A", acc))
	case 2:
		return "coalesce(null, " + m.any(read, depth-1) + ", " + m.any(read, depth-1) + ")"
	default:
		return "optional.none().orValue(" + m.any(read, depth-1) + ")"
	}
}

// times repeats a short operand: a+a+a.
func (m *maker) times(operand string) string {
	return strings.TrimSuffix(strings.Repeat(operand+"+", max(1, min(16, 400/(1+len(operand))))), "+")
}

func (m *maker) text(read []string, depth int) string {
	if depth <= 0 {
		return pick(m, "inputs.s", "inputs.s", "'x'", "''", `'\u0000'`, "execution.id", "string(1.5)")
	}
	s, t := m.text(read, depth-1), m.text(read, depth-1)
	switch m.IntN(24) {
	case 0:
		return m.times("(" + s + ")")
	case 1:
		return "(" + s + ").reverse()"
	case 2:
		return "(" + s + ")." + pick(m, "upperAscii", "lowerAscii", "trim") + "()"
	case 3:
		return "(" + s + ").replace(" + pick(m, "''", "'x'", t) + ", " + t + ")"
	case 4:
		return "(" + m.list(read, depth-1) + ").map(j, string(j)).join(" + t + ")"
	case 5:
		return "'" + strings.Repeat(pick(m, "%s", "%d", "%x", "%.50f"), 1+m.IntN(20)) + "'.format([" + strings.TrimSuffix(strings.Repeat(m.any(read, depth-1)+", ", 1), ", ") + "])"
	case 6:
		return "base64.encode(bytes(" + s + "))"
	case 7:
		return "strings.quote(" + s + ")"
	case 8:
		return fmt.Sprintf("(%s).substring(%d)", s, m.IntN(3))
	case 9:
		return "string(" + m.any(read, depth-1) + ")"
	case 10:
		return "string(base64.decode(" + s + "))"
	case 11:
		return fmt.Sprintf("(%s).charAt(%d)", s, m.IntN(3))
	case 12:
		return "(" + m.truth(read, depth-1) + " ? " + s + " : " + t + ")"
	case 13:
		return pick(m, "url.encode", "url.decode", "strings.upper", "strings.lower") + "(" + s + ")"
	case 14:
		return "regex.replace(" + s + ", '" + pick(m, "", "x", "x*", m.pattern()) + "', " + pick(m, t, `'\\0\\0\\0'`, `r'\1\1'`) + ")"
	case 15:
		return "string(regex.extract(" + s + ", '" + m.pattern() + "'))"
	case 16:
		return "timestamp('2030-01-01T00:00:00Z').format(" + s + ")"
	case 17:
		acc, now := m.variable(read)
		return fmt.Sprintf("(%s).reduce(%s, x, %s, %s)", m.list(read, depth-1), acc, s, m.text(now, depth-1))
	default:
		return "(" + s + " + " + t + ")"
	}
}

func (m *maker) list(read []string, depth int) string {
	if depth <= 0 {
		return pick(m, "inputs.l", "[]", "[1, 2.0, 'x', null]", "lists.range(10000)", "lists.range(10000)", fmt.Sprintf("lists.range(%d)", m.many()))
	}
	l := m.list(read, depth-1)
	name, now := m.variable(read)
	switch m.IntN(24) {
	case 0, 1, 2:
		return fmt.Sprintf("(%s).map(%s, %s)", l, name, m.any(now, depth-1))
	case 3:
		return fmt.Sprintf("(%s).filter(%s, %s)", l, name, m.truth(now, depth-1))
	case 4:
		return fmt.Sprintf("(%s).transformList(i, %s, %s)", l, name, m.any(now, depth-1))
	case 5:
		return fmt.Sprintf("(%s).sortBy(%s, %s)", l, name, m.number(now, depth-1))
	case 6:
		return fmt.Sprintf("(%s).map(%s, %s, %s)", l, name, m.truth(now, depth-1), m.any(now, depth-1))
	case 7:
		return "(" + m.text(read, depth-1) + ").split(" + pick(m, "''", "','", "'x'") + ")"
	case 8:
		return "(" + l + ")." + pick(m, "flatten", "distinct", "sort", "reverse") + "()"
	case 9:
		return fmt.Sprintf("(%s).slice(0, %d)", l, m.many())
	case 10:
		return "[" + strings.TrimSuffix(strings.Repeat(l+", ", max(1, min(8, 300/len(l)))), ", ") + "]"
	case 11:
		return m.times("(" + l + ")")
	case 12:
		return fmt.Sprintf("(%s).map(%s, %s)", l, name, l)
	case 13:
		return "regex.extractAll(" + m.text(read, depth-1) + ", '" + pick(m, "", "x", m.pattern()) + "')"
	case 14:
		return "csv.decode(" + m.text(read, depth-1) + pick(m, "", " + '\\n' + "+m.text(read, depth-1)) + ")"
	case 15:
		return fmt.Sprintf("(%s).uniqueBy(%s, %s)", l, name, m.any(now, depth-1))
	case 16:
		return fmt.Sprintf("(%s).reduce(%s, x, %s, %s + %s)", l, name, m.list(read, depth-1), name, m.list(now, depth-1))
	default:
		return "(" + l + " + " + m.list(read, depth-1) + ")"
	}
}

func (m *maker) object(read []string, depth int) string {
	if depth <= 0 {
		return pick(m, "inputs", "{}", "{'a': inputs.s}", "execution")
	}
	l := m.list(read, depth-1)
	name, now := m.variable(read)
	switch m.IntN(10) {
	case 0:
		return fmt.Sprintf("(%s).transformMap(i, %s, %s)", l, name, m.any(now, depth-1))
	case 1:
		return fmt.Sprintf("(%s).transformMapEntry(i, %s, {string(i): %s})", l, name, m.any(now, depth-1))
	case 2:
		return fmt.Sprintf("(%s).transformMap(k, %s, %s)", m.object(read, depth-1), name, m.any(now, depth-1))
	case 3:
		return fmt.Sprintf("(%s).groupBy(%s, string(%s))", l, name, m.any(now, depth-1))
	case 4:
		return fmt.Sprintf("(%s).toMap(%s, string(%s), %s)", l, name, name, m.any(now, depth-1))
	case 5:
		return fmt.Sprintf("(%s).merge(%s)", m.object(read, depth-1), m.object(read, depth-1))
	case 6:
		return fmt.Sprintf("(%s).reduce(%s, x, {}, %s.merge({string(x): %s}))", l, name, name, m.any(now, depth-1))
	default:
		return fmt.Sprintf("{'a': %s, 'b': %s}", m.any(read, depth-1), m.any(read, depth-1))
	}
}

func (m *maker) number(read []string, depth int) string {
	if depth <= 0 {
		return pick(m, "0", "1", "-1", "9223372036854775807", "1.7976931348623157e308", "0.1", "size(inputs.s)")
	}
	switch m.IntN(10) {
	case 4:
		return "(" + m.list(read, depth-1) + ")." + pick(m, "sum", "avg") + "()"
	case 5:
		return fmt.Sprintf("(%s).reduce(t, x, 0, t + size([x]))", m.list(read, depth-1))
	case 0:
		return "(" + m.text(read, depth-1) + ")." + pick(m, "indexOf", "lastIndexOf") + "(" + m.text(read, depth-1) + ")"
	case 1:
		return pick(m, "math.greatest", "math.least") + "(" + m.list(read, depth-1) + ")"
	case 2:
		return "(" + m.number(read, depth-1) + pick(m, " + ", " * ", " / ", " % ", " - ") + m.number(read, depth-1) + ")"
	case 3:
		return pick(m, "int", "double", "uint") + "(" + m.text(read, depth-1) + ")"
	default:
		return "size(" + pick(m, m.text, m.list, m.object)(read, depth-1) + ")"
	}
}

func (m *maker) truth(read []string, depth int) string {
	if depth <= 0 {
		return pick(m, "true", "inputs.s == 'x'", "1 in inputs.l")
	}
	l := m.list(read, depth-1)
	name, now := m.variable(read)
	switch m.IntN(8) {
	case 0:
		return fmt.Sprintf("(%s).matches('%s')", m.text(read, depth-1), m.pattern())
	case 1:
		return fmt.Sprintf("(%s).%s(%s, %s)", l, pick(m, "all", "exists", "exists_one", "existsOne"), name, m.truth(now, depth-1))
	case 2:
		return pick(m, "sets.contains", "sets.equivalent", "sets.intersects") + "(" + l + ", " + m.list(read, depth-1) + ")"
	case 3:
		return "(" + m.any(read, depth-1) + " == " + m.any(read, depth-1) + ")"
	case 4:
		return "(" + m.text(read, depth-1) + ")." + pick(m, "contains", "startsWith", "endsWith") + "(" + m.text(read, depth-1) + ")"
	case 5:
		return "(" + m.any(read, depth-1) + " in " + l + ")"
	default:
		return "(" + m.truth(read, depth-1) + pick(m, " && ", " || ") + m.truth(read, depth-1) + ")"
	}
}

// pattern is a regular expression that is expensive or large.
func (m *maker) pattern() string {
	n := pick(m, 10, 100, 400, 1000)
	return pick(m,
		fmt.Sprintf("(x?){%d}(x?){%d}y", n, n), fmt.Sprintf("(x+x+)+y{%d}", n), fmt.Sprintf("((a{%d}){%d}){%d}", n, n, n), fmt.Sprintf("(.*)(.*)(.*)[^x]{%d}$", n),
		"("+strings.Repeat("(", n)+"x"+strings.Repeat(")", n)+")*", strings.Repeat("x*", n)+"$", "[[:alpha:]]*[^\\\\x00-\\\\x{10FFFF}]", "(?i)"+strings.Repeat("[a-zA-Zα-ω]?", n), "(", "^$",
	)
}

// growth is an expression that multiplies a text or a list in every step, through functions that make something new of it.
func (m *maker) growth() string {
	grow := func(v string) string {
		wide := strings.TrimSuffix(strings.Repeat(v+"+", pick(m, 2, 10, 16)), "+")
		return pick(m, wide, wide, "("+wide+").reverse()", "("+wide+").replace('', "+v+")", "base64.encode(bytes("+wide+"))", "strings.quote("+wide+")",
			"'%s%s%s%s'.format(["+v+", "+v+", "+v+", "+v+"])", "["+v+", "+v+", "+v+"].join("+v+")", "("+wide+").split('').join('ab')", "string([1].map(i, "+wide+")[0])",
			"url.encode("+wide+")", "regex.replace("+wide+", 'x?', "+v+")", "strings.upper("+wide+")", "coalesce(null, "+wide+")", "[1, 2, 3, 4].reduce(a, i, "+v+", a + a)")
	}
	e := "inputs.s"
	steps := 1 + m.IntN(6)
	var b strings.Builder
	last := e
	for range steps {
		name, _ := m.variable(nil)
		fmt.Fprintf(&b, "cel.bind(%s, %s, ", name, grow(last))
		last = name
	}
	many := fmt.Sprintf("lists.range(%d)", pick(m, 1, 100, 10_000, 10_000))
	each := pick(m, last, last+".reverse()", last+" + string(i)", last+".upperAscii()", last+".replace('x', 'yy')", "base64.encode(bytes("+last+"))", last+".split('')", "["+last+", "+last+"]", "'%s'.format(["+last+"])", last+".lowerAscii().trim()")
	b.WriteString(pick(m, "size("+last+")", last, many+".map(i, "+each+").size()", many+".map(i, "+each+")", many+".exists(i, "+each+" == 'no')", many+".transformMap(k, i, "+each+").size()",
		many+".map(i, "+each+").map(i, "+last+").flatten().size()", many+".sortBy(i, size("+each+")).size()",
		many+".groupBy(i, "+each+").size()", many+".toMap(i, string(i), "+each+").size()", many+".uniqueBy(i, "+each+")", many+".reduce(a, i, [], a + ["+each+"]).size()",
		many+".reduce(a, i, {}, a.merge({string(i): "+each+"}))", many+".map(i, regex.extractAll("+last+", 'x'))", "csv.decode("+last+")"))
	return b.String() + strings.Repeat(")", steps)
}

// loops is an expression of comprehensions inside comprehensions.
func (m *maker) loops() string {
	e := pick(m, "1", "i", "inputs.s.reverse()", "inputs.l", "inputs.s.matches('"+m.pattern()+"')", "inputs.l.map(x, string(x))")
	for range 1 + m.IntN(5) {
		l := pick(m, "lists.range(10000)", "lists.range(10000)", fmt.Sprintf("lists.range(%d)", m.many()), "inputs.l")
		f := pick(m, "map(i, %s)", "transformMap(k, i, %s)", "transformMapEntry(k, i, {string(k): %s})", "transformList(k, i, %s)", "filter(i, dyn(%s) == 1)", "all(i, dyn(%s) == 1)", "exists(i, dyn(%s) == 0)", "exists_one(i, dyn(%s) == 7)", "sortBy(i, size([%s]))",
			"groupBy(i, string(%s))", "uniqueBy(i, %s)", "toMap(i, string(i), %s)", "reduce(a, i, [], a + [%s])", "reduce(a, i, 0, size([a, %s]))", "reduce(a, i, [%s], [a, a])")
		e = l + "." + fmt.Sprintf(f, e)
		if m.chance(60) {
			e = "size([" + e + "])"
		}
	}
	return e
}
