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

// A workflow that names others executes the latest versions of those at the time of the call. So the hints of its tool are valid for the
// versions that they were computed from, its dependencies, and for no others.

// dependenciesOf returns name@version of the workflows whose names were replaced in a plan, outermost first.
func dependenciesOf(p *schemas.Plan) (names []string) {
	for i := range p.Nodes {
		named := p.Nodes[i].Workflow
		if named == nil || named.Definition == nil {
			continue
		}
		if named.Resolved != nil {
			names = append(names, named.Resolved.Name)
		}
		names = append(names, dependenciesOf(named.Definition)...)
	}
	return names
}

// sameDependencies reports whether the names in the latest version of a published workflow mean the same versions as when its tool was made.
func (w *Workflows) sameDependencies(ctx context.Context, r *record) (bool, error) {
	if len(r.Tool.Dependencies) == 0 { // it names no workflows
		return true, nil
	}
	_, _, v, err := w.readVersion(ctx, r.Name, r.Version)
	if err != nil {
		return false, ignoreMissing(err)
	}
	p := new(schemas.Plan)
	if err := json.Unmarshal(v.Plan, p); err != nil {
		return false, fmt.Errorf("read workflow: %w", err)
	}
	if findings, err := w.resolveNames(ctx, p, "", []string{r.Name}, new(int)); err != nil || len(findings) > 0 {
		return false, err
	}
	return slices.Equal(dependenciesOf(p), r.Tool.Dependencies), nil
}

// ignoreMissing returns nil if err has code not_found, as a workflow was deleted at the same time.
func ignoreMissing(err error) error {
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		return nil
	}
	return err
}

// refreshTools recomputes the tools of the caller's published workflows whose dependencies have changed. One that cannot be computed is
// listed with unknownHints.
func (w *Workflows) refreshTools(ctx context.Context) {
	err := w.store.Each(ctx, store.Query{Kind: Kind, Term: termPublished(caller.From(ctx).Principal)}, func(rec store.Record) error {
		r, err := decode(rec)
		if err != nil || r.Tool == nil {
			return err
		}
		if same, err := w.sameDependencies(ctx, &r); err != nil || same {
			return err
		}
		_, _, v, err := w.readVersion(ctx, r.Name, r.Version)
		if err != nil {
			return ignoreMissing(err)
		}
		spec := Spec{Name: r.Name, Definition: v.Plan, InputSchema: v.InputSchema}
		program, _, err := w.executions.Compile(ctx, &engine.Submit{Plan: spec.Definition, Within: []string{spec.Name}})
		if err != nil || program == nil {
			return err
		}
		if _, err := w.publish(ctx, &r, spec, &v, program); err != nil {
			return err
		}
		if err := w.save(ctx, &r, store.Batch{}); !errors.Is(err, store.ErrConflict) { // on a conflict another writer has changed it
			return err
		}
		return nil
	})
	if err != nil {
		w.log.Warn("recompute the tools of published workflows: they are listed as destructive until the next change", "error", err)
	}
}
