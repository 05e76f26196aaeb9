package expr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// functionScope is what the expressions of these tests read.
func functionScope() *scope {
	return &scope{inputs: NewValue([]byte(`{
		"rows": [{"c": "DE", "v": 2}, {"c": "FR", "v": 5}, {"c": "DE", "v": 7}], "a": {"x": 1, "y": 1}, "b": {"y": 2, "z": null},
		"s": "order A-17: 42 EUR, order B-2: 7 EUR", "csv": "id,name\r\n1,\"Miller, J.\"\r\n2,\"say \"\"hi\"\"\"\r\n", "mixed": [1, 2.0, "x", {"a": 1}, [1]],
		"nothing": null, "big": 9007199254740993, "n": 3, "half": 0.5, "list": [3, 1, 2], "flags": [true, false, true], "ids": [2.0, 2, 10], "m": {"q": 1, "d": 2, "k": 3, "b": 4}
	}`))}
}

func evaluate(t *testing.T, expression string) (string, error) {
	t.Helper()
	return render(t, document.Quote("${"+expression+"}"), functionScope(), Limits{})
}

func TestFunctions(t *testing.T) {
	for _, tt := range []struct{ expression, want string }{
		{"inputs.rows.map(r, r.v).sum()", "14"},
		{"inputs.rows.filter(r, r.c == 'ES').map(r, r.v).sum()", "0"},
		{"[1, 2.5].sum()", "3.5"},
		{"[1.5, 1.5].sum()", "3"},
		{"type(inputs.list.sum()) == int", "true"},
		{"type([1.5, 1.5].sum()) == double", "true"},
		{"[inputs.big, 1].sum()", "9007199254740994"},
		{"inputs.list.avg()", "2"},
		{"[1, 2].avg()", "1.5"},
		{"[].avg()", "null"},
		{"coalesce([].avg(), 0)", "0"},

		{"inputs.rows.reduce(t, r, 0, t + r.v)", "14"},
		{"inputs.rows.reduce(t, r, '', t + r.c)", `"DEFRDE"`},
		{"inputs.rows.reduce(t, r, 0, t + r.v * 0.5)", "7"},
		{"inputs.rows.reduce(t, r, [], t + [t])", "[[],[[]],[[],[[]]]]"},
		{"inputs.rows.reduce(t, r, {}, t.merge({r.c: r.v}))", `{"DE":7,"FR":5}`},
		{"[].reduce(t, r, inputs.nothing, t + r)", "null"},
		{"inputs.rows.reduce(item, index, 0, item + index.v)", "14"},

		{"inputs.rows.groupBy(r, r.c)", `{"DE":[{"c":"DE","v":2},{"c":"DE","v":7}],"FR":[{"c":"FR","v":5}]}`},
		{"cel.bind(g, inputs.rows.groupBy(r, r.c), g.map(c, {'c': c, 'total': g[c].map(r, r.v).sum()}))", `[{"c":"DE","total":9},{"c":"FR","total":5}]`},
		{"inputs.list.groupBy(n, n).map(k, k)", "[3,1,2]"},
		{"inputs.ids.groupBy(n, n)", `{"10":[10],"2":[2,2]}`},
		{"inputs.flags.groupBy(f, f)", `{"false":[false],"true":[true,true]}`},
		{"[].groupBy(x, x)", "{}"},
		{"inputs.rows.groupBy(r, r.c).transformMap(k, l, size(l))", `{"DE":2,"FR":1}`},
		{"inputs.rows.uniqueBy(r, r.c)", `[{"c":"DE","v":2},{"c":"FR","v":5}]`},
		{"[{'a': null}, {'a': [1]}, {'a': [1.0]}].uniqueBy(x, x.a)", `[{"a":null},{"a":[1]}]`},
		{"inputs.rows.uniqueBy(r, r.c).toMap(r, r.c, r.v)", `{"DE":2,"FR":5}`},
		{"inputs.flags.toMap(f, f, f)", `{"false":false,"true":true}`},
		{"inputs.rows.groupBy(r, r.c)['FR'][0].v", "5"},
		{"has(inputs.rows.groupBy(r, r.c).ES)", "false"},
		{"inputs.rows.groupBy(r, r.c).?ES.orValue([]).size()", "0"},
		{"'DE' in inputs.rows.toMap(r, r.c + string(r.v), 1)", "false"},
		{"inputs.rows.groupBy(r, r.c) == {'FR': [{'c': 'FR', 'v': 5}], 'DE': [{'c': 'DE', 'v': 2}, {'c': 'DE', 'v': 7}]}", "true"},

		{"inputs.a.merge(inputs.b)", `{"x":1,"y":2,"z":null}`},
		{"inputs.a.merge({}) == inputs.a", "true"},
		{"{'a': {'b': 1}}.merge({'a': {'c': 2}})", `{"a":{"c":2}}`},
		{"{1: 'x'}.merge({1u: 'y'})", `{"1":"y"}`},

		{"coalesce(inputs.nothing, inputs.n, 1 / 0)", "3"},
		{"coalesce(inputs.nothing, null)", "null"},
		{"coalesce(inputs.?gone, inputs.?nothing, 'x')", `"x"`},
		{"coalesce(false, true)", "false"},
		{"coalesce('', 'x')", `""`},
		{"inputs.nothing.orValue(5)", "5"},
		{"inputs.?nothing.orValue(5)", "5"},
		{"inputs.?gone.orValue(5)", "5"},
		{"inputs.?n.orValue(1 / 0)", "3"},
		{"inputs.n.orValue(5)", "3"},
		{"inputs.?a.?gone.orValue(inputs.nothing).orValue('x')", `"x"`},

		{"regex.extract(inputs.s, '([0-9]+) EUR')", `"42"`},
		{"regex.extract(inputs.s, '[0-9]+ EUR')", `"42 EUR"`},
		{"regex.extract(inputs.s, '([A-Z])-([0-9]+)')", `"A"`},
		{"regex.extract(inputs.s, 'USD')", "null"},
		{"regex.extract(inputs.s, '(x)?order')", "null"},
		{"regex.extract(inputs.s, '([0-9]+) USD').orValue('')", `""`},
		{"regex.extract(inputs.s, '(' + 'EUR)')", `"EUR"`},
		{"regex.extractAll(inputs.s, 'order ([A-Z]-[0-9]+)')", `["A-17","B-2"]`},
		{"regex.extractAll(inputs.s, r'\\b[0-9]+\\b')", `["17","42","2","7"]`},
		{"regex.extractAll('abab', '^ab')", `["ab"]`},
		{"regex.extractAll('a\\nb', '(?m)^.')", `["a","b"]`},
		{"regex.extractAll('ab', '(b)|a')", `[null,"b"]`},
		{"regex.extractAll('', 'x')", "[]"},
		{"regex.replace('banana', 'a', 'o')", `"bonono"`},
		{"regex.replace('foo bar', '(fo)o (ba)r', r'\\2 \\1')", `"ba fo"`},
		{"regex.replace('aé', '', '-')", `"-a-é-"`},
		{"regex.replace('5 EUR', '([0-9]+) EUR', r'\\$\\1')", `"$5"`},

		{"url.encode('a b/ü&c+d~')", `"a%20b%2F%C3%BC%26c%2Bd~"`},
		{"url.decode('a%20b%2F%C3%BC+c')", `"a b/ü+c"`},
		{"url.decode(url.encode(inputs.csv)) == inputs.csv", "true"},

		{"csv.decode(inputs.csv)", `[{"id":"1","name":"Miller, J."},{"id":"2","name":"say \"hi\""}]`},
		{"csv.decode('a,b\\n1,\\n\\n,2')", `[{"a":"1","b":""},{"a":"","b":"2"}]`},
		{"csv.decode('a\\n\"x\\r\\ny\"\\n\"\"\\n')", `[{"a":"x\r\ny"},{"a":""}]`},
		{"csv.decode('\ufeffa\\n1')", `[{"a":"1"}]`},
		{"csv.decode('')", "[]"},
		{"csv.decode('a,b\\n')", "[]"},
		{"csv.decode('v\\n2\\n3').map(r, int(r.v)).sum()", "5"},
		{"csv.decode('z,a\\n1,2')[0].map(k, k)", `["z","a"]`},

		{"timestamp('2026-11-30').format('02.01.2006')", `"30.11.2026"`},
		{"timestamp('2026-11-30T22:30:00+02:00').format('Jan 2, 15:04')", `"Nov 30, 20:30"`},
		{"timestamp('2026-11-30')", `"2026-11-30T00:00:00Z"`},
		{"timestamp('2026-11-30') + duration('2d12h')", `"2026-12-02T12:00:00Z"`},
		{"duration('1d') == duration('24h')", "true"},
		{"duration('-1h')", `"-1h0m0s"`},
		{"duration('PT30S')", `"30s"`},
		{"timestamp('2026-12-24') - timestamp('2026-12-01') > duration('3' + 'd')", "true"},
		{"timestamp(1) < timestamp('2026' + '-01-01')", "true"},

		{"strings.lower('ÄÖß')", `"äöß"`},
		{"strings.upper('äöß')", `"ÄÖSS"`},
		{"'ÄB'.lowerAscii()", `"Äb"`},

		{"math.greatest(inputs.list.slice(0, 2))", "3"},
		{"math.greatest(inputs.list.distinct())", "3"},
		{"math.least([inputs.list, [7]].flatten())", "1"},
		{"math.greatest(inputs.list.sortBy(x, -x))", "3"},
		{"string(inputs.mixed.slice(0, 1)[0])", `"1"`},
		{"string(inputs.mixed.distinct()[1])", `"2"`},
		{"string(inputs.mixed.flatten()[0])", `"1"`},
		{"cel.bind(l, inputs.mixed.slice(0, 3), l[2] + string(l[0] * 2))", `"x2"`},
		{"inputs.mixed.first().value() + 1", "2"},
		{"inputs.mixed.distinct().map(x, type(x) == int)", "[true,false,false,false,false]"},
		{"inputs.mixed.slice(3, 4)[0].a", "1"},
		{"inputs.m.map(k, k)", `["b","d","k","q"]`},
		{"json.decode('{\"b\": 1, \"a\": 2}').map(k, k)", `["a","b"]`},
	} {
		if got, err := evaluate(t, tt.expression); err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.expression, got, err, tt.want)
		}
	}
}

func TestFunctionsRefuseWhatWouldBeWrong(t *testing.T) {
	for _, tt := range []struct{ expression, want string }{
		{"[1, 'x'].sum()", `item 1 is "x", which is not a number`},
		{"inputs.rows.sum()", "item 0 is an object"},
		{"[1, null].avg()", "item 1 is null"},
		{"[9223372036854775807, 1].sum()", "overflow"},
		{"[inputs.big, 0.5].sum()", "too large to calculate with a double exactly"},
		{"[0.5, inputs.big].sum()", "too large to calculate with a double exactly"},
		{"inputs.s.sum()", "no such overload"},
		{"inputs.rows.groupBy(r, r.x)", "no such key: x"},
		{"inputs.rows.groupBy(r, r)", "the key of item 0 is an object"},
		{"[null].groupBy(r, r)", "the key of item 0 is null"},
		{"[0.5].groupBy(r, r)", "the key of item 0 is 0.5"},
		{"inputs.rows.toMap(r, r.c, r.v)", `item 2 has the key "DE" of an earlier one and another value`},
		{"inputs.a.merge(null)", "merge() cannot be used with"},
		{"inputs.a.string()", "string() is not called on a value, which is its argument: write string(a)"},
		{"sort(inputs.a)", "sort() is called on a value: write a.sort(…)"},
		{"'a'.split()", "split() cannot be called on string without arguments"},
		{"['a'] + 1", "+ cannot be used with list(string), int"},
		{"'a'.split(1, 'b')", "split() cannot be used with int, string, called on string"},
		{"inputs.a.merge(inputs.nothing)", "no such overload"},
		{"inputs.rows.reduce(t, 'r', 0, t)", "wants two names first"},
		{"inputs.rows.reduce(t, t, 0, t)", `got "t" twice`},
		{"inputs.rows.reduce(nodes, r, 0, 1)", "choose another name"},
		{"coalesce(1 / 0, 2)", "division by zero"},
		{"inputs.gone.orValue(1)", "no key \"gone\""},
		{"regex.extract('a', '(')", "the pattern is not valid"},
		{"regex.extract('a', '(' + '')", "the pattern is not valid"},
		{"regex.replace('a', '(a)', '$1')", `a group is written \1`},
		{"regex.replace('a', '(a)', '${1}')", `a group is written \1`},
		{"regex.replace('a', '(a)', r'\\2')", "a group that the pattern does not have (it has 1)"},
		{"regex.replace('a', 'a', r'\\q')", "is followed by a digit"},
		{"url.decode('%zz')", "is no percent encoding"},
		{"url.decode('%ff')", "not text in UTF-8"},
		{"csv.decode('a,b\\n1,2\\n3')", "the record on line 3 has 1 fields, and the header has 2"},
		{"csv.decode('a,a\\n1,2')", `columns 1 and 2 of the header have the same name "a"`},
		{"csv.decode('a\\n\"x\\ny')", "the quote that is opened on line 2 is never closed"},
		{"csv.decode('a\\n\"x\" y')", "text follows"},
		{"csv.decode('a\\nx\"y')", "a quote stands inside a field"},
		{"timestamp('2026-11-30').format('YYYY-MM-DD')", "shows no part of the time"},
		{"timestamp('2026-11-30').format('2006-MM-DD')", `"MM" in the layout`},
		{"timestamp('2026-11-30').format('%d.%m.%Y')", "shows no part of the time"},
		{"timestamp('2026-11-30').format('02.%m')", `"%m" in the layout`},
		{"timestamp('30.11.' + '2026')", "is no time"},
		{"timestamp('30.11.2026')", "is no time"},
		{"duration('2 days')", "invalid duration"},
		{"duration('90')", "has no unit"},
	} {
		_, err := evaluate(t, tt.expression)
		if !errors.Is(err, &schemas.Error{Code: schemas.CodeExpressionError}) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.expression, err, tt.want)
		}
	}
}

// What is wrong with a text that is written out is found before the expression runs.
func TestConstantsAreChecked(t *testing.T) {
	e := NewEvaluator(Limits{})
	for text, want := range map[string]string{
		"inputs.s.matches('(')": "the pattern is not valid", "regex.extract(inputs.s, '[')": "the pattern is not valid",
		"regex.extractAll(inputs.s, 'a{1000}')": "too large", "regex.replace(inputs.s, '(', '')": "the pattern is not valid",
		"timestamp(inputs.t).format('YYYY')": "shows no part of the time", "duration('3 weeks')": "invalid duration", "timestamp('tomorrow')": "is no time",
	} {
		_, faults := e.Check(text)
		if len(faults) != 1 || !strings.Contains(faults[0].Message, want) {
			t.Errorf("%s: got %v, want %q", text, faults, want)
		}
	}
	for _, text := range []string{"inputs.s.matches('a')", "'%s'.format([inputs.s])", "timestamp(inputs.t).format('2006')", "duration('2d')", "timestamp('2026-11-30')", "timestamp(0)"} {
		if _, faults := e.Check(text); len(faults) > 0 {
			t.Errorf("%s: %v", text, faults)
		}
	}
}

// The elements of a list whose types are unknown stay of unknown type: an expression has no type that they need not have.
func TestElementsKeepTheirTypes(t *testing.T) {
	lim := Limits{}.WithDefaults()
	for _, list := range []string{
		"inputs.l.slice(0, 2)", "inputs.l.distinct()", "inputs.l.flatten()", "[inputs.l].flatten()", "inputs.l.sortBy(x, x)", "inputs.l.uniqueBy(x, x)",
		"inputs.l.flatten(2)", "inputs.l.filter(x, true)", "inputs.l.reverse()", "inputs.l.sort()",
	} {
		for _, use := range []string{"%[1]s[0]", "cel.bind(l, %[1]s, l[0] + 'x' == '1x' || l[0] + 1 == 2 ? l[0] : l[1])", "[%[1]s[0], %[1]s[0] + 'x'][0]"} {
			text := fmt.Sprintf(use, list)
			facts, faults := NewEvaluator(lim).Check(text)
			if len(faults) > 0 || facts.Type != "" || facts.Double {
				t.Errorf("%s: type %q, %v", text, facts.Type, faults)
			}
		}
	}
	for _, text := range []string{"[1, 2].slice(0, 1)[0] + 'x'", "[1].distinct()[0] + 'x'", "[[1]].flatten()[0] + 'x'"} {
		if _, faults := NewEvaluator(lim).Check(text); len(faults) == 0 {
			t.Errorf("%s: the types of constants are known", text)
		}
	}
}

// A search that counts what it reads finds what the standard library finds.
func TestFinderFindsWhatRegexpFinds(t *testing.T) {
	patterns := []string{
		"a", "", "a*", "a*?", "(a)|b", "^a", "a$", `\ba`, `\Ba`, "(?m)^", "(?m)$", "(?m)^a?", "b?", "(a|ab)(c|bcd)?", "é", ".", "(?s).", "[^a]", "(?i)A", "a|", "(?U)a+", `\z`, "(é)*b?",
	}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // texts of a test
	letters := []string{"a", "b", "c", "d", "é", "\n", " ", "A", "世"}
	for _, pattern := range patterns {
		f, err := newFinder(pattern)
		if err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(pattern)
		for range 300 {
			var text strings.Builder
			for range rng.IntN(9) {
				text.WriteString(letters[rng.IntN(len(letters))])
			}
			var got [][]int
			withPayment(t, func(p *payment) { f.all(text.String(), p, func(at []int) { got = append(got, at) }) })
			if want := want.FindAllStringSubmatchIndex(text.String(), -1); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%q in %q: got %v, want %v", pattern, text.String(), got, want)
			}
		}
	}
}

// withPayment gives a payment that has the usual budget.
func withPayment(t *testing.T, do func(*payment)) {
	t.Helper()
	counter, err := tracker.Clone()
	if err != nil {
		t.Fatal(err)
	}
	e := &evaluation{ctx: t.Context(), limit: Limits{}.WithDefaults().MaxCost, counter: counter}
	counter.Estimator, counter.Limit = e, &e.limit
	do(&payment{&guarded{function: extractFunction}, counter})
}

// A time zone that does not exist is an error in our words, whatever the machine says of a file by that name.
func TestUnknownTimeZones(t *testing.T) {
	for _, zone := range []string{"Europe/Berln", "Europe", "../../etc/passwd", "/etc/passwd", "+25:00", "a:b", ":", "+1:99", strings.Repeat("x", 300), "\x00", "\n"} {
		for _, part := range []string{"getHours", "getFullYear", "getDayOfYear"} {
			_, err := evaluate(t, fmt.Sprintf("timestamp('2030-01-31').%s(%s)", part, document.Quote(zone)))
			if e := schemas.AsError(err); e.Code != schemas.CodeExpressionError || !strings.Contains(e.Message, "there is no time zone") {
				t.Errorf("%s in %.20q: %v", part, zone, err)
			}
		}
	}
}
