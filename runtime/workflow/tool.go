package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// ToolPrefix is the prefix of the names of tools of workflows.
const ToolPrefix = "workflow_"

// toolRecord is what clients are shown of a published workflow.
type toolRecord struct {
	Title        string         `json:"title,omitempty"`
	InputSchema  schemas.Object `json:"input_schema"` // as schemas.Portable returns it
	Hints        schemas.Hints  `json:"hints"`
	Dependencies []string       `json:"parts,omitempty"` // name@version of every workflow within, when Hints were computed
}

// toolName returns the name of the workflow's tool; empty: it is not published.
func (r *record) toolName() string {
	if r.Tool == nil {
		return ""
	}
	return ToolPrefix + r.Name
}

// toolSchema returns the input schema of the workflow's tool: the declared one, with every input that the definition names. Without a
// declared one, other inputs are not allowed.
func (v *version) toolSchema() (schemas.Object, error) {
	schema, err := schemas.Portable(v.InputSchema)
	if err != nil {
		return nil, err
	}
	var p struct{ Inputs map[string]schemas.Value }
	if err := json.Unmarshal(v.Plan, &p); err != nil {
		return nil, fmt.Errorf("read workflow: %w", err)
	}
	properties, _ := schema["properties"].(map[string]any)
	if properties == nil {
		properties = map[string]any{}
	}
	if len(v.InputSchema) == 0 {
		schema["additionalProperties"] = false
	}
	for name, fallback := range p.Inputs {
		member, declared := properties[name].(map[string]any)
		if !declared && schema["additionalProperties"] == false && len(v.InputSchema) > 0 {
			continue
		}
		if !declared {
			member = map[string]any{"type": guessTypes(fallback)}
			properties[name] = member
		}
		if string(fallback) != "null" && member["default"] == nil {
			member["default"] = fallback
		}
	}
	schema["properties"] = properties
	if required, ok := schema["required"].([]any); ok { // inputs that have a value are not required
		schema["required"] = slices.DeleteFunc(required, func(name any) bool {
			fallback, named := p.Inputs[fmt.Sprint(name)]
			return named && string(fallback) != "null"
		})
	}
	out, err := schemas.Encode(schema)
	if err == nil && len(out) > schemas.MaxToolSchema {
		err = fmt.Errorf("the schema of its inputs has %d bytes with their defaults (at most %d in a list of tools)",
			len(out), schemas.MaxToolSchema)
	}
	return out, err
}

// guessTypes returns the types of an input of which only the default is known.
func guessTypes(v schemas.Value) any {
	if len(v) > 0 {
		switch v[0] {
		case '"':
			return "string"
		case '{':
			return "object"
		case '[':
			return "array"
		case 't', 'f':
			return "boolean"
		case 'n':
		default:
			return "number"
		}
	}
	return schemas.Anything()
}

// unknownHints are the hints of a workflow of which not enough is known.
var unknownHints = schemas.Hints{Destructive: true, OpenWorld: true}

// hintsOf returns the hints of a plan, from those of every capability that it may call. A hint that a tool does not give counts as the
// worst.
func (w *Workflows) hintsOf(ctx context.Context, p *plan.Program) schemas.Hints {
	h := schemas.Hints{ReadOnly: true, Idempotent: true}
	planned := map[string]schemas.Effect{}
	addEffects(p, planned)
	for _, name := range slices.Sorted(maps.Keys(p.Definition.Pins)) {
		realm, capability, _ := strings.Cut(name, ".")
		c, err := w.capabilities.Realms.Resolve(ctx, realm, capability)
		annotations := struct{ DestructiveHint, IdempotentHint, OpenWorldHint *bool }{}
		if err != nil || len(c.Annotations) > 0 && json.Unmarshal(c.Annotations, &annotations) != nil {
			return unknownHints
		}
		if e, ok := planned[name]; ok && e.Rank() > c.Effect.Rank() {
			c.Effect = e
		}
		read := c.Effect == schemas.EffectRead
		no, yes := false, true
		h.ReadOnly = h.ReadOnly && read
		h.Destructive = h.Destructive || !read && *cmp.Or(annotations.DestructiveHint, &yes)
		h.Idempotent = h.Idempotent && (read || c.Effect == schemas.EffectIdempotent && *cmp.Or(annotations.IdempotentHint, &no))
		h.OpenWorld = h.OpenWorld || *cmp.Or(annotations.OpenWorldHint, &yes)
	}
	return h
}

// addEffects adds the worst effect of each capability that a plan's nodes declare: a plan may be stricter than the tool.
func addEffects(p *plan.Program, effects map[string]schemas.Effect) {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Sub != nil {
			addEffects(n.Sub, effects)
		}
		if e, known := effects[n.Name()]; n.Kind == plan.KindCapability && (!known || n.Effect.Rank() > e.Rank()) {
			effects[n.Name()] = n.Effect
		}
	}
}
