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

	list := property(s, "nodes")
	node := list.Items
	node.OneOf = []*jsonschema.Schema{requires("capability"), requires("set"), requires("wait")}
	name := property(node, "capability")
	name.Pattern = `^[^.]+\..+$`
	node.Properties.Set("capability", &jsonschema.Schema{
		Description: name.Description,
		OneOf:       []*jsonschema.Schema{{Type: "string", Pattern: name.Pattern}, Reflect(capabilityName{}, false)},
	})

	named := *node // in a map the key is the id
	named.Required = without(node.Required, "id")
	s.Properties.Set("nodes", &jsonschema.Schema{
		Description: "the nodes, as a list or as a map from id to node",
		OneOf: []*jsonschema.Schema{list, {
			Type: "object", AdditionalProperties: &named,
			PropertyNames: &jsonschema.Schema{Pattern: NodeID.String()},
		}},
	})
	return s
}

type capabilityName struct {
	Realm string `json:"realm"`
	Name  string `json:"name"`
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
		Version: PlanVersion, Name: "all", Description: "every field", Inputs: Object(`{"a":[1,null]}`), Timeout: 1, Priority: 5,
		IdempotencyKey: "k", MaxParallel: 1000, Output: Value(`"${nodes.a.output}"`),
		Defaults: &Defaults{Timeout: 1, Retry: &Retry{MaxAttempts: 3, Jitter: new(float64), RetryOn: []Code{CodeTimeout}}},
		Nodes: []Node{{
			ID: "a", Description: "d", Capability: "shop.order.get", DependsOn: []string{"b"}, TriggerRule: AllDone, When: "${true}",
			Inputs: Object(`{"x":"${inputs.a}"}`), Timeout: 1, Retry: &Retry{BackoffCoefficient: 2}, OnError: OnErrorContinue,
			OnUnknown: OnUnknownRetry, Effect: EffectOnce,
		}, {ID: "b", Set: Value(`false`)}, {ID: "c", Wait: "10m"}},
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
