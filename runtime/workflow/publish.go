package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Bounds of published workflows: a client puts them all before its model, with a prefix of its own before each name.
const (
	MaxPublished     = 50 // of one principal
	MaxPublishedName = 48
)

// toolPrefix stands before the name of a workflow in the name of its tool.
const toolPrefix = "workflow_"

// toolRecord is what a published workflow is to clients.
type toolRecord struct {
	Title        string         `json:"title,omitempty"`
	InputSchema  schemas.Object `json:"input_schema"` // as schemas.Portable has it
	Hints        schemas.Hints  `json:"hints"`
	Dependencies []string       `json:"parts,omitempty"` // name@version of every workflow within, as Hints was found
}

func (r *record) toolName() string {
	if r.Tool == nil {
		return ""
	}
	return toolPrefix + r.Name
}

// Published is a workflow that is a tool of its own.
type Published struct {
	Tool        string // its name as a tool
	Workflow    string
	Version     int64 // the latest, which a call executes
	Title       string
	Description string // empty: none
	InputSchema json.RawMessage
	Hints       schemas.Hints
}

// published is a workflow as a tool. Where it would execute other workflows now than those of which its hints were found, nobody
// vouches for it.
func (w *Workflows) published(ctx context.Context, r *record) (Published, error) {
	p := Published{
		Tool: r.toolName(), Workflow: r.Name, Version: r.Version, Title: r.Tool.Title, Description: r.Description,
		InputSchema: json.RawMessage(r.Tool.InputSchema), Hints: r.Tool.Hints,
	}
	same, err := w.sameDependencies(ctx, r)
	if !same {
		p.Hints = unknownHints
	}
	return p, err
}

func termPublished(principal string) string {
	return "published=" + records.Private(principal, Kind)
}

// Published lists the caller's workflows that are tools, by name.
func (w *Workflows) Published(ctx context.Context) ([]Published, error) {
	caller := caller.From(ctx).Principal
	list, err := w.publishedOf(ctx, caller)
	if err == nil {
		w.listeners.remember(caller, list)
		w.notify(caller, list)
	}
	return list, err
}

func (w *Workflows) publishedOf(ctx context.Context, principal string) ([]Published, error) {
	list := []Published{}
	ctx = caller.With(ctx, caller.Caller{Principal: principal})
	err := w.store.Each(ctx, store.Query{Kind: Kind, Term: termPublished(principal)}, func(rec store.Record) error {
		r, err := decode(rec)
		if err != nil || r.Tool == nil || r.Deleted {
			return err
		}
		p, err := w.published(ctx, &r)
		list = append(list, p)
		return err
	})
	return list, err
}

// PublishedTool finds the caller's workflow that is the tool of this name; false: there is none.
func (w *Workflows) PublishedTool(ctx context.Context, tool string) (Published, bool, error) {
	name, ok := strings.CutPrefix(tool, toolPrefix)
	if !ok {
		return Published{}, false, nil
	}
	r, err := w.read(ctx, name)
	if err != nil || r.Tool == nil || r.Deleted {
		return Published{}, false, err
	}
	p, err := w.published(ctx, &r)
	return p, err == nil, err
}

// publish makes w a tool, or no tool, as n wants it, and tells whether that changes something. A workflow that is a tool
// stays one through its next versions.
func (w *Workflows) publish(ctx context.Context, r *record, spec Spec, v *version, program *plan.Program) (changed bool, err error) {
	before := r.Tool
	switch {
	case spec.Publish == nil && before == nil:
		return false, nil
	case spec.Publish != nil && !*spec.Publish:
		r.Tool = nil
		return before != nil, nil
	case len(spec.Name) > MaxPublishedName:
		return false, schemas.Errorf(schemas.CodeInvalidArgument, "a workflow whose name is longer than %d characters cannot be a tool", MaxPublishedName).
			WithField("name").WithHint("clients put more before it; choose a shorter name")
	}
	if before == nil {
		list, err := w.publishedOf(ctx, caller.From(ctx).Principal)
		if err != nil {
			return false, err
		}
		if len(list) >= MaxPublished {
			return false, schemas.Errorf(schemas.CodeQuotaExceeded, "%d workflows are published, as many as may be", len(list)).WithField("publish").
				WithHint("publish fewer: create_workflow with publish false takes a tool away, and execute_workflow executes any workflow")
		}
	}
	input, err := v.toolSchema()
	if err != nil {
		return false, schemas.Errorf(schemas.CodeInvalidArgument, "the workflow cannot be a tool: %s", err).WithField("input_schema").
			WithHint("write the inputs' schema so that every client can read it, or do not publish the workflow")
	}
	r.Tool = &toolRecord{Title: program.Definition.Plan.Name, InputSchema: input, Hints: w.hintsOf(ctx, program), Dependencies: dependenciesOf(&program.Definition.Plan)}
	return !reflect.DeepEqual(before, r.Tool), nil
}

// toolSchema is the input schema of the workflow's tool: the declared one with every input that the definition names.
// Without a declared one there are no others.
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
	if required, ok := schema["required"].([]any); ok { // what has a value need not be given
		schema["required"] = slices.DeleteFunc(required, func(name any) bool {
			fallback, named := p.Inputs[fmt.Sprint(name)]
			return named && string(fallback) != "null"
		})
	}
	out, err := schemas.Encode(schema)
	if err == nil && len(out) > schemas.MaxToolSchema {
		err = fmt.Errorf("the schema of its inputs has %d bytes with their defaults; at most %d may stand in a list of tools", len(out), schemas.MaxToolSchema)
	}
	return out, err
}

// guessTypes are the types of an input of which no more is known than its default.
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

// unknownHints are the hints of what nobody knows enough of.
var unknownHints = schemas.Hints{Destructive: true, OpenWorld: true}

// hintsOf says what executing a plan may do, from what is known of every capability that it may call. What nobody says is
// taken for the worst.
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

// addEffects collects what effects a plan's nodes take their capabilities to have: a plan may be stricter than the tool.
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
