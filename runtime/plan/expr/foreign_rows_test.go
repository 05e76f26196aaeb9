package expr

import (
	"slices"
	"strings"
	"testing"
)

// rowValues are an expression for each row that has a form here, and what the other language gives for it.
var rowValues = [][2]string{
	{`len(inputs.user.keys())`, `2`}, {`Object.keys(inputs.user).length`, `2`}, {`len(inputs.list)`, `3`}, {`length(inputs.s)`, `3`},
	{`count(inputs.list)`, `3`},
	{`inputs.list.count()`, `3`}, {`inputs.s.length()`, `3`}, {`States.ArrayLength(inputs.list)`, `3`}, {`inputs.list | length`, `3`},
	{`inputs.list | count`, `3`},
	{`inputs.list | size`, `3`}, {`isEmpty(inputs.list)`, `false`}, {`inputs.list.isEmpty()`, `false`}, {`empty([])`, `true`},
	{`inputs.list.isNotEmpty()`, `true`},
	{`Math.max(...inputs.list)`, `3`}, {`Math.min(...inputs.list)`, `1`}, {`max(*inputs.list)`, `3`}, {`min(*inputs.list)`, `1`},
	{`Math.max(1, inputs.num)`, `5`},
	{`Math.min(1, inputs.num)`, `1`}, {`Math.max(1, inputs.num, 9)`, `9`}, {`Math.min(4, inputs.num, 9)`, `4`}, {`max(1, 2)`, `2`},
	{`min(1, 2)`, `1`}, {`max(1, 2, 3)`, `3`},
	{`min(1, 2, 3)`, `1`}, {`max(inputs.list)`, `3`}, {`min(inputs.list)`, `1`}, {`inputs.list | max`, `3`},
	{`inputs.list | min`, `1`}, {`inputs.list.max()`, `3`},
	{`inputs.list.min()`, `1`}, {`math.max(inputs.list)`, `3`}, {`math.min(inputs.list)`, `1`}, {`math.max(1, 2)`, `2`},
	{`math.min(1, 2)`, `1`}, {`Math.abs(inputs.neg)`, `2.5`},
	{`abs(-3)`, `3`}, {`inputs.neg | abs`, `2.5`}, {`Math.floor(inputs.f)`, `2`}, {`floor(inputs.neg)`, `-3`},
	{`Math.ceil(inputs.f)`, `3`}, {`ceil(inputs.num)`, `5`},
	{`Math.trunc(inputs.neg)`, `-2`}, {`Math.sqrt(9)`, `3`}, {`sqrt(16)`, `4`}, {`Math.round(inputs.f)`, `3`},
	{`Math.round(inputs.num)`, `5`}, {`round(2.6)`, `3`}, {`round(inputs.num)`, `5`}, {`Math.floor(inputs.num)`, `5`},
	{`floor(inputs.num)`, `5`},
	{`Math.ceil(inputs.num)`, `5`}, {`ceil(inputs.f)`, `3`}, {`Math.trunc(inputs.num)`, `5`}, {`States.MathAdd(inputs.num, 1)`, `6`},
	{`sum(inputs.list)`, `6`}, {`math.sum(inputs.list)`, `6`}, {`inputs.list | sum`, `6`}, {`avg(inputs.list)`, `2`},
	{`mean(inputs.list)`, `2`}, {`average(inputs.list)`, `2`},

	{`parseInt(inputs.digits)`, `42`}, {`parseInt(inputs.digits, 10)`, `42`}, {`Number.parseInt(inputs.digits)`, `42`},
	{`inputs.digits | int`, `42`}, {`inputs.digits.toInt()`, `42`},
	{`parseFloat(inputs.fraction)`, `1.5`}, {`Number.parseFloat(inputs.fraction)`, `1.5`}, {`Number(inputs.digits)`, `42`},
	{`float(inputs.fraction)`, `1.5`},
	{`inputs.fraction | float`, `1.5`}, {`to_number(inputs.fraction)`, `1.5`}, {`inputs.fraction.toFloat()`, `1.5`},
	{`str(inputs.list)`, `"[3,1,2]"`},
	{`str({"a": 1})`, `"{\"a\":1}"`}, {`str(inputs.num)`, `"5"`}, {`String(inputs.yes)`, `"true"`}, {`inputs.num.toString()`, `"5"`},
	{`inputs.num | string`, `"5"`},
	{`to_string(inputs.num)`, `"5"`}, {`toString(inputs.num)`, `"5"`}, {`JSON.stringify(inputs.list)`, `"[3,1,2]"`},
	{`json.dumps(inputs.list)`, `"[3,1,2]"`},
	{`json.stringify(inputs.list)`, `"[3,1,2]"`}, {`toJSON(inputs.list)`, `"[3,1,2]"`}, {`toJson(inputs.list)`, `"[3,1,2]"`},
	{`to_json(inputs.list)`, `"[3,1,2]"`},
	{`inputs.list | tojson`, `"[3,1,2]"`}, {`inputs.list | to_json`, `"[3,1,2]"`}, {`inputs.list | json`, `"[3,1,2]"`},
	{`States.JsonToString(inputs.list)`, `"[3,1,2]"`},
	{`inputs.list.toJsonString()`, `"[3,1,2]"`},
	{`JSON.parse(inputs.doc)`, `{"k":[1]}`}, {`json.loads(inputs.doc)`, `{"k":[1]}`}, {`json.parse(inputs.doc)`, `{"k":[1]}`},
	{`fromJSON(inputs.doc).k`, `[1]`}, {`fromJson(inputs.doc)`, `{"k":[1]}`},
	{`from_json(inputs.doc)`, `{"k":[1]}`}, {`inputs.doc | from_json`, `{"k":[1]}`}, {`inputs.doc | fromjson`, `{"k":[1]}`},
	{`States.StringToJson(inputs.doc)`, `{"k":[1]}`},
	{`inputs.doc.parseJson()`, `{"k":[1]}`}, {`btoa("hi")`, `"aGk="`}, {`States.Base64Encode("hi")`, `"aGk="`},
	{`atob(inputs.b64)`, `"hi"`}, {`States.Base64Decode(inputs.b64)`, `"hi"`},
	{`encodeURIComponent(inputs.url)`, `"a%20b"`}, {`decodeURIComponent("a%20b")`, `"a b"`},

	{`inputs.s.toLowerCase()`, `"abc"`}, {`inputs.s.lower()`, `"abc"`}, {`lower(inputs.s)`, `"abc"`},
	{`inputs.s.toUpperCase()`, `"ABC"`}, {`inputs.s.upper()`, `"ABC"`}, {`upper(inputs.s)`, `"ABC"`},
	{`toLower(inputs.s)`, `"abc"`}, {`toUpper(inputs.s)`, `"ABC"`}, {`inputs.s | lower`, `"abc"`}, {`inputs.s | upper`, `"ABC"`},
	{`inputs.padded.strip()`, `"x"`},
	{`strip(inputs.padded)`, `"x"`}, {`trim(inputs.padded)`, `"x"`}, {`inputs.padded | trim`, `"x"`},
	{`inputs.s.startswith('A')`, `true`}, {`inputs.s.endswith('c')`, `true`},
	{`startsWith(inputs.s, 'A')`, `true`}, {`endsWith(inputs.s, 'x')`, `false`}, {`starts_with(inputs.s, 'A')`, `true`},
	{`ends_with(inputs.s, 'c')`, `true`},
	{`"aa".replaceAll('a', 'b')`, `"bb"`}, {`inputs.s | replace('A', 'b')`, `"bbc"`}, {`replace(inputs.s, 'A', 'b')`, `"bbc"`},
	{`split(inputs.t, ',')`, `["a","b"]`},
	{`inputs.t | split(',')`, `["a","b"]`}, {`States.StringSplit(inputs.t, ',')`, `["a","b"]`}, {`inputs.texts | join('-')`, `"a-b"`},
	{`join(inputs.texts, '-')`, `"a-b"`},
	{`join('-', inputs.texts)`, `"a-b"`}, {`'-'.join(inputs.texts)`, `"a-b"`}, {`join(json.decode("[\"q\"]"), '-')`, `"q"`},
	{`re.search('b', inputs.s)`, `true`}, {`/^A.c$/.test(inputs.s)`, `true`},
	{`/B/i.test(inputs.s)`, `true`}, {`JSON.stringify(inputs.list, null, 2)`, `"[3,1,2]"`},
	{`json.dumps(inputs.list, indent=2)`, `"[3,1,2]"`}, {`inputs.s.substr(1, 2)`, `"bc"`}, {`inputs.s.concat('d')`, `"Abcd"`},
	{`concat(inputs.s, 'd')`, `"Abcd"`}, {`concat(inputs.s, 'd', 'e')`, `"Abcde"`},
	{`inputs.s.slice(0, 2)`, `"Ab"`},

	{`'name' in inputs.user.keys()`, `true`}, {`Object.keys(inputs.user).includes('zip')`, `false`},
	{`inputs.user.has_key('name')`, `true`}, {`inputs.user.hasOwnProperty('name')`, `true`},
	{`inputs.s.includes('b')`, `true`}, {`inputs.list.includes(1)`, `true`}, {`inputs.list.contains(1)`, `true`},
	{`contains(inputs.s, 'z')`, `false`},
	{`contains(inputs.list, 3)`, `true`}, {`includes(inputs.s, 'b')`, `true`}, {`includes(inputs.list, 7)`, `false`},
	{`States.ArrayContains(inputs.list, 1)`, `true`},
	{`'b' in inputs.s`, `true`}, {`inputs.list.indexOf(1) !== -1`, `true`}, {`inputs.list.indexOf(8) >= 0`, `false`},
	{`inputs.list.indexOf(1) > -1`, `true`},

	{`inputs.list.map(x => x + 1)`, `[4,2,3]`}, {`inputs.list.filter(x => x > 1)`, `[3,2]`}, {`inputs.list.some(x => x > 2)`, `true`},
	{`inputs.list.every(x => x > 2)`, `false`},
	{`inputs.list.any(x => x > 2)`, `true`}, {`inputs.list.all(x => x > 0)`, `true`}, {`inputs.list.some(x, x > 2)`, `true`},
	{`inputs.list.any(x, x > 2)`, `true`}, {`inputs.list.every(x, x > 2)`, `false`},
	{`inputs.list.exists(x => x > 2)`, `true`}, {`inputs.list.map((x, i) => i)`, `[0,1,2]`}, {`inputs.list.find(x => x < 3)`, `1`},
	{`inputs.list.find(x, x > 3)`, `null`},
	{`inputs.two.flatMap(x => x)`, `[1,2]`}, {`inputs.list.reduce((sum, x) => sum + x, 0)`, `6`},
	{`map(lambda x: x + 1, inputs.list)`, `[4,2,3]`},
	{`filter(lambda x: x > 1, inputs.list)`, `[3,2]`}, {`list(map(lambda x: x + 1, inputs.list))`, `[4,2,3]`},
	{`list(filter(lambda x: x > 1, inputs.list))`, `[3,2]`},
	{`any([x > 2 for x in inputs.list])`, `true`}, {`all(x > 2 for x in inputs.list)`, `false`},
	{`sorted(inputs.user.keys())`, `["name","nothing"]`}, {`sorted(inputs.list)`, `[1,2,3]`},
	{`inputs.list | sort`, `[1,2,3]`}, {`sorted(inputs.objects, key=lambda o: -o.n)[0].id`, `"b"`}, {`sort(inputs.list)`, `[1,2,3]`},
	{`reversed(inputs.list)`, `[2,1,3]`},
	{`inputs.list | reverse`, `[2,1,3]`}, {`list(set(inputs.dup))`, `[1,2]`}, {`[...new Set(inputs.dup)]`, `[1,2]`},
	{`inputs.dup | unique`, `[1,2]`}, {`unique(inputs.dup)`, `[1,2]`},
	{`States.ArrayUnique(inputs.dup)`, `[1,2]`}, {`inputs.dup.unique()`, `[1,2]`}, {`inputs.two.flat()`, `[1,2]`},
	{`flatten(inputs.two)`, `[1,2]`}, {`first(inputs.list)`, `3`},
	{`inputs.list | first`, `3`}, {`last(inputs.list)`, `2`}, {`inputs.list | last`, `2`}, {`inputs.list.at(-1)`, `2`},
	{`inputs.list.at(1)`, `1`}, {`inputs.list | list`, `[3,1,2]`},
	{`list(inputs.list)`, `[3,1,2]`}, {`range(3)`, `[0,1,2]`}, {`States.Array(1)`, `[1]`}, {`States.Array(1, 2)`, `[1,2]`},
	{`States.Array(1, 2, 3)`, `[1,2,3]`}, {`States.ArrayGetItem(inputs.list, 1)`, `1`},

	{`inputs.user.get('nope')`, `null`}, {`inputs.user.get('name', 'x')`, `"Ann"`}, {`inputs.user.get('nope', 'x')`, `"x"`},
	{`Object.assign({}, inputs.user, {"a": 1}).a`, `1`},
	{`merge(inputs.user, {"a": 1}).a`, `1`}, {`States.JsonMerge(inputs.user, {"a": 1}, false).a`, `1`},
	{`defined(inputs.user.nope)`, `false`}, {`exists(inputs.user.name)`, `true`},
	{`isset(inputs.user.name)`, `true`}, {`inputs.user.nope === undefined`, `true`}, {`inputs.user.name !== undefined`, `true`},
	{`typeof inputs.user.nope === 'undefined'`, `true`},
	{`inputs.user.nope | default('x')`, `"x"`}, {`inputs.user.name | d('x')`, `"Ann"`}, {`default(inputs.n, 4)`, `4`},
	{`not_null(inputs.n, 4)`, `4`},
	{`inputs.n.isNull()`, `true`}, {`isNull(inputs.n)`, `true`}, {`Array.isArray(inputs.list)`, `true`},
	{`isinstance(inputs.s, list)`, `false`}, {`isinstance(inputs.s, str)`, `true`},
	{`iif(inputs.yes, 1, 2)`, `1`}, {`IF(inputs.yes, 1, 2)`, `1`}, {`$count(inputs.list)`, `3`}, {`$length(inputs.s)`, `3`},
	{`$sum(inputs.list)`, `6`}, {`$max(inputs.list)`, `3`},
	{`$min(inputs.list)`, `1`}, {`$string({"a": 1})`, `"{\"a\":1}"`}, {`$string(inputs.list)`, `"[3,1,2]"`},
	{`$string(inputs.num)`, `"5"`}, {`$number(inputs.digits)`, `42`},
	{`$lowercase(inputs.s)`, `"abc"`}, {`$uppercase(inputs.s)`, `"ABC"`}, {`$join(inputs.texts, '')`, `"ab"`},
	{`$contains(inputs.s, 'b')`, `true`},
	{`Object.keys({"k": 1})`, `["k"]`}, {`{"k": 1}.keys()`, `["k"]`}, {`keys({"k": 1})`, `["k"]`}, {`{"k": 1} | keys`, `["k"]`},
	{`Object.values({"k": 1})`, `[1]`}, {`{"k": 1}.values()`, `[1]`}, {`values({"k": 1})`, `[1]`},
	{`format('{0}-{1}', inputs.s, inputs.num)`, `"Abc-5"`},
	{`States.Format('a {} b', inputs.num)`, `"a 5 b"`}, {`[format('{0}{0}', inputs.num)]`, `["55"]`},
}

// TestForeignRowsMeanTheSame: each row that has a form here is used by one expression at least, which gives what it gives elsewhere.
func TestForeignRowsMeanTheSame(t *testing.T) {
	used := map[string]bool{}
	for _, row := range slices.Concat(rowValues, recordValues) {
		r, got := foreignValue(t, row[0])
		if len(r.Stuck) > 0 {
			t.Errorf("%s: %q", row[0], r.Stuck)
			continue
		}
		if got != row[1] {
			t.Errorf("%s becomes %s, which gives %s, want %s", row[0], r.Text, got, row[1])
		}
		for _, said := range r.Said {
			form, _, _ := strings.Cut(said, " is written ")
			used[form] = true
		}
	}
	for _, rows := range parsedRows() {
		for _, row := range rows {
			if row.to != nil && !used[row.foreign] {
				t.Errorf("no expression uses %s", row.foreign)
			}
		}
	}
}

// TestForeignRowsAreReadable: each row is an expression, and has a form here or a sentence.
func TestForeignRowsAreReadable(t *testing.T) {
	for _, row := range foreignRows {
		if from, _ := parseForeign(row.foreign, 0, len(row.foreign), false); from == nil {
			t.Errorf("%s cannot be read", row.foreign)
		}
		if (row.ours == "") == (row.say == "") {
			t.Errorf("%s has a form and a sentence, or neither", row.foreign)
		}
		if to, _ := parseForeign(row.ours, 0, len(row.ours), false); row.ours != "" && to == nil {
			t.Errorf("%s cannot be read", row.ours)
		}
	}
}
