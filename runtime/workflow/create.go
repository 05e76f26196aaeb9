package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Spec describes a workflow to be created, or its next version.
type Spec struct {
	Name        string
	Description string
	Definition  []byte            // a plan, JSON or YAML
	InputSchema schemas.Object    // JSON Schema of the inputs, whose defaults replace those of the definition; empty: any inputs
	Schedule    *schemas.Schedule // when it is executed; nil: as before; an empty one: it has no schedule
	Publish     *bool             // whether it is a tool of its own; nil: as before
}

// Create stores a plan under a name, as its next version; the plan is checked as for Execute. If the latest version has the same
// definition and input schema, no version is made. A schedule executes the latest version, so its inputs must be valid for this one.
func (w *Workflows) Create(ctx context.Context, spec Spec) (schemas.WorkflowRef, error) {
	ref := schemas.WorkflowRef{WorkflowID: spec.Name, Name: spec.Name}
	if !validName.MatchString(spec.Name) {
		return ref, schemas.Errorf(schemas.CodeInvalidArgument, "invalid workflow name %.80q", spec.Name).WithField("name").
			WithHint("a name has at most 63 characters of a-z 0-9 _ and -, and begins with a letter")
	}
	version, program, err := w.newVersion(ctx, spec)
	if err != nil {
		return ref, err
	}
	value, err := schemas.Encode(version)
	if err != nil {
		return ref, fmt.Errorf("encode workflow: %w", err)
	}
	err = w.store.RetryOnConflict(func() error {
		r, err := w.read(ctx, spec.Name)
		if err != nil {
			return err
		}
		published, err := w.publish(ctx, &r, spec, &version, program)
		if err != nil {
			return err
		}
		ref.Tool = ""
		if r.Tool != nil {
			ref.Tool = ToolPrefix + spec.Name
		}
		same, b, err := w.putVersion(ctx, &r, spec, value)
		if err != nil {
			return err
		}
		ref.Version = r.Version
		changed, next, err := w.putSchedule(ctx, &r, spec.Schedule, &version, &b)
		if ref.NextFiring = next; err != nil || same && !changed && !published {
			return err
		}
		return w.save(ctx, &r, b)
	})
	if err == nil {
		w.refreshTools(ctx)
		w.checkPublished(ctx, caller.From(ctx).Principal)
	}
	return ref, err
}

// putVersion adds a version to b, and makes it the latest of r. same reports that the latest version is equal, so that there is nothing to
// write.
func (w *Workflows) putVersion(ctx context.Context, r *record, spec Spec, value []byte) (same bool, b store.Batch, err error) {
	caller, now := caller.From(ctx).Principal, w.store.Now()
	if r.stored == 0 || r.Deleted {
		r.Name, r.CreatedAt, r.First, r.Version, r.Deleted = spec.Name, now, r.Version+1, r.Version+1, false
	} else {
		latest, err := w.store.Get(ctx, versionKey(caller, spec.Name, r.Version))
		if errors.Is(err, store.ErrNotFound) { // deleted since r was read
			err = store.ErrConflict
		}
		if err != nil {
			return false, b, records.StoreError(err)
		}
		equal := bytes.Equal(latest.Value, value)
		if equal && (spec.Description == "" || spec.Description == r.Description) {
			return true, b, nil
		}
		if !equal {
			r.Version++
		}
	}
	if spec.Description != "" {
		r.Description = spec.Description
	}
	r.UpdatedAt = now
	b.Puts = []store.Put{{Key: versionKey(caller, spec.Name, r.Version), Value: value, Version: store.AnyVersion}}
	return false, b, nil
}

// newVersion makes a version of a spec, and checks it.
func (w *Workflows) newVersion(ctx context.Context, spec Spec) (v version, program *plan.Program, err error) {
	if _, err := schemas.NewChecker(json.RawMessage(spec.InputSchema)); err != nil {
		return v, nil, schemas.Errorf(schemas.CodeInvalidArgument, "input_schema: %s", err).WithField("input_schema")
	}
	defaults := defaultsOf(spec.InputSchema)
	program, findings, err := w.executions.Compile(ctx, &engine.Submit{Plan: spec.Definition, Inputs: defaults, Within: []string{spec.Name}})
	if err != nil {
		return v, nil, err
	}
	if program == nil {
		return v, nil, engine.InvalidPlan(findings)
	}
	p, _ := plan.Parse(ctx, spec.Definition, w.plans) // as it was written: names mean the latest version when it is executed
	if p == nil {                                     // it was read above, so it is ctx that has ended
		return v, nil, context.Cause(ctx)
	}
	p.IdempotencyKey = ""
	if p.Inputs, err = schemas.ReplaceMembers(p.Inputs, defaults); err != nil {
		return v, nil, err
	}
	if v.Plan, err = schemas.Encode(p); err != nil {
		return v, nil, fmt.Errorf("encode workflow: %w", err)
	}
	v.InputSchema = spec.InputSchema
	return v, program, v.checkDefaults(ctx, defaults)
}

// Delete deletes a workflow with all its versions and its schedule. Its executions keep their plans.
func (w *Workflows) Delete(ctx context.Context, name string) (schemas.WorkflowDeleted, error) {
	err := w.store.RetryOnConflict(func() error {
		r, err := w.readExisting(ctx, name)
		if err != nil {
			return err
		}
		var b store.Batch
		for v := r.First; v <= r.Version; v++ {
			b.Deletes = append(b.Deletes, versionKey(caller.From(ctx).Principal, name, v))
		}
		if _, _, err := w.putSchedule(ctx, &r, new(schemas.Schedule), nil, &b); err != nil {
			return err
		}
		r.Deleted, r.Description, r.UpdatedAt, r.Tool = true, "", w.store.Now(), nil
		return w.save(ctx, &r, b)
	})
	if err == nil {
		w.checkPublished(ctx, caller.From(ctx).Principal)
	}
	return schemas.WorkflowDeleted{Deleted: err == nil}, err
}
