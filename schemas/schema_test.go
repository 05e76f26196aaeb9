package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// nouns is every type that appears on the wire on its own.
var nouns = []any{
	Plan{}, Node{}, Explain{}, Validation{}, Execution{}, ExecutionList{}, ExecutionMetrics{}, NodeOutput{}, EventList{},
	Patch{}, Capability{}, Discovery{}, Invocation{}, RealmHealth{}, Policies{}, Realm{},
}

func TestSchemasSuitEveryClient(t *testing.T) {
	for _, noun := range nouns {
		for mode, raw := range map[string]json.RawMessage{"input": InputSchema(noun), "output": OutputSchema(noun)} {
			t.Run(fmt.Sprintf("%T/%s", noun, mode), func(t *testing.T) {
				root := compileSchema(t, raw)
				if root["type"] != "object" {
					t.Errorf("root type is %v, want object", root["type"])
				}
				if closed := root["additionalProperties"] == false; closed != (mode == "input") {
					t.Errorf("%s schema closed: %v", mode, closed)
				}
				checkPortable(t, "", root)
			})
		}
	}
}

// checkPortable fails for each thing below v that some known MCP client refuses.
func checkPortable(t *testing.T, at string, v any) {
	t.Helper()
	schema, ok := v.(map[string]any)
	if !ok {
		t.Errorf("%s: a schema is %v, want an object", at, v)
		return
	}
	for key, sub := range schema {
		path := at + "/" + key
		switch key {
		case "$schema", "$ref", "$defs", "$id", "$anchor", "definitions":
			t.Errorf("%s: not allowed", path)
		case "properties", "patternProperties":
			for name, s := range sub.(map[string]any) {
				checkPortable(t, path+"/"+name, s)
			}
		case "anyOf", "oneOf", "allOf", "prefixItems":
			for i, s := range sub.([]any) {
				checkPortable(t, fmt.Sprint(path, "/", i), s)
			}
		case "additionalProperties":
			if sub != false {
				checkPortable(t, path, sub)
			}
		case "items", "not", "if", "then", "else", "contains", "propertyNames":
			checkPortable(t, path, sub)
		}
	}
}

func compileSchema(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("schema is not JSON: %v", err)
	}
	schemaOf(t, raw)
	return doc.(map[string]any)
}

func schemaOf(t *testing.T, raw []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("mem:schema", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:schema")
	if err != nil {
		t.Fatalf("schema does not compile: %v\n%s", err, raw)
	}
	return s
}

func validate(t *testing.T, schema []byte, value any) error {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return schemaOf(t, schema).Validate(doc)
}

func TestSchemasOfEveryFieldKind(t *testing.T) {
	type inner struct {
		A int `json:"a"`
	}
	type noun struct {
		inner
		Any      any               `json:"any"`
		Raw      json.RawMessage   `json:"raw,omitempty" jsonschema:"description=bytes"`
		Value    Value             `json:"value"`
		Object   Object            `json:"object,omitempty"`
		List     []any             `json:"list,omitempty"`
		Map      map[string]any    `json:"map,omitempty"`
		Strings  map[string]string `json:"strings,omitempty"`
		At       time.Time         `json:"at,omitzero"`
		Until    *time.Time        `json:"until,omitempty"`
		For      Duration          `json:"for,omitempty" jsonschema:"description=how long"`
		Status   NodeStatus        `json:"status"`
		Retry    *Retry            `json:"retry,omitempty"`
		Compared string            `json:"compared,omitempty" jsonschema:"description=a < b & c > d\\, as written"`
		Hidden   string            `json:"-"`
		hidden   string
	}
	_ = noun{hidden: ""}.hidden
	anything := `["object","array","string","number","boolean","null"]`
	want := map[string]string{
		"a":       `{"type":"integer"}`,
		"any":     `{"type":` + anything + `}`,
		"raw":     `{"description":"bytes","type":` + anything + `}`,
		"value":   `{"type":` + anything + `}`,
		"object":  `{"type":"object"}`,
		"list":    `{"items":{"type":` + anything + `},"type":"array"}`,
		"map":     `{"type":"object"}`,
		"strings": `{"additionalProperties":{"type":"string"},"type":"object"}`,
		"at":      `{"type":"string","format":"date-time"}`,
		"until":   `{"type":"string","format":"date-time"}`,
		"for":     `{"type":"string","description":"how long","examples":["1h30m"]}`,
		"status": `{"type":"string","enum":["pending","ready","running","backing_off","held","succeeded","failed",` +
			`"skipped","cancelled","compensating","compensated"]}`,
		"compared": `{"type":"string","description":"a < b & c > d, as written"}`,
	}
	var got struct {
		Properties map[string]json.RawMessage
		Required   []string
	}
	raw := InputSchema(noun{})
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		if g := string(got.Properties[name]); g != w {
			t.Errorf("%s:\n got %s\nwant %s", name, g, w)
		}
	}
	if g, w := len(got.Properties), len(want)+1; g != w { // and retry
		t.Errorf("%d properties, want %d: %s", g, w, raw)
	}
	if !strings.Contains(string(got.Properties["retry"]), `"max_attempts"`) {
		t.Errorf("retry is not inline: %s", got.Properties["retry"])
	}
	if g, w := fmt.Sprint(got.Required), "[a any value status]"; g != w {
		t.Errorf("required %s, want %s", g, w)
	}
	if again := InputSchema(noun{}); !bytes.Equal(raw, again) {
		t.Errorf("two reflections differ:\n%s\n%s", raw, again)
	}
}

// A comma in a jsonschema tag ends the keyword; text after it without "=" is silently lost.
func TestTagsLoseNothing(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || typ == reflect.TypeFor[time.Time]() {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag := strings.ReplaceAll(f.Tag.Get("jsonschema"), `\,`, "")
			for _, part := range strings.Split(tag, ",") {
				if tag != "" && !strings.Contains(part, "=") && part != "required" {
					t.Errorf("%s.%s: %q is lost; escape the comma before it", typ, f.Name, part)
				}
			}
			walk(f.Type)
		}
	}
	for _, noun := range nouns {
		walk(reflect.TypeOf(noun))
	}
	if len(seen) < len(nouns) {
		t.Fatalf("walked %d types", len(seen))
	}
}

func TestValuesMatchTheirSchemas(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		noun  any
		value any
	}{
		"execution": {Execution{}, Execution{
			ExecutionID: "e1", Status: StatusFailed, CreatedAt: at, StartedAt: &at, Priority: 3,
			Output: Value(`[1,{"a":null}]`), Error: Errorf(CodeTimeout, "node a took longer than 5s"),
			Nodes:      []NodeView{{ID: "a", Status: NodeFailed, Output: Value(`"x"`)}},
			WaitingFor: []WaitingFor{{NodeID: "b", Reason: ReasonTimer, Since: at}},
		}},
		"validation": {Validation{}, Validation{Findings: []Finding{{
			Severity: SeverityError, Code: "cycle", Path: "/nodes/0", Message: "a → b → a",
			Fix: []PatchOp{{Op: "remove", Path: "/nodes/0/depends_on"}},
		}}}},
		"events": {EventList{}, EventList{Events: []Event{{Seq: 1, At: at, Type: EventCreated, Data: Value(`7`)}}, LastSeq: 1}},
		"error":  {Error{}, Errorf(CodeNotFound, "no realm").WithCandidates([]string{"web"})},
	} {
		t.Run(name, func(t *testing.T) {
			if err := validate(t, OutputSchema(tt.noun), tt.value); err != nil {
				t.Errorf("the value does not match its own schema: %v", err)
			}
			if err := validate(t, OutputSchema(tt.noun), map[string]any{"status": "nonsense"}); err == nil {
				t.Error("the schema accepts nonsense")
			}
		})
	}
}
