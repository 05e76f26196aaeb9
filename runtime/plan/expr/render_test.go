package expr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

func render(t testing.TB, raw string, s Scope, lim Limits) (string, error) {
	t.Helper()
	lim = lim.WithDefaults()
	template, bad := NewTemplate(json.RawMessage(raw), NewEvaluator(lim), lim)
	if len(bad) > 0 {
		return "", schemas.Errorf(schemas.CodeExpressionError, "%s", bad[0].Message)
	}
	out, err := template.Render(t.Context(), s, lim)
	return string(out), err
}

func TestRender(t *testing.T) {
	tests := []struct{ name, template, want string }{
		{"no expression is compacted", `{ "a": [1, 2.50, "x"] }`, `{"a":[1,2.50,"x"]}`},
		{"whole string keeps the type", `{"id":"${inputs.order_id}","n":"${nodes.a.output.n}"}`, `{"id":"A-17","n":5}`},
		{"whole output is copied", `"${nodes.a.output.items}"`, `[{"sku":"x","n":1},{"sku":"y","n":2}]`},
		{"mixed string", `"Refund ${inputs.order_id}: ${nodes.a.output.n} of ${inputs.list}"`, `"Refund A-17: 5 of [1,2,3]"`},
		{"quotes survive", `"${inputs.quote}|${nodes.a.text}"`, `"say \"hi\"\n|plain \"text\""`},
		{"object in text", `"got ${nodes.a.output.items[1]}"`, `"got {\"sku\":\"y\",\"n\":2}"`},
		{"escape", `"$${inputs.n} costs $5 and $${"`, `"${inputs.n} costs $5 and ${"`},
		{"escaped in JSON", `"\u0024{inputs.n}"`, `3`},
		{"index and key", `"${nodes.a.output['items'][1][\"sku\"]}"`, `"y"`},
		{"dash in brackets", `"${inputs[\"with-dash\"]}"`, `1`},
		{"blanks", `"${  inputs.n  }"`, `3`},
		{"brace in a literal", `"${'}' + inputs.order_id}"`, `"}A-17"`},
		{"object literal", `"${{\"b\": inputs.n, \"a\": [1]}}"`, `{"a":[1],"b":3}`},
		{"key with escape", `{"$${x}":1}`, `{"${x}":1}`},
		{"large integer copied", `"${inputs.big}"`, `9007199254740993`},
		{"huge integer copied", `"${inputs.huge}"`, `123456789012345678901234567890`},
		{"large integer calculated", `"${inputs.big + 1}"`, `9007199254740994`},
		{"int plus double", `"${nodes.a.output.n + nodes.a.output.total}"`, `12.25`},
		{"double times int", `"${inputs.ratio * inputs.n}"`, `1.5`},
		{"int minus double literal", `"${inputs.n - 0.5}"`, `2.5`},
		{"division of integers", `"${inputs.n / 2}"`, `1`},
		{"division with a double", `"${inputs.n / 2.0}"`, `1.5`},
		{"comparison across", `"${inputs.n > 2.5 && nodes.a.output.total >= 7}"`, `true`},
		{"integral double", `"${inputs.ratio * 2}"`, `1`},
		{"filter and map", `"${nodes.a.output.items.filter(x, x.n > 1).map(x, x.sku)}"`, `["y"]`},
		{"has", `"${has(nodes.a.output.missing) ? 1 : 0}"`, `0`},
		{"optional", `"${nodes.a.output.?missing.orValue(\"none\")}"`, `"none"`},
		{"bind", `"${cel.bind(x, inputs.n, x * x)}"`, `9`},
		{"strings", `"${inputs.order_id.lowerAscii().split('-')}"`, `["a","17"]`},
		{"json.decode", `"${json.decode('{\"big\": 9007199254740993}').big}"`, `9007199254740993`},
		{"json.encode", `"${json.encode(inputs.list)}"`, `"[1,2,3]"`},
		{"base64", `"${base64.encode(bytes(inputs.order_id))}"`, `"QS0xNw=="`},
		{"math", `"${math.greatest(inputs.n, 10)}"`, `10`},
		{"null", `"${nodes.a.output.nothing}"`, `null`},
		{"skipped node is null", `"${nodes.b.output}"`, `null`},
		{"status", `"${nodes.b.status} ${nodes.c.degraded}"`, `"skipped true"`},
		{"status in an expression", `"${nodes.c.status == 'failed' && nodes.c.error.code == 'tool_error'}"`, `true`},
		{"error member", `"${nodes.c.error.message}"`, `"it broke"`},
		{"no error is null", `"${nodes.a.error}"`, `null`},
		{"whole node", `"${nodes.b}"`, `{"output":null,"text":"","content":null,"status":"skipped","error":null,"errors":[],"degraded":false}`},
		{"execution and session", `"${execution.name} ${session.data.user}"`, `"refund ada"`},
		{"output is never evaluated again", `{"a":"${nodes.a.output.text}","b":"<${nodes.a.output.text}>","c":"${nodes.a.output.text + '!'}"}`,
			`{"a":"${inputs.order_id}","b":"<${inputs.order_id}>","c":"${inputs.order_id}!"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := render(t, tt.template, sampleScope(), Limits{})
			if err != nil || got != tt.want {
				t.Errorf("got %s, error %v, want %s", got, err, tt.want)
			}
			if err == nil && !json.Valid([]byte(got)) {
				t.Errorf("not valid JSON: %s", got)
			}
		})
	}
}

func TestRenderErrorsNameTheWay(t *testing.T) {
	tests := []struct{ name, template, want, hint string }{
		{"missing key", `"${nodes.a.output.totl}"`, "`nodes.a.output` has no key \"totl\", did you mean \"total\"?", "items, n, nothing, text, total"},
		{"missing key in an expression", `"${nodes.a.output.totl * 2}"`, "`nodes.a.output` has no key \"totl\", did you mean \"total\"?", "has(…)"},
		{"missing input", `"${inputs.orderid}"`, "`inputs` has no key \"orderid\", did you mean \"order_id\"?", "order_id"},
		{"empty object", `"${inputs.empty.x}"`, "has no key \"x\"", "empty object"},
		{"null", `"${nodes.b.output.x}"`, "`nodes.b.output` is null because the node is skipped", "!= null"},
		{"null in an expression", `"${nodes.b.output.x == 1}"`, "`nodes.b.output` is null because the node is skipped", "!= null"},
		{"into a string", `"${inputs.order_id.x}"`, "`inputs.order_id` is a string", "json.decode"},
		{"list by key", `"${nodes.a.output.items.sku}"`, "`nodes.a.output.items` is a list, which has no key \"sku\"", ".map(x, x.sku)"},
		{"index beyond", `"${nodes.a.output.items[7].sku}"`, "has 2 items, so there is no item 7", "count from 0"},
		{"member", `"${nodes.a.result}"`, "has no key \"result\"", "output, status, text"},
		{"types that do not go together", `"${inputs.order_id + 1}"`, "no such overload", "string(…)"},
		{"too large to mix", `"${inputs.big * 0.5}"`, "9007199254740993 is too large to calculate with a double exactly", ""},
		{"division by zero", `"${inputs.n / 0}"`, "division by zero", ""},
		{"no number", `"${0.0 / 0.0}"`, "NaN is not a JSON number", ""},
		{"key of a macro's item", `"${nodes.a.output.items.map(x, x.name)}"`, "no such key: name", ""},
		{"unknown root", `"${inptus.n}"`, "expressions read inputs, nodes.<id>, execution and session", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := render(t, tt.template, sampleScope(), Limits{})
			var e *schemas.Error
			if !errors.As(err, &e) || e.Code != schemas.CodeExpressionError {
				t.Fatalf("got %v, want an expression_error", err)
			}
			if !strings.Contains(e.Message, tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("got %q (%q), want %q (%q)", e.Message, e.Hint, tt.want, tt.hint)
			}
		})
	}
}

// No expression costs more than its limits.
func TestRenderIsBounded(t *testing.T) {
	big := NewValue(json.RawMessage(`"` + strings.Repeat("x", 600_000) + `"`))
	s := &scope{inputs: big, nodes: map[string]NodeValue{"a": {Output: big}}}
	digits := "[" + strings.Repeat("0,", 99) + "0]"
	tests := []struct {
		name, template string
		code           schemas.Code
	}{
		{"copies", `["${inputs}","${inputs}"]`, schemas.CodePayloadTooLarge},
		{"interpolation", `"${inputs}${inputs}"`, schemas.CodePayloadTooLarge},
		{"concatenation", `"${nodes.a.output + nodes.a.output}"`, schemas.CodePayloadTooLarge},
		{"nested comprehensions", `"${` + digits + `.map(a, ` + digits + `.map(b, ` + digits + `.map(c, ` + digits + `.map(d, a + b + c + d))))}"`, schemas.CodeExpressionError},
		{"doubling", `"${cel.bind(a, nodes.a.output, cel.bind(b, a+a, cel.bind(c, b+b, cel.bind(d, c+c, cel.bind(e, d+d, size(cel.bind(f, e+e, cel.bind(g, f+f, g+g))))))))}"`, schemas.CodeExpressionError},
		{"replace", `"${size('aaaaaaaaaa'.replace('a', nodes.a.output).replace('x', nodes.a.output))}"`, schemas.CodeExpressionError},
		{"range", `"${size(lists.range(100000000))}"`, schemas.CodeExpressionError},
		{"join", `"${size(lists.range(1000).map(x, nodes.a.output).join(''))}"`, schemas.CodeExpressionError},
		{"join with a long separator", `"${size(lists.range(1000).map(x, '').join(nodes.a.output))}"`, schemas.CodeExpressionError},
		{"replace all", `"${size(nodes.a.output.replace('x', nodes.a.output))}"`, schemas.CodeExpressionError},
		{"replace nothing", `"${size(nodes.a.output.replace('', nodes.a.output))}"`, schemas.CodeExpressionError},
		{"format a list", `"${size('%s'.format([lists.range(1000).map(x, nodes.a.output)]))}"`, schemas.CodeExpressionError},
		{"json.encode", `"${size(json.encode(lists.range(1000).map(x, nodes.a.output)))}"`, schemas.CodeExpressionError},
		{"pattern", `"${nodes.a.output.matches('(x{0,1000}){0,1}y')}"`, schemas.CodeExpressionError},
		{"sets", `"${sets.contains(nodes.a.output.split(''), nodes.a.output.split(''))}"`, schemas.CodeExpressionError},
		{"format", `"${'%.1000000f'.format([1.0])}"`, schemas.CodeExpressionError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := render(t, tt.template, s, Limits{})
			var e *schemas.Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Errorf("got %d bytes, error %v, want %s", len(out), err, tt.code)
			}
		})
	}
}

func TestBoolAndText(t *testing.T) {
	lim := Limits{}.WithDefaults()
	for _, tt := range []struct {
		when    string
		want    bool
		message string
	}{
		{"${inputs.n > 2}", true, ""}, {"${inputs.n > 5}", false, ""}, {"true", true, ""}, {"false", false, ""},
		{"${inputs.n}", false, "must be true or false, got 3"}, {"${inputs.order_id}", false, `got "A-17"`},
	} {
		template, bad := NewText(tt.when, NewEvaluator(lim), lim)
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		got, err := template.Bool(t.Context(), sampleScope(), lim)
		if got != tt.want || (err == nil) != (tt.message == "") || err != nil && !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s: got %v, %v, want %v, %q", tt.when, got, err, tt.want, tt.message)
		}
	}
	for text, want := range map[string]string{"10m": "10m", "${inputs.n}m": "3m", "${inputs.order_id}": "A-17", "${inputs.list}": "[1,2,3]", "${inputs.quote}": "say \"hi\"\n"} {
		template, _ := NewText(text, NewEvaluator(lim), lim)
		if got, err := template.Text(t.Context(), sampleScope(), lim); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestValueIsDecodedOnceByMany(t *testing.T) {
	v := NewValue(json.RawMessage(`{"a":[1,2.5,"x",null,true,{"b":18446744073709551616}]}`))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := v.Decode()
			if err != nil || fmt.Sprint(got) != "map[a:[1 2.5 x <nil> true map[b:1.8446744073709552e+19]]]" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if _, err := NewValue(json.RawMessage(`{"a":`)).Decode(); err == nil {
		t.Error("broken JSON was decoded")
	}
	if got, err := NewValue(nil).Decode(); got != nil || err != nil {
		t.Errorf("absent bytes: got %v, %v, want null", got, err)
	}
}

func TestRenderSharedTemplateConcurrently(t *testing.T) {
	lim := Limits{}.WithDefaults()
	template, _ := NewTemplate(json.RawMessage(`{"x":"${nodes.a.output.items.filter(i, i.n > inputs.n - 2).size()}","y":"${nodes.a.output.n}"}`), NewEvaluator(lim), lim)
	s := sampleScope()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if out, err := template.Render(t.Context(), s, Limits{}); err != nil || string(out) != `{"x":1,"y":5}` {
				t.Errorf("got %s, %v", out, err)
			}
		})
	}
	wg.Wait()
}

func TestRenderItemIndexAndOutput(t *testing.T) {
	s := sampleScope()
	s.item, s.at, s.output = NewValue(json.RawMessage(`{"email":"a@x","n":2,"list":[{"id":"i0"}]}`)), 3, NewValue(json.RawMessage(`{"items":[{"id":"r1"}]}`))
	for template, want := range map[string]string{
		`{"to":"${item.email}","n":"${index}"}`:                          `{"to":"a@x","n":3}`,
		`"#${index}: ${item.list[0].id}"`:                                `"#3: i0"`,
		`"${item}"`:                                                      `{"email":"a@x","n":2,"list":[{"id":"i0"}]}`,
		`"${index + item.n * 2}"`:                                        `7`,
		`"${inputs.list[index - 1]}"`:                                    `3`,
		`"${size(output.items) > 0}"`:                                    `true`,
		`"${output.items[0].id}"`:                                        `"r1"`,
		`"${output}"`:                                                    `{"items":[{"id":"r1"}]}`,
		`"${nodes.a.output.items.map(item, item.n)}"`:                    `[1,2]`,
		`"${nodes.a.output.items.filter(item, item.n > 1)[0].sku}"`:      `"y"`,
		`"${nodes.a.output.items.map(output, output.sku + item.email)}"`: `["xa@x","ya@x"]`,
		`"${inputs.list.map(index, index * 2)}"`:                         `[2,4,6]`,
	} {
		if got, err := render(t, template, s, Limits{}); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", template, got, err, want)
		}
	}
	for template, want := range map[string]string{
		`"${item.emial}"`:      "`item` has no key \"emial\", did you mean \"email\"?",
		`"${item.emial + ''}"`: "`item` has no key \"emial\", did you mean \"email\"?",
		`"${index.x}"`:         "`index` is a number",
		`"${output.itms}"`:     "did you mean \"items\"?",
	} {
		if _, err := render(t, template, s, Limits{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", template, err, want)
		}
	}
	for _, template := range []string{`"${item}"`, `"${item.x + 1}"`, `"${index}"`, `"${index + 1}"`} {
		if _, err := render(t, template, sampleScope(), Limits{}); err == nil || !strings.Contains(err.Error(), "no for_each") {
			t.Errorf("%s without an item: got %v", template, err)
		}
	}
}

// unused is an Evaluator that nothing may ask.
type unused struct{ t *testing.T }

func (u unused) Check(text string) (Facts, []Fault) {
	u.t.Errorf("%s was compiled", text)
	return Facts{}, nil
}

func (u unused) Eval(_ context.Context, text string, _ Scope, _ *Meter) (json.RawMessage, error) {
	u.t.Errorf("%s was evaluated", text)
	return nil, nil
}

func (unused) Path(text string) (Path, bool) { return ParsePath(text) }

func (u unused) Named(string, string) Evaluator { return u }

func TestPlainPathsSkipTheExpressionLanguage(t *testing.T) {
	lim := Limits{}.WithDefaults()
	for _, path := range []string{"inputs.order_id", "inputs['with-dash']", "nodes.a.output.items[1].sku", "nodes.a.text", "nodes.c.error.code", "execution.id", "session.data.user"} {
		template, bad := NewTemplate(json.RawMessage(`{"whole":`+document.Quote("${"+path+"}")+`,"part":`+document.Quote("- ${ "+path+" } -")+`}`), unused{t}, lim)
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		if out, err := template.Render(t.Context(), sampleScope(), lim); err != nil {
			t.Errorf("%s: %s %v", path, out, err)
		}
	}
}
