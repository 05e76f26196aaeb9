package expr

import (
	"fmt"
	"slices"
	"strings"
)

// Function is one row of what expressions can call, as an author reads it. A test compares the rows with what the environment declares, and
// evaluates the examples.
type Function struct {
	Names  []string // as they are called, such as sum or regex.extract
	Form   string   // how it is written
	Does   string
	Sample string // an expression
	Gives  string // its value as JSON
}

// Functions are the functions and macros of expressions, in the order in which they are shown.
func Functions() []Function { return slices.Clone(functionRows) }

// functionRows are names, form, what it does, sample and value.
var functionRows = rows([][5]string{
	{"size", "size(v)", "length of a list, an object or a text", "size([1, 2])", "2"},
	{"map", "l.map(x, expr)", "a list of expr for each element; l.map(x, test, expr) of those that pass", "[1, 2].map(x, x * 2)", "[2,4]"},
	{"filter", "l.filter(x, test)", "the elements that pass", "[1, 2, 3].filter(x, x > 1)", "[2,3]"},
	{"all exists exists_one existsOne", "l.all(x, test)", "whether all pass; exists: any, exists_one: exactly one", "[1, 2].exists(x, x == 2)", "true"},
	{"sum", "l.sum()", "the numbers added; integers stay integers, of an empty list 0", "[1, 2].sum()", "3"},
	{"avg", "l.avg()", "their mean, of an empty list null", "[1, 2].avg()", "1.5"},
	{"greatest least", "math.greatest(l)", "the largest number of a list, or of math.greatest(a, b, …); least: the smallest", "math.greatest([3, 5])", "5"},
	{"reduce", "l.reduce(acc, x, init, expr)", "expr for each element, acc is the value before", "[1, 2, 3].reduce(t, x, 0, t + x)", "6"},
	{"groupBy", "l.groupBy(x, key)", "an object from each key to the list of its elements", "[1, 2, 3].groupBy(x, x > 1 ? 'big' : 'small')", `{"big":[2,3],"small":[1]}`},
	{"uniqueBy", "l.uniqueBy(x, key)", "the first element of each key", "[1, 2, 3].uniqueBy(x, x % 2)", "[1,2]"},
	{"toMap", "l.toMap(x, key, value)", "an object; two values for one key are an error", "['a'].toMap(x, x, size(x))", `{"a":1}`},
	{"distinct", "l.distinct()", "without the values that came before", "[1, 1, 2].distinct()", "[1,2]"},
	{"sort", "l.sort()", "smallest first", "[2, 1].sort()", "[1,2]"},
	{"sortBy", "l.sortBy(x, key)", "by a key", "[1, 2].sortBy(x, -x)", "[2,1]"},
	{"reverse", "l.reverse()", "last first, also of a text", "[1, 2].reverse()", "[2,1]"},
	{"slice", "l.slice(from, to)", "a part; to is not in it", "[1, 2, 3].slice(0, 2)", "[1,2]"},
	{"flatten", "l.flatten()", "lists within a list as one list; l.flatten(levels)", "[[1], [2, 3]].flatten()", "[1,2,3]"},
	{"first last", "l.first()", "the first element as an optional value; last: the last one", "[1, 2].first().orValue(0)", "1"},
	{"lists.range", "lists.range(n)", "the list from 0 to n-1, at most 10,000", "lists.range(3)", "[0,1,2]"},
	{"hasAll hasAny hasExactly hasOnly", "l.hasAll(other)", "whether l has all of other; hasAny: one of them, hasExactly: the same, hasOnly: no others", "[1, 2].hasAny([2, 3])", "true"},
	{"sets.contains sets.equivalent sets.intersects", "sets.contains(a, b)", "the same, as functions", "sets.contains([1, 2], [2])", "true"},
	{"in", "x in l", "whether a list has a value, or an object a key", "1 in [1, 2]", "true"},
	{"merge", "a.merge(b)", "the entries of both objects, those of b win", "{'x': 1}.merge({'x': 2})", `{"x":2}`},
	{"transformMap transformList transformMapEntry", "m.transformMap(k, v, expr)", "with key and value of an object, or index and element of a list; transformList: to a list, transformMapEntry: to {key: value}",
		"{'a': 1}.transformMap(k, v, v + 1)", `{"a":2}`},
	{"has", "has(a.b)", "whether a has the key b", "has({'b': 1}.b)", "true"},
	{"coalesce", "coalesce(a, b, …)", "the first that is not null", "coalesce(null, 5)", "5"},
	{"orValue", "a.?b.orValue(x)", "a.b, or x where it is absent or null", "{'a': 1}.?b.orValue(0)", "0"},
	{"or hasValue value", "a.?b.or(a.?c)", "the first optional value that is there; hasValue(): whether it is, value(): it", "{'c': 1}.?b.or(optional.of(2)).value()", "2"},
	{"optMap optFlatMap", "a.?b.optMap(x, expr)", "expr where the value is there", "{'b': 1}.?b.optMap(x, x + 1).orValue(0)", "2"},
	{"optional.of optional.none optional.ofNonZeroValue optional.unwrap unwrapOpt", "optional.of(v)", "makes an optional value; l.unwrapOpt(): those of a list that are there", "[optional.of(1), optional.none()].unwrapOpt()", "[1]"},
	{"bind", "cel.bind(x, v, expr)", "expr, in which x is v", "cel.bind(x, 2, x * x)", "4"},

	{"contains startsWith endsWith", "s.contains(part)", "whether the text has a part, begins or ends with it", "'abc'.startsWith('ab')", "true"},
	{"lowerAscii upperAscii", "s.lowerAscii()", "the letters A to Z in lower case", "'ÉA'.lowerAscii()", `"Éa"`},
	{"strings.lower strings.upper", "strings.lower(s)", "all letters in lower case", "strings.lower('ÉA')", `"éa"`},
	{"trim", "s.trim()", "without blanks at both ends", "' a '.trim()", `"a"`},
	{"split join", "s.split(by)", "a list of parts; l.join(by): the text of a list", "'a,b'.split(',').join('-')", `"a-b"`},
	{"replace", "s.replace(old, new)", "with new in place of old", "'aa'.replace('a', 'b')", `"bb"`},
	{"substring charAt", "s.substring(from, to)", "a part, in characters; charAt(i): one", "'abc'.substring(1)", `"bc"`},
	{"indexOf lastIndexOf", "s.indexOf(part)", "where a part begins, -1: nowhere", "'abc'.indexOf('c')", "2"},
	{"format", "'%s: %d'.format([a, b])", "a text with values; t.format(layout): a time as Go's layout shows it, as in t.format('02.01.2006 15:04')", "timestamp('2030-01-31').format('02.01.2006')", `"31.01.2030"`},
	{"matches", "s.matches(pattern)", "whether a pattern (RE2) is found", "'A-17'.matches('[0-9]+')", "true"},
	{"regex.extract", "regex.extract(s, pattern)", "the first group of the first match, or all of it; null: none", "regex.extract('A-17', '([0-9]+)')", `"17"`},
	{"regex.extractAll", "regex.extractAll(s, pattern)", "the same of every match", "regex.extractAll('1 22', '[0-9]+')", `["1","22"]`},
	{"regex.replace", `regex.replace(s, pattern, new)`, `with new in place of each match; \1 is the first group`, `regex.replace('a1', '([0-9])', r'<\1>')`, `"a<1>"`},
	{"strings.quote", "strings.quote(s)", "in quotes", "strings.quote('a')", `"\"a\""`},

	{"int double string bool uint bytes", "int(v)", "converts; double, string, bool, uint, bytes likewise", "int('7') + int(7.9)", "14"},
	{"duration", "duration(s)", "500ms, 30s, 2h, 1d, 2d12h", "duration('1d') > duration('23h')", "true"},
	{"timestamp", "timestamp(s)", "a time in RFC 3339, or a date; timestamp(n): seconds since 1970", "timestamp('2030-01-31') + duration('1d')", `"2030-02-01T00:00:00Z"`},
	{"getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds getMilliseconds", "t.getFullYear()",
		"a part of a time, also t.getHours('Europe/Berlin'); getMonth, getDayOfMonth, getDayOfWeek and getDayOfYear count from 0, getDate from 1", "timestamp('2030-01-31').getDate()", "31"},
	{"json.decode json.encode", "json.decode(s)", "the value of a JSON text; json.encode: and back", "json.decode('{\"a\": [1]}').a", "[1]"},
	{"csv.decode", "csv.decode(s)", "a list of objects by the names of the first line (RFC 4180); values are texts", `csv.decode('a,b\n1,2')`, `[{"a":"1","b":"2"}]`},
	{"url.encode url.decode", "url.encode(s)", "percent encoding (RFC 3986); url.decode: and back", "url.encode('a b')", `"a%20b"`},
	{"base64.encode base64.decode", "base64.encode(bytes(s))", "base64; base64.decode: and back to bytes", "string(base64.decode('YQ=='))", `"a"`},
	{"math.round math.ceil math.floor math.trunc", "math.round(d)", "a double without its fraction", "int(math.round(2.5))", "3"},
	{"math.abs math.sign math.sqrt math.isNaN math.isInf math.isFinite", "math.abs(n)", "the absolute value", "math.abs(-2)", "2"},
	{"math.bitAnd math.bitOr math.bitXor math.bitNot math.bitShiftLeft math.bitShiftRight", "math.bitAnd(a, b)", "bits of integers", "math.bitAnd(6, 3)", "2"},
	{"type dyn", "type(v) == int", "the type: int, double, string, bool, list, map, null_type; dyn(v): v with its type unknown", "type(1) == int", "true"},
})

func rows(of [][5]string) []Function {
	all := make([]Function, len(of))
	for i, r := range of {
		all[i] = Function{Names: strings.Fields(r[0]), Form: r[1], Does: r[2], Sample: r[3], Gives: r[4]}
	}
	return all
}

// FunctionForms lists how the functions are written, on one line.
func FunctionForms() string {
	forms := make([]string, len(functionRows))
	for i := range functionRows {
		forms[i] = functionRows[i].Form
	}
	return strings.Join(forms, ", ")
}

// DescribeFunctions lists the functions, one on a line.
func DescribeFunctions() string {
	var b strings.Builder
	for i := range functionRows {
		f := &functionRows[i]
		also := ""
		for _, name := range f.Names[1:] {
			if short := name[strings.LastIndexByte(name, '.')+1:]; !strings.Contains(f.Form+" "+f.Does, short) {
				also += ", " + name
			}
		}
		if also != "" {
			also = "; also" + also[1:]
		}
		fmt.Fprintf(&b, "- `%s`: %s%s. `%s` is `%s`\n", f.Form, f.Does, also, f.Sample, f.Gives)
	}
	return b.String()
}
