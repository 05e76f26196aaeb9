package schemas

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
)

// InputSchema describes the type of v as JSON Schema for a tool's arguments: an object without additional properties.
// It uses only what every known MCP client accepts: one inline tree without $schema, $ref and $defs, and without boolean
// schemas. A field is required unless it is omitempty or omitzero. The same type gives the same bytes. A recursive type
// overflows the stack unless a JSONSchema method breaks the recursion, as that of [Workflow] does.
func InputSchema(v any) json.RawMessage { return encode(Reflect(v, false)) }

// OutputSchema is like [InputSchema] for a tool's result: an object that may gain properties in later versions.
func OutputSchema(v any) json.RawMessage { return encode(Reflect(v, true)) }

// Reflect makes every schema of the project, as a tree for callers that add to it. An open schema allows properties that
// the type does not name.
func Reflect(v any, open bool) *jsonschema.Schema {
	return reflected(v, open, func(reflect.Type) *jsonschema.Schema { return nil })
}

// reflected is Reflect with the types whose schema own returns.
func reflected(v any, open bool, own func(reflect.Type) *jsonschema.Schema) *jsonschema.Schema {
	r := &jsonschema.Reflector{
		Anonymous:                 true,
		DoNotReference:            true,
		AllowAdditionalProperties: open,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if s := own(t); s != nil {
				return s
			}
			return enum(enums[t])
		},
	}
	s := r.Reflect(v)
	s.Version = ""
	s.Definitions = nil
	portable(s)
	return s
}

// enums holds the types whose values are a closed list, so that their fields need not repeat it.
var enums = map[reflect.Type][]any{
	reflect.TypeFor[Status]():     anys(Statuses()),
	reflect.TypeFor[NodeStatus](): anys(NodeStatuses()),

	reflect.TypeFor[SessionStatus](): anys(SessionStatuses()),
	reflect.TypeFor[Overlap]():       anys(Overlaps()),
	reflect.TypeFor[FiringOutcome](): anys(FiringOutcomes()),
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

func enum(values []any) *jsonschema.Schema {
	if values == nil {
		return nil
	}
	return &jsonschema.Schema{Type: "string", Enum: values}
}

// portable replaces schemas that invopop prints as a bare true: a property, an item or an alternative becomes the list of all
// types; additionalProperties is removed, which means the same. additionalProperties: false stays, as every client accepts it.
func portable(s *jsonschema.Schema) {
	if accepts(s.AdditionalProperties) {
		s.AdditionalProperties = nil
	}
	if p := s.AdditionalProperties; p != nil && p != jsonschema.FalseSchema {
		portable(p)
	}
	if s.Items != nil {
		s.Items = typed(s.Items)
	}
	for _, list := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf, s.AllOf, s.PrefixItems} {
		for i, sub := range list {
			list[i] = typed(sub)
		}
	}
	for name, sub := range s.PatternProperties {
		s.PatternProperties[name] = typed(sub)
	}
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			p.Value = typed(p.Value)
		}
	}
}

// typed makes s portable and gives it every type if it has none.
func typed(s *jsonschema.Schema) *jsonschema.Schema {
	if accepts(s) {
		return Value(nil).JSONSchema()
	}
	portable(s)
	_, extra := s.Extras["type"]
	if s.Type == "" && !extra && s.Enum == nil && s.Const == nil && s.AnyOf == nil && s.OneOf == nil && s.AllOf == nil {
		s.Extras = Value(nil).JSONSchema().Extras
	}
	return s
}

// accepts reports whether s would be printed as true.
func accepts(s *jsonschema.Schema) bool {
	return s != nil && (s == jsonschema.TrueSchema || reflect.DeepEqual(s, &jsonschema.Schema{}))
}

// encode prints compactly and leaves <, > and & readable.
func encode(s *jsonschema.Schema) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("schemas: a reflected schema does not marshal: %v", err)) // its parts are strings and numbers
	}
	for escaped, plain := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"} {
		b = bytes.ReplaceAll(b, []byte(escaped), []byte(plain))
	}
	return b
}

//go:generate go test . -run ^TestPublished -update
var (
	//go:embed plan.schema.json
	planSchema []byte
	//go:embed config.schema.json
	configSchema []byte
)

// PlanSchema is the published schema of plan files, for editors. It also accepts the forms that are normalised: nodes as a
// map, a capability as {realm, name}, and the bare forms of wait_for, review, workflow, compensate, fallback and on_unknown.
// The bytes belong to the caller.
func PlanSchema() []byte { return bytes.Clone(planSchema) }

// ConfigSchema is the published schema of runplane.yaml. The bytes belong to the caller.
func ConfigSchema() []byte { return bytes.Clone(configSchema) }
