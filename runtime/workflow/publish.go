package workflow

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Bounds of published workflows: a client shows them all to its model, with a prefix of its own before each name. Their texts are
// an agent's and are cleaned as those of realms are.
const (
	MaxPublished      = 50   // workflows of one principal
	MaxPublishedName  = 48   // characters
	maxPublishedTitle = 100  // bytes
	maxPublishedText  = 1000 // bytes of the description
	maxInputText      = 300  // bytes of the description of one input
)

// cutMark ends a text that was cut.
const cutMark = "… (cut)"

// Published is a workflow that is a tool of its own.
type Published struct {
	Tool        string // its name as a tool
	Workflow    string
	Version     int64 // the latest, which a call executes
	Title       string
	Description string          // empty: none
	InputSchema json.RawMessage // as it is shown
	Accepts     json.RawMessage // the same, exactly: what inputs are checked against
	Hints       schemas.Hints
}

// published returns a workflow as a tool. If its dependencies have changed since its hints were computed, it has unknownHints.
func (w *Workflows) published(ctx context.Context, r *record) (Published, error) {
	p := Published{
		Tool: r.toolName(), Workflow: r.Name, Version: r.Version, Hints: r.Tool.Hints,
		Title:       schemas.Cut(schemas.OneLine(r.Tool.Title), maxPublishedTitle, cutMark),
		Description: schemas.Cut(schemas.Clean(r.Description), maxPublishedText, cutMark),
		InputSchema: json.RawMessage(schemas.CleanSchema(r.Tool.InputSchema, maxInputText, cutMark)), Accepts: json.RawMessage(r.Tool.InputSchema),
	}
	same, err := w.sameDependencies(ctx, r)
	if !same {
		p.Hints = unknownHints
	}
	return p, err
}

// termPublished is the index term of the published workflows of a principal.
func termPublished(principal string) string {
	return "published=" + records.Private(principal, Kind)
}

// Published lists the caller's published workflows, by name.
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

// PublishedTool returns the caller's published workflow that is the tool of this name; false: there is none.
func (w *Workflows) PublishedTool(ctx context.Context, tool string) (Published, bool, error) {
	name, ok := strings.CutPrefix(tool, ToolPrefix)
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

// publish sets whether r is a tool, as spec says, and reports whether the tool changed. A workflow that is a tool stays one
// when it gets its next version.
func (w *Workflows) publish(ctx context.Context, r *record, spec Spec, v *version, program *plan.Program) (changed bool, err error) {
	before := r.Tool
	switch {
	case spec.Publish == nil && before == nil:
		return false, nil
	case spec.Publish != nil && !*spec.Publish:
		r.Tool = nil
		return before != nil, nil
	case len(spec.Name) > MaxPublishedName:
		return false, schemas.Errorf(schemas.CodeInvalidArgument, "workflow name of %d characters (limit %d for a tool)",
			len(spec.Name), MaxPublishedName).WithField("name").
			WithHint("clients put a prefix before it: choose a shorter name, or do not publish the workflow")
	}
	if before == nil {
		list, err := w.publishedOf(ctx, caller.From(ctx).Principal)
		if err != nil {
			return false, err
		}
		if len(list) >= MaxPublished {
			return false, schemas.Errorf(schemas.CodeQuotaExceeded, "%d workflows are published (limit %d)", len(list), MaxPublished).
				WithField("publish").WithHint("create_workflow with publish false ends the publication of one; execute_workflow executes any workflow")
		}
	}
	input, err := v.toolSchema()
	if err != nil {
		return false, schemas.Errorf(schemas.CodeInvalidArgument, "the workflow cannot be a tool: %s", err).WithField("input_schema").
			WithHint("change input_schema so that every client can read it, or do not publish the workflow")
	}
	r.Tool = &toolRecord{
		Title: program.Definition.Plan.Name, InputSchema: input, Hints: w.hintsOf(ctx, program),
		Dependencies: dependenciesOf(&program.Definition.Plan),
	}
	return !reflect.DeepEqual(before, r.Tool), nil
}
