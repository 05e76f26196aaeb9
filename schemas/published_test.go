package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/invopop/jsonschema"
)

var update = flag.Bool("update", false, "write the published schemas")

func TestPublishedPlanSchemaIsCurrent(t *testing.T) {
	want := publish(t, planDocument())
	if *update {
		if err := os.WriteFile("plan.schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(PlanSchema(), want) {
		t.Error("plan.schema.json is stale: run `go generate ./...`")
	}
}

// publish prints a schema as a document that people read in a diff.
func publish(t *testing.T, s *jsonschema.Schema) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, encode(s), "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// planDocument is the schema of [Plan] for editors, with the forms that are normalised on the way in.
func planDocument() *jsonschema.Schema {
	s := Reflect(Plan{}, false)
	s.Version = jsonschema.Version
	s.Title = "Runplane execution plan"
	s.Description = "A DAG of nodes that call capabilities. Strings may hold ${…} expressions over inputs and nodes.<id>.output."

	nodes := property(s, "nodes")
	node := nodes.Items
	for _, kind := range []string{"capability", "set", "wait", "wait_for", "review", "workflow"} {
		node.OneOf = append(node.OneOf, requires(kind))
	}
	name := &jsonschema.Schema{Type: "string", Pattern: `^[^.]+\..+$`}
	either(node, "capability", name, Reflect(capabilityName{}, false))
	property(node, "wait_for").OneOf = []*jsonschema.Schema{requires("event"), requires("state")}
	property(node, "wait_for").DependentRequired = map[string][]string{"until": {"state"}}
	either(node, "wait_for", &jsonschema.Schema{Type: "string", MinLength: new(uint64(1)), MaxLength: new(uint64(255))}, property(node, "wait_for"))
	either(node, "review", &jsonschema.Schema{Type: "string", MinLength: new(uint64(1))}, property(node, "review"))
	property(node, "workflow").OneOf = []*jsonschema.Schema{requires("name"), requires("definition")}
	property(property(node, "workflow"), "definition").Required = []string{"nodes"}
	either(node, "workflow", &jsonschema.Schema{Type: "string"}, property(node, "workflow"))
	list, given := &jsonschema.Schema{Type: "array"}, &jsonschema.Schema{Type: "string", Pattern: `\$\{`}
	named := property(node, "for_each")
	named.Required = []string{"items"}
	named.Properties.Set("items", &jsonschema.Schema{Description: property(named, "items").Description, OneOf: []*jsonschema.Schema{list, given}})
	node.Properties.Set("for_each", &jsonschema.Schema{
		Description: property(node, "for_each").Description, OneOf: []*jsonschema.Schema{list, given, named},
	})

	unknown := property(node, "on_unknown")
	unknown.AnyOf = []*jsonschema.Schema{requires("then"), requires("verify")}
	property(property(unknown, "verify"), "capability").Pattern = name.Pattern
	either(node, "on_unknown", property(unknown, "then"), unknown)
	undo := property(node, "compensate")
	property(undo, "capability").Pattern = name.Pattern
	either(node, "compensate", name, undo)
	serves := property(node, "fallback").Items
	serves.OneOf = []*jsonschema.Schema{requires("capability"), requires("value")}
	property(serves, "capability").Pattern = name.Pattern
	property(node, "fallback").Items = &jsonschema.Schema{OneOf: []*jsonschema.Schema{name, serves}}

	keyed := *node // in a map the key is the id
	keyed.Required = without(node.Required, "id")
	s.Properties.Set("nodes", &jsonschema.Schema{
		Description: "the nodes, as a list or as a map from id to node",
		OneOf: []*jsonschema.Schema{nodes, {
			Type: "object", AdditionalProperties: &keyed,
			PropertyNames: &jsonschema.Schema{Pattern: NodeID.String()},
		}},
	})
	return s
}

type capabilityName struct {
	Realm string `json:"realm"`
	Name  string `json:"name"`
}

// either lets a property be written in two forms.
func either(s *jsonschema.Schema, name string, short, long *jsonschema.Schema) {
	s.Properties.Set(name, &jsonschema.Schema{Description: property(s, name).Description, OneOf: []*jsonschema.Schema{short, long}})
}

func property(s *jsonschema.Schema, name string) *jsonschema.Schema {
	p, ok := s.Properties.Get(name)
	if !ok {
		panic("no property " + name)
	}
	return p
}

func requires(name string) *jsonschema.Schema { return &jsonschema.Schema{Required: []string{name}} }

func without(list []string, name string) []string {
	var out []string
	for _, s := range list {
		if s != name {
			out = append(out, s)
		}
	}
	return out
}

func TestPlanSchemaAcceptsAndRefuses(t *testing.T) {
	node := func(extra string) string { return `{"plan":"v1","nodes":[{"id":"a",` + extra + `}]}` }
	full, err := json.Marshal(Plan{
		Version: PlanVersion, Name: "all", Description: "every field", Inputs: Object(`{"a":[1,null]}`), Timeout: 1, QueueTimeout: 1, Priority: 5,
		IdempotencyKey: "k", MaxParallel: 1000, Output: Value(`"${nodes.a.output}"`),
		Defaults: &Defaults{Timeout: 1, Retry: &Retry{MaxAttempts: 3, Jitter: new(float64), RetryOn: []Code{CodeTimeout}}},
		Nodes: []Node{{
			ID: "a", Description: "d", Capability: "shop.order.get", DependsOn: []string{"b"}, TriggerRule: AllDone, CancelOthers: true, When: "${true}",
			Inputs: Object(`{"x":"${inputs.a}"}`), Timeout: 1, Retry: &Retry{BackoffCoefficient: 2}, OnError: OnErrorContinue,
			OnUnknown: &OnUnknown{Then: OnUnknownRetry}, Effect: EffectOnce,
		}, {ID: "b", Set: Value(`false`)}, {ID: "c", Wait: "10m"}, {
			ID: "d", Capability: "pay.refund", ForEach: &ForEach{Items: Value(`"${inputs.a}"`), As: "one", IndexAs: "i"}, MaxParallel: 4, MaxItems: 10, MinSuccess: new(int), Timeout: 1,
			TotalTimeout: 2, QueueTimeout: 3, HeartbeatTimeout: 1, Priority: 1, SafetyLevel: SafetyReview,
			Fallback:   []Fallback{{Capability: "pay.other", Inputs: Object(`{}`)}, {Value: Value(`null`)}},
			Compensate: &Compensate{Capability: "pay.void", Inputs: Object(`{"id":"${nodes.d.output.id}"}`), Timeout: 1, Retry: &Retry{MaxAttempts: 9}},
			OnError:    OnErrorCompensate,
			OnUnknown: &OnUnknown{Then: OnUnknownFail, Verify: &Verify{
				Capability: "pay.find", Inputs: Object(`{}`), Happened: "${output.found}", Output: Value(`"${output.it}"`),
			}},
		}, {ID: "e", WaitFor: &WaitFor{Event: "paid", Timeout: 1}}, {
			ID: "i", WaitFor: &WaitFor{State: &StateName{Type: "order", Key: "${inputs.a}"}, Until: "${state.found}", Timeout: 1},
		}, {ID: "f", Review: &Review{Question: "ok?", Choices: []string{"a"}, Schema: Object(`{"type":"object"}`), Expires: 1}, TriggerRule: OneFailed}, {
			ID: "g", Workflow: &Workflow{Definition: &Plan{Version: PlanVersion, Nodes: []Node{{ID: "a", Set: Value(`1`)}}}},
		}, {ID: "h", Workflow: &Workflow{Name: "refund@3"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		plan  string
		valid bool
	}{
		{"every field", string(full), true},
		{"set null", node(`"set":null`), true},
		{"no nodes yet", `{"plan":"v1","nodes":[]}`, true},
		{"nodes as a map", `{"plan":"v1","nodes":{"a":{"set":1},"b":{"id":"b","wait":"1s"}}}`, true},
		{"capability as an object", node(`"capability":{"realm":"shop","name":"get"}`), true},
		{"bare forms", node(`"capability":"pay.refund","on_unknown":"retry","compensate":"pay.void","fallback":["pay.other",{"value":1}],"for_each":[1,2]`), true},
		{"bare event", node(`"wait_for":"paid"`), true},
		{"bare question", node(`"review":"ok?"`), true},
		{"workflow by name", node(`"workflow":"refund"`), true},
		{"event without a name", node(`"wait_for":{"timeout":"1m"}`), false},
		{"state", node(`"wait_for":{"state":{"type":"order","key":"A"}}`), true},
		{"event and state", node(`"wait_for":{"event":"paid","state":{"type":"order","key":"A"}}`), false},
		{"until of an event", node(`"wait_for":{"event":"paid","until":"${true}"}`), false},
		{"state without a key", node(`"wait_for":{"state":{"type":"order"}}`), false},
		{"unknown word for on_unknown", node(`"capability":"a.b","on_unknown":"again"`), false},
		{"on_unknown that says nothing", node(`"capability":"a.b","on_unknown":{}`), false},
		{"verify without happened", node(`"capability":"a.b","on_unknown":{"verify":{"capability":"a.c"}}`), false},
		{"fallback with both", node(`"capability":"a.b","fallback":[{"capability":"a.c","value":1}]`), false},
		{"for_each over an object", node(`"set":1,"for_each":{"a":1}`), false},
		{"workflow with both", node(`"workflow":{"name":"a","definition":{"nodes":[]}}`), false},
		{"two new kinds", node(`"wait_for":"a","review":"b"`), false},
		{"no version", `{"nodes":[]}`, false},
		{"other version", `{"plan":"v2","nodes":[]}`, false},
		{"unknown field", node(`"set":1,"whne":"x"`), false},
		{"two kinds", node(`"set":1,"wait":"1s"`), false},
		{"no kind", node(`"when":"x"`), false},
		{"duration as a number", node(`"set":1,"timeout":30`), false},
		{"capability without a realm", node(`"capability":"get"`), false},
		{"bad id", `{"plan":"v1","nodes":[{"id":"A","set":1}]}`, false},
		{"bad id in a map", `{"plan":"v1","nodes":{"A":{"set":1}}}`, false},
		{"priority 6", `{"plan":"v1","priority":6,"nodes":[]}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := validate(t, PlanSchema(), json.RawMessage(tt.plan)); (err == nil) != tt.valid {
				t.Errorf("valid %v, want %v: %v", err == nil, tt.valid, err)
			}
		})
	}
}
