package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// hostile is how each function of the environment is called with the largest arguments: inputs.s is a text of 1 MB, x a list of 10,000 of
// them, y one of others; m and n are maps of as many, d and e are lists of lists.
var hostile = map[string][]string{
	"!_":                     {"!(inputs.s == x)"},
	"-_":                     {"-(size(x))"},
	"@in":                    {"inputs.t in x", "inputs.s in m", "x in [x, x]", "d in d", "{1: inputs.s} in x", "1 in d", "inputs.t in ['a', 'b']"},
	"@not_strictly_false":    {"x.all(e, e == inputs.t)"},
	"@sortByAssociatedKeys":  {"x.sortBy(e, e)", "d.sortBy(e, inputs.s)", "[m].sortBy(e, 1)"},
	"_!=_":                   {"x != y", "d != e", "m != n", "inputs.s != inputs.t", "inputs.s + 'x' != inputs.s + 'y'"},
	"_==_":                   {"x == y", "d == e", "m == n", "inputs.s == inputs.t", "[[d]] == [[e]]", "{'a': d} == {'a': e}", "optional.of(d) == optional.of(e)"},
	"_%_":                    {"size(x) % 7"},
	"_&&_":                   {"x == y && d == e"},
	"_||_":                   {"x == y || d == e"},
	"_*_":                    {"size(x) * 2.5"},
	"_+_":                    {"x + y", "inputs.s + inputs.t", "bytes(inputs.s) + bytes(inputs.t)", "d + d + d + d", "[x] + [y]"},
	"_-_":                    {"size(x) - 1"},
	"_/_":                    {"size(x) / 2"},
	"_<=_":                   {"inputs.s <= inputs.t"},
	"_<_":                    {"inputs.s < inputs.t", "bytes(inputs.s) < bytes(inputs.t)"},
	"_>=_":                   {"inputs.s >= inputs.t"},
	"_>_":                    {"inputs.s > inputs.t"},
	"_?._":                   {"{'a': x}.?a"},
	"_?_:_":                  {"x == y ? d : e"},
	"_[?_]":                  {"x[?9999]", "m[?inputs.s]"},
	"_[_]":                   {"x[9999]", "m[9999]", "{inputs.s: 1}[inputs.s]"},
	"@key":                   {"{inputs.s: 1}[inputs.s]", "{inputs.s: 1}[?inputs.s]", "{inputs.s: 1}[inputs.s + '']"},
	"_in_":                   {"inputs.t in x"},
	"in":                     {"inputs.t in x"},
	"__not_strictly_false__": {"x.exists(e, e == inputs.t)"},
	"base64.decode":          {"base64.decode(inputs.s)", "base64.decode(base64.encode(bytes(inputs.s)))"},
	"base64.encode":          {"base64.encode(bytes(inputs.s))"},
	"bool":                   {"[1].exists(e, bool(inputs.s))"},
	"bytes":                  {"bytes(inputs.s)", "bytes(bytes(inputs.s))"},
	"cel.@block":             {"x"},
	"cel.@mapInsert": {
		"x.transformMap(k, v, v)", "x.transformMap(k, v, k % 2 == 0, v)", "x.transformMapEntry(k, v, {k: v})", "x.transformMapEntry(k, v, {string(k) + inputs.s: v})",
		"[1, 2].transformMapEntry(k, v, m)",
	},
	"@any":          {"x.slice(0, 9999)", "d.flatten()"},
	"@anyElement":   {"x.first()", "d.last()"},
	"@group":        {"x.groupBy(e, e)", "lists.range(10000).groupBy(i, inputs.s + string(i))", "lists.range(10000).groupBy(i, string(i))", "[m, n].groupBy(e, 1)"},
	"@orValue":      {"m.?a.orValue(x)", "inputs.s.orValue(x == y)"},
	"@toMap":        {"x.toMap(e, e, e)", "lists.range(10000).toMap(i, string(i), x)", "lists.range(10000).toMap(i, i % 2, d)", "lists.range(10000).toMap(i, inputs.s + string(i), 1)"},
	"@unique":       {"x.uniqueBy(e, e)", "x.uniqueBy(e, d)", "lists.range(10000).uniqueBy(i, {'k': inputs.s, 'i': i})", "[m, n].uniqueBy(e, e)"},
	"avg":           {"lists.range(10000).avg()", "lists.range(10000).map(i, i + 0.5).avg()", "x.avg()"},
	"coalesce":      {"coalesce(null, null, x)", "coalesce(m.?a, x == y, d == e)"},
	"csv.decode":    {"csv.decode(inputs.s)", "csv.decode(inputs.v)", "csv.decode(inputs.q)", "csv.decode(inputs.c)", "csv.decode(inputs.v + inputs.v)"},
	"strings.lower": {"strings.lower(inputs.s)", "strings.lower(inputs.u)"},
	"merge":         {"m.merge(n)", "{inputs.s: 1}.merge({inputs.t: 2})", "{'a': d}.merge({'b': x})"},
	"regex.extract": {"regex.extract(inputs.s, '(a?){200}b')", "regex.extract(inputs.s, 'a*(b)')", "x.map(e, regex.extract(e, '(a*)b'))", "regex.extract('a', inputs.s)"},
	"regex.extractAll": {
		"regex.extractAll(inputs.s, 'a')", "regex.extractAll(inputs.s, 'a*?b|a')", "regex.extractAll(inputs.s, '(?:a.*b)|a')", "regex.extractAll(inputs.s, '')",
		"regex.extractAll(inputs.s, '(a?){90}')", "regex.extractAll(inputs.s, inputs.s.substring(0, 100))",
	},
	"regex.replace": {
		"regex.replace(inputs.s, 'a', 'bb')", "regex.replace(inputs.s, '', inputs.s)", "regex.replace(inputs.s, 'a.*b|a', 'c')", "regex.replace(inputs.s, '(a+)', r'\\1\\1\\1\\1\\1\\1\\1')",
	},
	"sum":             {"lists.range(10000).sum()", "x.sum()", "lists.range(10000).map(i, 0.1).sum()"},
	"strings.upper":   {"strings.upper(inputs.s)", "strings.upper(inputs.u)"},
	"url.decode":      {"url.decode(inputs.s)", "url.decode(url.encode(inputs.u))"},
	"url.encode":      {"url.encode(inputs.s)", "url.encode(inputs.u)"},
	"charAt":          {"inputs.s.charAt(999999)"},
	"contains":        {"inputs.s.contains(inputs.t)", "inputs.s.contains('aaaaaaaaaaaaaaaaaaaab')"},
	"distinct":        {"x.distinct()", "d.distinct()", "(x + y).distinct()", "lists.range(10000).map(i, [i]).distinct()", "lists.range(10000).map(i, inputs.s + string(i)).distinct()"},
	"double":          {"[1].exists(e, double(inputs.s) > 1.0)"},
	"duration":        {"[1].exists(e, duration(inputs.s) > duration('1s'))"},
	"dyn":             {"dyn(x)"},
	"endsWith":        {"inputs.s.endsWith(inputs.t)"},
	"first":           {"x.first()", "[m].first()", "[[[m]]].first()"},
	"flatten":         {"d.flatten()", "d.flatten(3)", "[d, d].flatten(9)", "[[[m]]].flatten(2)"},
	"format":          {"'%s'.format([x])", "'%s%s%s'.format([d, m, inputs.s])", "'%.100f'.format([1e308])", "(inputs.s + '%s').format([inputs.s])", "'%s'.format([d])", "t.format('2006-01-02')", "t.format(inputs.s)"},
	"getDate":         {"t.getDate('Europe/Berlin')"},
	"getDayOfMonth":   {"t.getDayOfMonth('Asia/Kathmandu')"},
	"getDayOfWeek":    {"t.getDayOfWeek('America/New_York')"},
	"getDayOfYear":    {"t.getDayOfYear('UTC')"},
	"getFullYear":     {"t.getFullYear('+01:00')"},
	"getHours":        {"t.getHours(inputs.s)"},
	"getMilliseconds": {"t.getMilliseconds('Europe/Berlin')"},
	"getMinutes":      {"t.getMinutes('Europe/Berlin')"},
	"getMonth":        {"t.getMonth('Europe/Berlin')"},
	"getSeconds":      {"t.getSeconds('Europe/Berlin')"},
	"hasAll":          {"x.hasAll(y)", "d.hasAll(e)"},
	"hasAny":          {"x.hasAny(y)", "d.hasAny(e)"},
	"hasExactly":      {"x.hasExactly(y)", "d.hasExactly(e)"},
	"hasOnly":         {"x.hasOnly(y)", "d.hasOnly(e)"},
	"hasValue":        {"optional.of(x).hasValue()"},
	"indexOf":         {"inputs.s.indexOf(inputs.t)", "inputs.s.indexOf(inputs.s.substring(1) + 'y')", "inputs.s.indexOf('aab', 17)"},
	"int":             {"[1].exists(e, int(inputs.s) > 1)"},
	"join":            {"x.join(',')", "x.join(inputs.s)", "lists.range(10000).map(i, '').join(inputs.s)"},
	"json.decode":     {"json.decode('[' + inputs.c + '1]')", "json.decode('\"' + inputs.s + '\"')", "json.decode(inputs.b)"},
	"json.encode":     {"json.encode(x)", "json.encode(d)", "json.encode(m)", "json.encode(inputs.s)"},
	"last":            {"x.last()", "[m].last()"},
	"lastIndexOf":     {"inputs.s.lastIndexOf('b' + inputs.s.substring(1))", "inputs.s.lastIndexOf('baa', 999999)"},
	"lists.range":     {"lists.range(10000)"},
	"lowerAscii":      {"inputs.s.lowerAscii()"},
	"matches": {
		"inputs.s.matches('(a?){200}b')", "inputs.s.matches('(a?){400}(a?){80}b')", "inputs.s.matches('.*a.*a.*b')", "inputs.s.matches('(a?){2' + '00}b')",
		"'a'.matches(inputs.s)", "'a'.matches('(((a{100}){100}){100}' + '){100}')", "x.all(e, e.matches('a*'))", "inputs.s.matches('^(\\\\pL*\\\\pN?)*$')",
	},
	"math.@max":               {"math.greatest(lists.range(10000))"},
	"math.@min":               {"math.least(lists.range(10000))"},
	"math.abs":                {"math.abs(-1)"},
	"math.bitAnd":             {"math.bitAnd(1, 2)"},
	"math.bitNot":             {"math.bitNot(1)"},
	"math.bitOr":              {"math.bitOr(1, 2)"},
	"math.bitShiftLeft":       {"math.bitShiftLeft(1, 60)"},
	"math.bitShiftRight":      {"math.bitShiftRight(1, 60)"},
	"math.bitXor":             {"math.bitXor(1, 2)"},
	"math.ceil":               {"math.ceil(1.5)"},
	"math.floor":              {"math.floor(1.5)"},
	"math.isFinite":           {"math.isFinite(1.5)"},
	"math.isInf":              {"math.isInf(1.5)"},
	"math.isNaN":              {"math.isNaN(1.5)"},
	"math.round":              {"math.round(1.5)"},
	"math.sign":               {"math.sign(1.5)"},
	"math.sqrt":               {"math.sqrt(2.0)"},
	"math.trunc":              {"math.trunc(1.5)"},
	"optional.none":           {"optional.none()"},
	"optional.of":             {"optional.of(x)"},
	"optional.ofNonZeroValue": {"optional.ofNonZeroValue(m)", "optional.ofNonZeroValue(inputs.s)"},
	"optional.unwrap":         {"optional.unwrap(x.map(e, optional.of(e)))"},
	"or":                      {"optional.none().or(optional.of(x))"},
	"orValue":                 {"optional.none().orValue(x)"}, // as @orValue, which it is rewritten to
	"replace":                 {"inputs.s.replace('a', inputs.s)", "inputs.s.replace('', 'xx')", "inputs.s.replace('a', 'b')", "inputs.s.replace('a', 'b', 3)"},
	"reverse":                 {"inputs.s.reverse()", "x.reverse()", "(inputs.s + inputs.t).reverse()", "[m].reverse()"},
	"sets.contains":           {"sets.contains(x, y)", "sets.contains(d, e)", "sets.contains(x, x)"},
	"sets.equivalent":         {"sets.equivalent(x, y)", "sets.equivalent(d, e)"},
	"sets.intersects":         {"sets.intersects(x, y)", "sets.intersects(d, e)"},
	"size":                    {"size(inputs.s)", "size(x)", "size(m)", "inputs.s.size()"},
	"slice":                   {"x.slice(0, 9999)", "(x + y).slice(1, 9999)", "[m].slice(0, 1)"},
	"sort":                    {"x.sort()", "y.sort()", "lists.range(10000).map(i, inputs.s + string(i)).sort()"},
	"split":                   {"inputs.s.split('')", "inputs.s.split('a')", "inputs.s.split('a', 1000000)"},
	"startsWith":              {"inputs.s.startsWith(inputs.t)"},
	"string":                  {"string(inputs.s)", "string(bytes(inputs.s))", "string(1.5)"},
	"strings.quote":           {"strings.quote(inputs.s)"},
	"substring":               {"inputs.s.substring(1)", "inputs.s.substring(1, 999999)"},
	"timestamp":               {"[1].exists(e, timestamp(inputs.s) > t)"},
	"trim":                    {"inputs.w.trim()", "inputs.s.trim()"},
	"type":                    {"type(x)"},
	"uint":                    {"[1].exists(e, uint(inputs.s) > 1u)"},
	"unwrapOpt":               {"x.map(e, optional.of(e)).unwrapOpt()"},
	"upperAscii":              {"inputs.s.upperAscii()"},
	"value":                   {"optional.of(x).value()"},
}

// Macros whose steps call no function of their own, and what has no function at all.
var hostileForms = []string{
	"x.map(e, e)", "x.filter(e, true)", "x.all(e, true)", "x.exists(e, false)", "x.exists_one(e, true)", "x.transformList(i, e, e)", "x.existsOne(i, e, true)",
	"d.map(e, e.map(f, f))", "d.all(e, e.all(f, f.all(g, true)))", "optional.of(x).optMap(e, e)", "[1].map(e, [" + strings.Repeat("e,", 900) + "1])",
	"[1].map(e, [e" + strings.Repeat(",0", 1500) + "])", "[1].map(e, {" + strings.Repeat("'a' + string(e): e,", 100) + "'b': 1})", "[" + strings.Repeat("x,", 500) + "x]",
	"has(m.a) ? x : y", "m[?1].orValue(x)", "cel.bind(a, x + y, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(f, c + c, f + f))))",
	"lists.range(10000).reduce(a, e, 0, a + e)", "lists.range(10000).reduce(a, e, [], a + [e])", "lists.range(10000).reduce(a, e, [1], a + a)",
	"lists.range(10000).reduce(a, e, 'a', a + a)", "lists.range(10000).reduce(a, e, {}, a.merge({string(e): e}))",
	"lists.range(10000).reduce(a, e, [1], [a, a])", "lists.range(10000).reduce(a, e, [1], [a, a]) == lists.range(10000).reduce(a, e, [1], [a, a])",
	"cel.bind(z, lists.range(10000).reduce(a, e, [1], [a]), lists.range(10000).map(e, z.slice(0, 1)).size())",
	"cel.bind(z, lists.range(10000).reduce(a, e, {'a': 1}, {'a': a}), lists.range(10000).map(e, {'b': z}.merge(z)).size())",
	"lists.range(10000).reduce(a, e, [1], lists.range(10000).reduce(b, f, a, [b])).distinct()",
	"lists.range(10000).reduce(a, e, 0, lists.range(10000).reduce(b, f, a, b + f))", "lists.range(10000).reduce(a, e, inputs.s, a)",
	// Accumulators that double, each by another function.
	"lists.range(10000).reduce(a, e, {'k': [1]}, a.merge({'k': a.k + a.k}))", "lists.range(10000).reduce(a, e, {}, a.merge({string(e): a}))",
	"lists.range(10000).reduce(a, e, [1], [a, a].groupBy(f, 'k')['k'])", "lists.range(10000).reduce(a, e, [1], [1].toMap(f, 'k', [a, a])['k'])",
	"lists.range(10000).reduce(a, e, [1], [a, a].flatten())", "lists.range(10000).reduce(a, e, [1], [a, a].uniqueBy(f, size(f)))",
	"lists.range(10000).reduce(a, e, 'a', regex.replace(a, 'a', 'aa'))", "lists.range(10000).reduce(a, e, '%', url.encode(a + a))",
	"lists.range(10000).reduce(a, e, 'a', a.split('').join('aa'))", "lists.range(10000).reduce(a, e, 'a', [a, a, a].join(a))",
	"lists.range(10000).reduce(a, e, 'a', '%s%s'.format([a, a]))", "lists.range(10000).reduce(a, e, 'a', a.replace('a', 'aa'))",
	"lists.range(10000).reduce(a, e, '\"', strings.quote(a))", "lists.range(10000).reduce(a, e, '\"', json.encode([a]))",
	"lists.range(10000).reduce(a, e, '\"', json.encode({a: a}))", "lists.range(10000).reduce(a, e, 'a', base64.encode(bytes(a + a)))",
	"lists.range(10000).reduce(a, e, [1], coalesce(null, [a, a]))", "lists.range(10000).reduce(a, e, [1], optional.none().orValue([a, a]))",
	"cel.bind(u, timestamp('2030-01-01T00:00:00Z'), lists.range(10000).reduce(a, e, 'a', u.format(a + a)))", "lists.range(10000).reduce(a, e, 'a,b', csv.decode(a + '\n' + a).size() > 1 ? a + a : a)",
	"lists.range(10000).reduce(a, e, 'ß', strings.upper(a) + strings.lower(a))", "lists.range(10000).reduce(a, e, b'a', a + a)",
	"cel.bind(a, inputs.s + inputs.s, cel.bind(b, a + a, cel.bind(c, b + b, b)))",
}

// hostileValues are the values that the calls use, each made from those before it.
var hostileValues = [][2]string{
	{"x", "lists.range(10000).map(i, inputs.s)"}, {"y", "lists.range(10000).map(i, inputs.t)"},
	{"m", "x.transformMap(k, v, v)"}, {"n", "y.transformMap(k, v, v)"},
	{"d", "cel.bind(q, x.slice(0, 9), [[q, q, q], [q, q], q, [q]])"}, {"e", "cel.bind(q, y.slice(0, 9), [[q, q, q], [q, q], q, [q]])"},
	{"t", "timestamp('2030-01-01T00:00:00Z')"},
}

// renderHostile evaluates an expression over the values that it uses, and returns the steps that it took.
func renderHostile(t *testing.T, expression string, limit uint64) (uint64, error) {
	t.Helper()
	text := expression
	for _, v := range slices.Backward(hostileValues) {
		if !regexp.MustCompile(`\b` + v[0] + `\b`).MatchString(text) {
			continue // to make it costs most of the time
		}
		text = "cel.bind(" + v[0] + ", " + v[1] + ", " + text + ")"
	}
	lim := Limits{MaxExpression: 1 << 16, MaxCost: limit}.WithDefaults()
	template, bad := NewText("${"+text+"}", NewEvaluator(lim), lim)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	s := sampleScope()
	s.inputs = largeInputs
	_, err := template.Render(t.Context(), s, lim)
	return s.steps.Load(), err
}

// largeInputs are texts of 1 MB: s and t are equal but for the last byte, w is blank, c and b are JSON.
var largeInputs = func() *Value {
	const n = 1_000_000
	raw, err := json.Marshal(map[string]string{
		"s": strings.Repeat("a", n), "t": strings.Repeat("a", n-1) + "b", "w": strings.Repeat(" ", n), "c": strings.Repeat("1,", n/2),
		"u": strings.Repeat("ß", n/2), "v": "a,b\n" + strings.Repeat("1,2\n", n/4), "q": strings.Repeat("\"\",", n/3),
		"b": "[" + strings.Repeat(`{"":0},`, n/7) + "0]",
	})
	if err != nil {
		panic(err)
	}
	return NewValue(raw)
}()

// No function of the environment takes more than the budget, on its own or in a macro, however large its arguments are. A function that is
// declared and stands in neither list, or that the test does not call, fails here.
func TestEveryFunctionIsBounded(t *testing.T) {
	if _, err := largeInputs.Decode(); err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, expression string) {
		t.Helper()
		whole := Limits{}.WithDefaults().MaxCost
		for _, tt := range []struct {
			text  string
			limit uint64
		}{
			{expression, whole},
			// What is done again until the limit costs what the limit says: less of it proves the same in less time.
			{"lists.range(10000).map(i, lists.range(10000).map(j, " + expression + ")).size()", whole / 4},
		} {
			text, limit := tt.text, tt.limit
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			steps, err := renderHostile(t, text, limit)
			runtime.ReadMemStats(&after)
			var e *schemas.Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%s: foreign error %v", text, err)
			}
			if err == nil && steps > limit {
				t.Errorf("%s: took %d steps", text, steps)
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 200 {
				t.Errorf("%s: made %d MiB in %d steps (%v)", text, made, steps, err)
			}
		}
	}
	names := slices.Sorted(maps.Keys(celEnvironment().Functions()))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			_, priced := guards[name]
			if priced == constant[name] {
				t.Fatalf("priced %v, constant %v: want one of them", priced, constant[name])
			}
			if len(hostile[name]) == 0 {
				t.Fatal("the test does not call it")
			}
			for _, expression := range hostile[name] {
				check(t, expression)
			}
		})
	}
	for name := range guards {
		if !slices.Contains(names, name) {
			t.Errorf("%s is priced and not declared", name)
		}
	}
	for i, expression := range hostileForms {
		t.Run(fmt.Sprint("form ", i), func(t *testing.T) { check(t, expression) })
	}
}
