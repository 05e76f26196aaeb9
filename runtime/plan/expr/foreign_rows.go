package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/runplane/runplane/schemas"
)

// foreignRow is a form of another language. The letters a to e stand for any expression, x and y for a variable.
type foreignRow struct {
	foreign string
	ours    string // what means the same here; empty: nothing does
	say     string // what to write instead, where nothing means the same
	of      string // the JSON type of a for which the row holds; empty: any
	lossy   bool   // the form here gives less, as a text without its indentation
}

const (
	sayKeys  = "the keys of a map are m.map(k, k), in no certain order; \"k\" in m asks for one"
	sayTimes = "the time is not read by expressions: execution.created_at is when the execution was made, " +
		"timestamp(\"2030-01-01T00:00:00Z\") a time, duration(\"1h\") a duration"
	sayRule = "whether earlier nodes failed is decided by trigger_rule (all_done, one_failed, none_failed) on the node, or read as nodes.<id>.status"
	sayOne  = "nothing here rounds half to even or to digits: math.round(double(a)) rounds half away from zero, " +
		"\"%.2f\".format([a]) gives a text"
)

// foreignRows are the functions of other languages. The first row that fits is taken.
var foreignRows = []foreignRow{
	// How many.
	{foreign: "len(a.keys())", ours: "size(a)"}, {foreign: "Object.keys(a).length", ours: "size(a)"},
	{foreign: "len(a)", ours: "size(a)"}, {foreign: "length(a)", ours: "size(a)"}, {foreign: "count(a)", ours: "size(a)"},
	{foreign: "a.count()", ours: "size(a)"}, {foreign: "a.length()", ours: "size(a)"},
	{foreign: "States.ArrayLength(a)", ours: "size(a)"},
	{foreign: "a | length", ours: "size(a)"}, {foreign: "a | count", ours: "size(a)"}, {foreign: "a | size", ours: "size(a)"},
	{foreign: "isEmpty(a)", ours: "size(a) == 0"}, {foreign: "a.isEmpty()", ours: "size(a) == 0"},
	{foreign: "empty(a)", ours: "size(a) == 0"},
	{foreign: "a.isNotEmpty()", ours: "size(a) > 0"},

	// Numbers.
	{foreign: "Math.max(...a)", ours: "math.greatest(a)"}, {foreign: "Math.min(...a)", ours: "math.least(a)"},
	{foreign: "max(*a)", ours: "math.greatest(a)"}, {foreign: "min(*a)", ours: "math.least(a)"},
	{foreign: "Math.max(a, b)", ours: "math.greatest(a, b)"}, {foreign: "Math.min(a, b)", ours: "math.least(a, b)"},
	{foreign: "Math.max(a, b, c)", ours: "math.greatest(a, b, c)"}, {foreign: "Math.min(a, b, c)", ours: "math.least(a, b, c)"},
	{foreign: "max(a, b)", ours: "math.greatest(a, b)"}, {foreign: "min(a, b)", ours: "math.least(a, b)"},
	{foreign: "max(a, b, c)", ours: "math.greatest(a, b, c)"}, {foreign: "min(a, b, c)", ours: "math.least(a, b, c)"},
	{foreign: "max(a)", ours: "math.greatest(a)"}, {foreign: "min(a)", ours: "math.least(a)"},
	{foreign: "a | max", ours: "math.greatest(a)"}, {foreign: "a | min", ours: "math.least(a)"},
	{foreign: "a.max()", ours: "math.greatest(a)"}, {foreign: "a.min()", ours: "math.least(a)"},
	{foreign: "math.max(a)", ours: "math.greatest(a)"}, {foreign: "math.min(a)", ours: "math.least(a)"},
	{foreign: "math.max(a, b)", ours: "math.greatest(a, b)"}, {foreign: "math.min(a, b)", ours: "math.least(a, b)"},
	{foreign: "Math.abs(a)", ours: "math.abs(a)"}, {foreign: "abs(a)", ours: "math.abs(a)"}, {foreign: "a | abs", ours: "math.abs(a)"},
	{foreign: "Math.floor(a)", ours: "math.floor(double(a))"}, {foreign: "floor(a)", ours: "math.floor(double(a))"},
	{foreign: "Math.ceil(a)", ours: "math.ceil(double(a))"}, {foreign: "ceil(a)", ours: "math.ceil(double(a))"},
	{foreign: "Math.trunc(a)", ours: "math.trunc(double(a))"}, {foreign: "Math.sqrt(a)", ours: "math.sqrt(a)"},
	{foreign: "sqrt(a)", ours: "math.sqrt(a)"},
	{foreign: "Math.round(a)", ours: "math.floor(double(a) + 0.5)"},
	{foreign: "round(a)", say: sayOne}, {foreign: "round(a, b)", say: sayOne}, {foreign: "a | round", say: sayOne},
	{foreign: "a | round(b)", say: sayOne},
	{foreign: "a.toFixed(b)", say: sayOne}, {foreign: "Math.pow(a, b)", say: "there are no powers: write a * a"},
	{foreign: "pow(a, b)", say: "there are no powers: write a * a"},
	{foreign: "Math.random()", say: "expressions give the same value each time: nothing is random; let a capability make it"},
	{foreign: "States.MathAdd(a, b)", ours: "a + b"},
	{foreign: "sum(a)", ours: "a.sum()"}, {foreign: "math.sum(a)", ours: "a.sum()"}, {foreign: "a | sum", ours: "a.sum()"},
	{foreign: "sum(a, b)", say: "l.sum() adds the items of a list"},
	{foreign: "avg(a)", ours: "a.avg()"}, {foreign: "mean(a)", ours: "a.avg()"}, {foreign: "average(a)", ours: "a.avg()"},
	{foreign: "a | sum(attribute=b)", say: "a member of each item is added with l.map(x, x.b).sum()"},

	// From one type to another.
	{foreign: "parseInt(a)", ours: "int(a)"}, {foreign: "parseInt(a, 10)", ours: "int(a)"},
	{foreign: "Number.parseInt(a)", ours: "int(a)"}, {foreign: "a | int", ours: "int(a)"},
	{foreign: "a.toInt()", ours: "int(a)"}, {foreign: "parseFloat(a)", ours: "double(a)"},
	{foreign: "Number.parseFloat(a)", ours: "double(a)"},
	{foreign: "Number(a)", ours: "double(a)"}, {foreign: "float(a)", ours: "double(a)"}, {foreign: "a | float", ours: "double(a)"},
	{foreign: "to_number(a)", ours: "double(a)"},
	{foreign: "a.toFloat()", ours: "double(a)"},
	{foreign: "str(a)", ours: "json.encode(a)", of: "array"}, {foreign: "str(a)", ours: "json.encode(a)", of: "object"},
	{foreign: "String(a)", say: "a list or a map becomes a text with json.encode(a)", of: "array"},
	{foreign: "String(a)", say: "a list or a map becomes a text with json.encode(a)", of: "object"},
	{foreign: "str(a)", ours: "string(a)"}, {foreign: "String(a)", ours: "string(a)"}, {foreign: "a.toString()", ours: "string(a)"},
	{foreign: "a | string", ours: "string(a)"},
	{foreign: "to_string(a)", ours: "string(a)"}, {foreign: "toString(a)", ours: "string(a)"},
	{foreign: "Boolean(a)", say: "a condition says what is tested: a != null, a != \"\", size(a) > 0"},
	{foreign: "JSON.stringify(a)", ours: "json.encode(a)"}, {foreign: "json.dumps(a)", ours: "json.encode(a)"},
	{foreign: "json.stringify(a)", ours: "json.encode(a)"},
	{foreign: "toJSON(a)", ours: "json.encode(a)"}, {foreign: "toJson(a)", ours: "json.encode(a)"},
	{foreign: "to_json(a)", ours: "json.encode(a)"},
	{foreign: "a | tojson", ours: "json.encode(a)"}, {foreign: "a | to_json", ours: "json.encode(a)"},
	{foreign: "a | json", ours: "json.encode(a)"},
	{foreign: "States.JsonToString(a)", ours: "json.encode(a)"}, {foreign: "a.toJsonString()", ours: "json.encode(a)"},
	{foreign: "JSON.stringify(a, null, b)", ours: "json.encode(a)", lossy: true},
	{foreign: "json.dumps(a, indent=b)", ours: "json.encode(a)", lossy: true},
	{foreign: "JSON.parse(a)", ours: "json.decode(a)"}, {foreign: "json.loads(a)", ours: "json.decode(a)"},
	{foreign: "json.parse(a)", ours: "json.decode(a)"},
	{foreign: "fromJSON(a)", ours: "json.decode(a)"}, {foreign: "fromJson(a)", ours: "json.decode(a)"},
	{foreign: "from_json(a)", ours: "json.decode(a)"},
	{foreign: "a | from_json", ours: "json.decode(a)"}, {foreign: "a | fromjson", ours: "json.decode(a)"},
	{foreign: "States.StringToJson(a)", ours: "json.decode(a)"},
	{foreign: "a.parseJson()", ours: "json.decode(a)"},
	{foreign: "btoa(a)", ours: "base64.encode(bytes(a))"}, {foreign: "States.Base64Encode(a)", ours: "base64.encode(bytes(a))"},
	{foreign: "atob(a)", ours: "string(base64.decode(a))"}, {foreign: "States.Base64Decode(a)", ours: "string(base64.decode(a))"},
	{foreign: "encodeURIComponent(a)", ours: "url.encode(a)"}, {foreign: "decodeURIComponent(a)", ours: "url.decode(a)"},

	// Texts.
	{foreign: "a.toLowerCase()", ours: "a.lowerAscii()"}, {foreign: "a.lower()", ours: "a.lowerAscii()"},
	{foreign: "lower(a)", ours: "a.lowerAscii()"},
	{foreign: "a.toUpperCase()", ours: "a.upperAscii()"}, {foreign: "a.upper()", ours: "a.upperAscii()"},
	{foreign: "upper(a)", ours: "a.upperAscii()"},
	{foreign: "toLower(a)", ours: "a.lowerAscii()"}, {foreign: "toUpper(a)", ours: "a.upperAscii()"},
	{foreign: "a | lower", ours: "a.lowerAscii()"}, {foreign: "a | upper", ours: "a.upperAscii()"},
	{foreign: "a.strip()", ours: "a.trim()"}, {foreign: "strip(a)", ours: "a.trim()"}, {foreign: "trim(a)", ours: "a.trim()"},
	{foreign: "a | trim", ours: "a.trim()"},
	{foreign: "a.startswith(b)", ours: "a.startsWith(b)"}, {foreign: "a.endswith(b)", ours: "a.endsWith(b)"},
	{foreign: "startsWith(a, b)", ours: "a.startsWith(b)"}, {foreign: "endsWith(a, b)", ours: "a.endsWith(b)"},
	{foreign: "starts_with(a, b)", ours: "a.startsWith(b)"}, {foreign: "ends_with(a, b)", ours: "a.endsWith(b)"},
	{foreign: "a.replaceAll(b, c)", ours: "a.replace(b, c)"}, {foreign: "a | replace(b, c)", ours: "a.replace(b, c)"},
	{foreign: "replace(a, b, c)", ours: "a.replace(b, c)"},
	{foreign: "split(a, b)", ours: "a.split(b)"}, {foreign: "a | split(b)", ours: "a.split(b)"},
	{foreign: "States.StringSplit(a, b)", ours: "a.split(b)"},
	{foreign: "a | join(b)", ours: "a.join(b)"}, {foreign: "join(a, b)", ours: "a.join(b)", of: "array"},
	{foreign: "join(a, b)", ours: "b.join(a)", of: "string"},
	{foreign: "join(a, b)", ours: "a.join(b)"}, {foreign: "a.join(b)", ours: "b.join(a)", of: "string"},
	{foreign: "re.search(a, b)", ours: "b.matches(a)"}, {foreign: "a.test(b)", ours: "b.matches(a)"},
	{foreign: "a.match(b)", say: "whether a text has a match is a.matches(\"^a+$\")"},
	{foreign: "a.substr(b, c)", ours: "a.substring(b, b + c)"}, {foreign: "a.concat(b)", ours: "a + b"},
	{foreign: "concat(a, b)", ours: "a + b"},
	{foreign: "concat(a, b, c)", ours: "a + b + c"},
	{foreign: "a.capitalize()", say: "a text is changed with s.lowerAscii() and s.upperAscii()"},
	{foreign: "a.slice(b, c)", ours: "a.substring(b, c)", of: "string"},

	// What is in something.
	{foreign: "b in a.keys()", ours: "b in a"}, {foreign: "Object.keys(a).includes(b)", ours: "b in a"},
	{foreign: "a.has_key(b)", ours: "b in a"}, {foreign: "a.hasOwnProperty(b)", ours: "b in a"},
	{foreign: "a.includes(b)", ours: "a.contains(b)", of: "string"},
	{foreign: "a.includes(b)", ours: "b in a", of: "array"},
	{foreign: "a.includes(b)", say: "whether a list has a value is b in a, whether a text has a part is a.contains(b)"},
	{foreign: "a.contains(b)", ours: "b in a", of: "array"},
	{foreign: "contains(a, b)", ours: "a.contains(b)", of: "string"}, {foreign: "contains(a, b)", ours: "b in a", of: "array"},
	{foreign: "contains(a, b)", say: "whether a list has a value is b in a, whether a text has a part is a.contains(b)"},
	{foreign: "includes(a, b)", ours: "a.contains(b)", of: "string"}, {foreign: "includes(a, b)", ours: "b in a", of: "array"},
	{foreign: "States.ArrayContains(a, b)", ours: "b in a"}, {foreign: "b in a", ours: "a.contains(b)", of: "string"},
	{foreign: "a.indexOf(b) !== -1", ours: "b in a", of: "array"}, {foreign: "a.indexOf(b) >= 0", ours: "b in a", of: "array"},
	{foreign: "a.indexOf(b) > -1", ours: "b in a", of: "array"},

	// Lists.
	{foreign: "a.map(x => b)", ours: "a.map(x, b)"}, {foreign: "a.filter(x => b)", ours: "a.filter(x, b)"},
	{foreign: "a.some(x => b)", ours: "a.exists(x, b)"},
	{foreign: "a.every(x => b)", ours: "a.all(x, b)"}, {foreign: "a.any(x => b)", ours: "a.exists(x, b)"},
	{foreign: "a.all(x => b)", ours: "a.all(x, b)"},
	{foreign: "a.some(x, b)", ours: "a.exists(x, b)"}, {foreign: "a.any(x, b)", ours: "a.exists(x, b)"},
	{foreign: "a.every(x, b)", ours: "a.all(x, b)"},
	{foreign: "a.exists(x => b)", ours: "a.exists(x, b)"}, {foreign: "a.map((x, y) => b)", ours: "a.transformList(y, x, b)"},
	{foreign: "a.find(x => b)", ours: "(a.filter(x, b) + [null])[0]"}, {foreign: "a.find(x, b)", ours: "(a.filter(x, b) + [null])[0]"},
	{foreign: "a.flatMap(x => b)", ours: "a.map(x, b).flatten()"}, {foreign: "a.reduce((x, y) => b, c)", ours: "a.reduce(x, y, c, b)"},
	{foreign: "map(x => b, a)", ours: "a.map(x, b)"}, {foreign: "filter(x => b, a)", ours: "a.filter(x, b)"},
	{foreign: "list(map(x => b, a))", ours: "a.map(x, b)"},
	{foreign: "list(filter(x => b, a))", ours: "a.filter(x, b)"}, {foreign: "any([b for x in a])", ours: "a.exists(x, b)"},
	{foreign: "all([b for x in a])", ours: "a.all(x, b)"},
	{foreign: "sorted(a.keys())", ours: "a.map(k, k).sort()"}, {foreign: "sorted(a)", ours: "a.sort()"},
	{foreign: "a | sort", ours: "a.sort()"}, {foreign: "sorted(a, key=x => b)", ours: "a.sortBy(x, b)"},
	{foreign: "sort(a)", ours: "a.sort()"},
	{foreign: "a.sort((x, y) => b)", say: "a list is sorted with l.sort() or l.sortBy(x, x.n), and turned round with .reverse()"},
	{foreign: "reversed(a)", ours: "a.reverse()"}, {foreign: "a | reverse", ours: "a.reverse()"},
	{foreign: "list(set(a))", ours: "a.distinct()"}, {foreign: "[...new Set(a)]", ours: "a.distinct()"},
	{foreign: "a | unique", ours: "a.distinct()"}, {foreign: "unique(a)", ours: "a.distinct()"},
	{foreign: "States.ArrayUnique(a)", ours: "a.distinct()"}, {foreign: "a.unique()", ours: "a.distinct()"},
	{foreign: "a.flat()", ours: "a.flatten()"}, {foreign: "flatten(a)", ours: "a.flatten()"}, {foreign: "first(a)", ours: "a[0]"},
	{foreign: "a | first", ours: "a[0]"},
	{foreign: "last(a)", ours: "a[size(a) - 1]"}, {foreign: "a | last", ours: "a[size(a) - 1]"},
	{foreign: "a.at(-1)", ours: "a[size(a) - 1]"}, {foreign: "a.at(b)", ours: "a[b]"},
	{foreign: "a | list", ours: "a"}, {foreign: "list(a)", ours: "a", of: "array"}, {foreign: "range(a)", ours: "lists.range(a)"},
	{foreign: "States.Array(a)", ours: "[a]"}, {foreign: "States.Array(a, b)", ours: "[a, b]"},
	{foreign: "States.Array(a, b, c)", ours: "[a, b, c]"},
	{foreign: "States.ArrayGetItem(a, b)", ours: "a[b]"},
	{foreign: "a | map(attribute=b)", say: "a member of each item is taken with l.map(x, x.b)"},
	{foreign: "a | selectattr(b)", say: "items are chosen with l.filter(x, x.b)"},
	{foreign: "a.forEach(x => b)", say: "what is done for each item of a list is for_each on a node; a list of values is l.map(x, x.b)"},

	// Maps.
	{foreign: "Object.keys(a)", say: sayKeys}, {foreign: "a.keys()", say: sayKeys}, {foreign: "keys(a)", say: sayKeys},
	{foreign: "list(a.keys())", say: sayKeys}, {foreign: "a | keys", say: sayKeys},
	{foreign: "Object.values(a)", say: "the values of a map are m.map(k, m[k]), in no certain order"},
	{foreign: "a.values()", say: "the values of a map are m.map(k, m[k]), in no certain order"},
	{foreign: "values(a)", say: "the values of a map are m.map(k, m[k]), in no certain order"},
	{foreign: "Object.entries(a)", say: "keys and values of a map are m.transformList(k, v, [k, v]), in no certain order"},
	{foreign: "a.items()", say: "keys and values of a map are m.transformList(k, v, [k, v]), in no certain order"},
	{foreign: "a.get(b)", ours: "a[?b].orValue(null)"}, {foreign: "a.get(b, c)", ours: "b in a ? a[b] : c"},
	{foreign: "Object.assign({}, a, b)", ours: "a.merge(b)"}, {foreign: "merge(a, b)", ours: "a.merge(b)"},
	{foreign: "States.JsonMerge(a, b, false)", ours: "a.merge(b)"},

	// What may be missing.
	{foreign: "defined(a)", ours: "has(a)"}, {foreign: "exists(a)", ours: "has(a)"}, {foreign: "isset(a)", ours: "has(a)"},
	{foreign: "a === undefined", ours: "!has(a)"}, {foreign: "a !== undefined", ours: "has(a)"},
	{foreign: "typeof a === 'undefined'", ours: "!has(a)"},
	{foreign: "a | default(b)", ours: "a ?? b"}, {foreign: "a | d(b)", ours: "a ?? b"}, {foreign: "default(a, b)", ours: "a ?? b"},
	{foreign: "not_null(a, b)", ours: "a ?? b"},
	{foreign: "coalesce(a, b)", ours: "a ?? b"}, {foreign: "a.isNull()", ours: "a == null"}, {foreign: "isNull(a)", ours: "a == null"},
	{foreign: "Array.isArray(a)", ours: "type(a) == list"}, {foreign: "isinstance(a, list)", ours: "type(a) == list"},
	{foreign: "isinstance(a, str)", ours: "type(a) == string"},
	{foreign: "iif(a, b, c)", ours: "a ? b : c"},

	// What no expression does.
	{foreign: "Date.now()", say: sayTimes}, {foreign: "now()", say: sayTimes}, {foreign: "Date()", say: sayTimes},
	{foreign: "datetime.now()", say: sayTimes}, {foreign: "utcnow()", say: sayTimes},
	{foreign: "always()", say: sayRule}, {foreign: "success()", say: sayRule}, {foreign: "failure()", say: sayRule},
	{foreign: "cancelled()", say: sayRule},
	{foreign: "States.UUID()", say: "expressions give the same value each time: execution.id is unique, other ids are made by a capability"},
	{foreign: "uuid()", say: "expressions give the same value each time: execution.id is unique, other ids are made by a capability"},
	{foreign: "print(a)", say: "an expression gives a value and does nothing else"},
	{foreign: "console.log(a)", say: "an expression gives a value and does nothing else"},
	{foreign: "a.then(x => b)", say: "an expression reads what earlier nodes gave: there is nothing to wait for"},
}

// parsedRow is a row as trees.
type parsedRow struct {
	foreignRow
	from, to *tree
}

// parsedRows are the rows by the operator and the text of their form.
var parsedRows = sync.OnceValue(func() map[string][]parsedRow {
	rows := map[string][]parsedRow{}
	for _, row := range foreignRows {
		from, _ := parseForeign(row.foreign, 0, len(row.foreign), false)
		if from == nil {
			continue // a test walks the rows
		}
		p := parsedRow{row, from, nil}
		if row.ours != "" {
			p.to, _ = parseForeign(row.ours, 0, len(row.ours), false)
			if missing := missingIn(p.to); missing != "" {
				p.to, p.say = nil, "there is no "+missing+"() here: let a capability compute it"
			}
		}
		key := from.op + " " + from.text
		rows[key] = append(rows[key], p)
	}
	return rows
})

// missingIn is a function that a tree calls and that the language does not have.
func missingIn(t *tree) string {
	if t == nil {
		return ""
	}
	if t.op == "()" {
		name := t.text
		if of := t.kids[0]; of != nil && of.op == "name" && len(of.text) > 1 {
			name = of.text + "." + name
		}
		if !slices.Contains(celNames(), name) {
			return name
		}
	}
	for _, k := range t.kids {
		if name := missingIn(k); name != "" {
			return name
		}
	}
	return ""
}

// row translates a tree by the first row that fits; nil: none does.
func (r *rewriter) row(t *tree) *tree {
	for _, row := range parsedRows()[t.op+" "+t.text] {
		found := binds{}
		if !found.match(row.from, t) {
			continue
		}
		if row.of != "" {
			kind := r.typeOf(r.tree(found["a"]))
			if kind == "" && row.of == "array" && r.manyIn(found) {
				kind = "array"
			}
			if kind != row.of {
				continue
			}
		}
		if row.to == nil {
			r.lost(fmt.Sprintf("%s has no form here: %s", row.foreign, row.say))
			return t
		}
		r.Lossy = r.Lossy || row.lossy
		if row.foreign != row.ours {
			r.say(row.foreign + " is written " + strings.ReplaceAll(row.ours, "a ?? b", "a != null ? a : b"))
		}
		var variables []string
		for name, v := range found {
			if name == "x" || name == "y" {
				variables = append(variables, v.text)
			}
		}
		return r.fill(row.to, found, variables)
	}
	return nil
}

// manyIn reports whether what stands for a is a list by its name, or by what is asked for.
func (r *rewriter) manyIn(found binds) bool {
	_, steps, ok := found["a"].chain()
	if ok && len(steps) > 0 && manyOf(steps[len(steps)-1].Key) {
		return true
	}
	b := found["b"]
	return b != nil && b.op == "literal" && !isQuote(b.text[len(b.text)-1])
}

// binds are the parts of a tree that the letters of a row stand for.
type binds map[string]*tree

func (b binds) match(row, t *tree) bool {
	if row == nil || t == nil {
		return row == t
	}
	for t.op == "()()" {
		t = t.kids[0]
	}
	if row.op == "name" && len(row.text) == 1 {
		if row.text >= "x" && t.op != "name" || b[row.text] != nil && b[row.text] != t {
			return false
		}
		b[row.text] = t
		return true
	}
	if row.op != t.op || row.text != t.text && (row.op != "literal" || !sameText(row, t)) || t.safe || len(row.kids) != len(t.kids) {
		return false
	}
	for i := range row.kids {
		if !b.match(row.kids[i], t.kids[i]) {
			return false
		}
	}
	return true
}

func sameText(a, b *tree) bool {
	x, ok := a.constant()
	y, ok2 := b.constant()
	return ok && ok2 && x == y
}

// fill puts the parts into the form here.
func (r *rewriter) fill(form *tree, found binds, variables []string) *tree {
	if form == nil {
		return nil
	}
	if form.op == "name" && found[form.text] != nil {
		if form.text == "x" || form.text == "y" {
			return found[form.text]
		}
		if form.text == "a" {
			return r.tree(found["a"])
		}
		return r.with(variables, found[form.text])
	}
	if form.op == "??" {
		return r.otherwise(made("??", found["a"], found["b"]))
	}
	if form.op == "()()" {
		return r.fill(form.kids[0], found, variables)
	}
	out := *form
	out.made = true
	out.kids = make([]*tree, len(form.kids))
	for i, k := range form.kids {
		if k != nil && form.text == "matches" && found[k.text] != nil && found[k.text].op == "regex" {
			out.kids[i] = r.pattern(found[k.text])
			continue
		}
		out.kids[i] = r.fill(k, found, variables)
	}
	return &out
}

// pattern is the text of a regular expression of JavaScript.
func (r *rewriter) pattern(t *tree) *tree {
	end := strings.LastIndexByte(t.text, '/')
	pattern := strings.ReplaceAll(t.text[1:end], `\/`, "/")
	if strings.Contains(t.text[end:], "i") {
		pattern = "(?i)" + pattern
	}
	if _, err := schemas.CompilePattern(pattern); err != nil || strings.ContainsAny(t.text[end:], "msy") {
		r.lost("the regular expression cannot be used here: patterns are those of RE2, written s.matches(\"^a+$\")")
	}
	r.say("a regular expression is written as a text")
	return leaf("literal", strconv.Quote(pattern))
}
