package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A workflow that names others executes what those names stand for when it is called. So what was found out about it as a tool
// holds for the versions that it was found of, its parts, and for no others.

// partsOf are the versions of workflows that stand in a plan in the place of their names, outermost first.
func partsOf(p *schemas.Plan) (parts []string) {
	for i := range p.Nodes {
		w := p.Nodes[i].Workflow
		if w == nil || w.Definition == nil {
			continue
		}
		if w.Kept != nil {
			parts = append(parts, w.Kept.Name)
		}
		parts = append(parts, partsOf(w.Definition)...)
	}
	return parts
}

// sameParts tells whether the names in the latest version of a published workflow stand for what they stood for.
func (r *Workflows) sameParts(ctx context.Context, w *record) (bool, error) {
	if len(w.Tool.Parts) == 0 { // there are no names in it
		return true, nil
	}
	_, _, v, err := r.at(ctx, w.Name, w.Version)
	if err != nil {
		return false, ignoreMissing(err)
	}
	p := new(schemas.Plan)
	if err := json.Unmarshal(v.Plan, p); err != nil {
		return false, fmt.Errorf("read workflow: %w", err)
	}
	if findings, err := r.namedWorkflows(ctx, p, "", []string{w.Name}); err != nil || len(findings) > 0 {
		return false, err
	}
	return slices.Equal(partsOf(p), w.Tool.Parts), nil
}

// ignoreMissing is no error where a workflow was deleted just now.
func ignoreMissing(err error) error {
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		return nil
	}
	return err
}

// renewTools finds out anew about the caller's published workflows whose parts have changed. One about which that cannot be done
// stays one for which nobody vouches.
func (r *Workflows) renewTools(ctx context.Context) {
	err := r.store.Each(ctx, store.Query{Kind: Kind, Term: termPublished(caller.From(ctx).Principal)}, func(rec store.Record) error {
		w, err := decode(rec)
		if err != nil || w.Tool == nil {
			return err
		}
		if same, err := r.sameParts(ctx, &w); err != nil || same {
			return err
		}
		_, _, v, err := r.at(ctx, w.Name, w.Version)
		if err != nil {
			return ignoreMissing(err)
		}
		n := Spec{Name: w.Name, Definition: v.Plan, InputSchema: v.InputSchema}
		program, _, err := r.executions.Compile(ctx, &engine.Submit{Plan: n.Definition, Within: []string{n.Name}})
		if err != nil || program == nil {
			return err
		}
		if _, err := r.publish(ctx, &w, n, &v, program); err != nil {
			return err
		}
		if err := r.save(ctx, &w, store.Batch{}); !errors.Is(err, store.ErrConflict) { // else somebody has changed it
			return err
		}
		return nil
	})
	if err != nil {
		r.log.Warn("look at published workflows anew: they are listed as destructive", "error", err)
	}
}
