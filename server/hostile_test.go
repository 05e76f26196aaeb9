package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// values are of every type, at the ends of every range, and in every form that other readers read in another way.
func values() []string {
	values := []string{
		`null`, `true`, `false`, `0`, `-1`, `-0`, `1`, `1.5`, `-0.0001`, `5e-324`, `1e308`, `1e309`, `1e400`, `-1e400`, `1e-400`,
		`1e999999`, `0e999999999`,
		`9007199254740993`, `9223372036854775807`, `-9223372036854775808`, `9223372036854775808`, `18446744073709551616`,
		`1` + strings.Repeat("0", 350),
		`0.` + strings.Repeat("1", 350), strings.Repeat("9", 5000),
		`[]`, `{}`, `[[]]`, `[null]`, `{"":""}`, `{"a":null}`, `{"a":1e400}`, `{"a":1,"a":2}`, `[1e999999]`, `{"\ud800":1}`,
		deep(90), deep(1100), deep(10_000), strings.Repeat(`{"a":`, 90) + `1` + strings.Repeat(`}`, 90),
		strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000),
		`[` + strings.Repeat(`0,`, 20_000) + `0]`, `"\ud800"`, `"\udc00\ud800"`, "\"\xff\xfe\"", "\"\xed\xa0\x80\"",
		`"` + strings.Repeat("x", 70_000) + `"`,
	}
	for _, text := range []string{
		"", " ", "\x00", "\n", "a\x00b", "*", "a:b{c}*", "../../etc/passwd", "~", "-", "/", "/a/~2/~", "null", "true", "0", "-1",
		"NaN", "Infinity", "-Infinity", "0x10", "1e400", "1_000",
		"\u202egnp.exe", "\u200b", "\ufeff", "\x1b[2J", "%s%n%d%v", "\u00a0", "é\u0301", "\U0001f600", "<script>", "'; --",
		"0s", "-1s", "1", "1ns", "-9223372036854775808ns", "9223372036854775807ns", "292y", "366d", "9999999h", "P-1D", "PT1e400S",
		"PT" + strings.Repeat("9", 400) + "S", "1e400s", "PT", "P99999999999Y", "1s1s",
		"0001-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z",
		"10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00+99:99",
		"${", "${}", "${1/0}", "${nodes.zz.output}", "${inputs}", "${'a' * 5}", "${lists.range(1000000000)}", "$${a}", "${env.HOME}",
		"{", "[", "{\"a\":", "a: b: c", "- &a [*a]", "<<: *a", "!!binary x", "%YAML 9", "a: 0001-01-01", "plan: v1\nnodes: []",
		"{\"a\":1e400}", "{\"plan\":\"v1\",\"nodes\":1e400}", "{\"priority\":1e400}",
	} {
		b, _ := json.Marshal(text)
		values = append(values, string(b))
	}
	return values
}

// some are every eighth of the values, others for each n, so that a list of fields gets them all; with RUNPLANE_ALL_VALUES=1 they are
// all for each field, which takes minutes.
func some(values []string, n int) []string {
	if os.Getenv("RUNPLANE_ALL_VALUES") != "" {
		return values
	}
	const part = 8
	var some []string
	for i := n % part; i < len(values); i += part {
		some = append(some, values[i])
	}
	return some
}

// fields are the JSON pointers of everything that a schema names, below at.
func fields(schema map[string]any, at string) (all []string) {
	if properties, ok := schema["properties"].(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			below := schemas.PointerTo(at, name)
			all = append(all, below)
			if s, ok := properties[name].(map[string]any); ok {
				all = append(all, fields(s, below)...)
			}
		}
	}
	for keyword, below := range map[string]string{"items": "/0", "additionalProperties": "/x"} {
		if s, ok := schema[keyword].(map[string]any); ok {
			all = append(append(all, at+below), fields(s, at+below)...)
		}
	}
	for _, keyword := range []string{"anyOf", "oneOf", "allOf"} {
		list, _ := schema[keyword].([]any)
		for _, s := range list {
			if s, ok := s.(map[string]any); ok {
				all = append(all, fields(s, at)...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// mark stands for the value in a document that is a text already.
const mark = "\u0001the value\u0001"

// with is a document as JSON in which the value stands at a pointer; what is missing on the way there is made.
func with(document any, pointer, value string) string {
	var put func(in any, tokens []string) any
	put = func(in any, tokens []string) any {
		if len(tokens) == 0 {
			return mark
		}
		if list, ok := in.([]any); ok || tokens[0] == "0" {
			list = slices.Clone(list)
			if len(list) == 0 {
				list = []any{nil}
			}
			list[0] = put(list[0], tokens[1:])
			return list
		}
		object, _ := in.(map[string]any)
		object = maps.Clone(object)
		if object == nil {
			object = map[string]any{}
		}
		object[tokens[0]] = put(object[tokens[0]], tokens[1:])
		return object
	}
	b, err := json.Marshal(put(document, strings.Split(pointer, "/")[1:]))
	if err != nil {
		panic(err)
	}
	quoted, _ := json.Marshal(mark)
	return strings.Replace(string(b), string(quoted), value, 1)
}

// internals are texts of libraries, which say nothing to a model.
var internals = regexp.MustCompile(`json: |cannot unmarshal|Go (value|struct|type)|strconv\.|parsing time|(^|[^./\w])time: |` +
	`unexpected (EOF|end of JSON)|invalid character|runtime error|nil pointer|goroutine |reflect[.:]|%!|` +
	`context (canceled|deadline)|yaml: |regexp: |\*schemas\.|` +
	`interface \{|map\[string\]|schema:tool`)

var number = regexp.MustCompile(`^[1-9][0-9]*$`)

// defect is what is wrong with an answer to a call, whatever was called with what; empty: nothing.
func (r received) defect() string {
	if r.Error != nil { // a message that could not be read at all
		data, _ := r.Error.Data.(map[string]any)
		hint, _ := data["hint"].(string)
		if hint == "" || r.Error.Message == "" || data["code"] == string(schemas.CodeInternal) || internals.MatchString(r.Error.Message) {
			return fmt.Sprintf("a protocol error: %+v", r.Error)
		}
		return ""
	}
	if r.Result == nil || len(r.Result.Content) != 1 {
		return "no result"
	}
	text := r.Result.Content[0].Text
	if found := internals.FindString(text); found != "" {
		return fmt.Sprintf("%q in: %.400s", found, text)
	}
	if !r.Result.IsError {
		return ""
	}
	var body struct{ Error schemas.Error }
	switch err := json.Unmarshal([]byte(text), &body); {
	case err != nil:
		return err.Error()
	case body.Error.Code == schemas.CodeInternal || !body.Error.Code.Valid():
		return "code " + text
	case body.Error.Message == "" || body.Error.Hint == "":
		return "no message or no hint: " + text
	case len(text) > 64<<10:
		return fmt.Sprintf("an error of %d bytes: %.300s", len(text), text)
	}
	return ""
}

func callMessage(id int, tool, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, id, tool, arguments)
}

// Any value in any argument of any tool, and in any field of a plan, is used or refused. A refusal says what to do; it is no
// internal error and has no text of a library.
func TestAnyValueInAnyArgument(t *testing.T) {
	s, publish := published(t)
	publish("greet", "hello")
	ask := doors[0].open(t, s)
	n := 0
	call := func(tool, arguments string) received {
		t.Helper()
		n++
		return strict(t, ask(callMessage(n, tool, arguments)))
	}
	plan := map[string]any{"plan": "v1", "nodes": []any{map[string]any{"id": "a", "set": 1}}}
	known := required(t, call, plan)
	found := map[string]int{} // one of a kind is shown
	check := func(tool, pointer, value string, r received) {
		t.Helper()
		if d := r.defect(); d != "" {
			if found[tool+pointer]++; found[tool+pointer] <= 2 {
				t.Errorf("%s with %s = %.60s: %s", tool, pointer, value, d)
			}
		}
	}
	all, turn := values(), 0
	for _, m := range tools.All() {
		var schema map[string]any
		if err := json.Unmarshal(m.Input, &schema); err != nil {
			t.Fatal(err)
		}
		arguments := map[string]any{}
		list, _ := schema["required"].([]any)
		for _, name := range list {
			arguments[name.(string)] = known[name.(string)]
		}
		if properties := schema["properties"].(map[string]any); properties["wait_seconds"] != nil {
			arguments["wait_seconds"] = 0
		}
		for _, pointer := range append(fields(schema, ""), "/no_such_argument") {
			turn++
			for _, value := range some(all, turn) {
				if pointer == "/wait_seconds" && number.MatchString(value) {
					continue // it would wait
				}
				check(m.Name, pointer, value, call(m.Name, with(arguments, pointer, value)))
			}
		}
		turn++
		for _, value := range some(all, turn) {
			check(m.Name, "", value, call(m.Name, value))
		}
	}
}

// required are arguments that the tools take.
func required(t *testing.T, call func(tool, arguments string) received, plan map[string]any) map[string]any {
	t.Helper()
	var e schemas.Execution
	executed := call("execute_plan", with(map[string]any{}, "/execution_plan", encoded(plan)))
	if err := json.Unmarshal(executed.Result.StructuredContent, &e); err != nil {
		t.Fatal(err)
	}
	var session schemas.Session
	if err := json.Unmarshal(call("create_session", `{}`).Result.StructuredContent, &session); err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"execution_plan": plan, "definition": plan, "execution_id": e.ExecutionID, "session_id": session.SessionID, "workflow_id": "greet",
		"name": "w", "node_id": "a", "state_key": "k", "state_type": "t", "state_data": map[string]any{}, "updates": map[string]any{},
		"inputs": map[string]any{}, "timeout_seconds": 1, "retry_config": map[string]any{}, "event_name": "x", "priority": 3, "realm": "r",
		"capability_name": "c",
	}
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// The same for every field of a plan; what is accepted is executed.
func TestAnyValueInAnyFieldOfAPlan(t *testing.T) {
	s, publish := published(t)
	publish("greet", "hello")
	ask := doors[0].open(t, s)
	n := 0
	call := func(tool, arguments string) received {
		t.Helper()
		n++
		return strict(t, ask(callMessage(n, tool, arguments)))
	}
	var schema map[string]any
	if err := json.Unmarshal(schemas.PlanSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var executions []string
	all := values()
	for i, pointer := range fields(schema, "") {
		if strings.HasPrefix(pointer, "/nodes/x/") {
			continue // the nodes of a map have the fields of those of a list
		}
		node := map[string]any{"id": "a", "set": 1}
		for _, kind := range []string{"capability", "wait", "wait_for", "review", "workflow"} {
			if strings.HasPrefix(pointer+"/", "/nodes/0/"+kind+"/") {
				delete(node, "set")
			}
		}
		plan := map[string]any{"plan": "v1", "nodes": []any{node}}
		for _, value := range some(all, i) {
			p := with(plan, pointer, value)
			r := call("execute_plan", with(map[string]any{"wait_seconds": 0}, "/execution_plan", p))
			if d := r.defect(); d != "" {
				if found[pointer]++; found[pointer] <= 2 {
					t.Errorf("%.200s: %s", p, d)
				}
			}
			var e schemas.Execution
			if r.Result != nil && !r.Result.IsError && json.Unmarshal(r.Result.StructuredContent, &e) == nil {
				executions = append(executions, e.ExecutionID)
			}
		}
	}
	if len(executions) < 100 {
		t.Errorf("%d plans were executed", len(executions))
	}
	for _, id := range executions {
		if d := call("get_execution_status", fmt.Sprintf(`{"execution_id":%q,"view":"nodes"}`, id)).defect(); d != "" {
			t.Error(d)
		}
	}
}
