package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The kinds of records of a workflow.
const (
	kindWorkflow        = "workflow"
	kindWorkflowVersion = "workflow_version"
)

// workflowName is what a workflow may be called; "@" divides it from a version.
var workflowName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// workflowRecord is the record of a name: which versions there are. One that was deleted stays, so that no version comes back as
// another plan.
type workflowRecord struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Version     int64     `json:"version"` // the latest
	First       int64     `json:"first"`   // the oldest that was not deleted
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Deleted     bool      `json:"deleted,omitempty"`
	Tool        *asTool   `json:"tool,omitempty"`      // nil: it is not published
	Scheduled   bool      `json:"scheduled,omitempty"` // it has a schedule
	stored      int64
}

// workflowVersion is the record of one version; it never changes.
type workflowVersion struct {
	Plan        schemas.Object `json:"plan"` // canonical, with the defaults of the input schema among its inputs; names of workflows are names
	InputSchema schemas.Object `json:"input_schema,omitempty"`
}

func workflowKey(principal, name string) store.Key {
	return store.Key{Kind: kindWorkflow, ID: records.Private(principal, kindWorkflow) + name}
}

func workflowVersionKey(principal, name string, version int64) store.Key {
	return store.Key{Kind: kindWorkflowVersion, ID: fmt.Sprintf("%s/%d", workflowKey(principal, name).ID, version)}
}

func (w *workflowRecord) info() schemas.WorkflowInfo {
	return schemas.WorkflowInfo{
		WorkflowRef: schemas.WorkflowRef{WorkflowID: w.Name, Name: w.Name, Version: w.Version, Tool: w.toolName()},
		Description: w.Description, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
}

// NewWorkflow is what CreateWorkflow keeps.
type NewWorkflow struct {
	Name        string
	Description string
	Definition  []byte            // a plan, JSON or YAML
	InputSchema schemas.Object    // JSON Schema of the inputs, whose defaults replace those of the definition; absent: any
	Schedule    *schemas.Schedule // when it is executed by itself; nil: as it was before; an empty one: never
	Publish     *bool             // whether it is a tool of its own; nil: as it is
}

// CreateWorkflow keeps a plan under a name, as its next version; the plan is checked as for Execute. The same definition
// again gives the version that is the latest already. A schedule executes the latest version, with inputs that this one must take.
func (r *Runtime) CreateWorkflow(ctx context.Context, n NewWorkflow) (schemas.WorkflowRef, error) {
	ref := schemas.WorkflowRef{WorkflowID: n.Name, Name: n.Name}
	if !workflowName.MatchString(n.Name) {
		return ref, schemas.Errorf(schemas.CodeInvalidArgument, "%.80q is no name for a workflow", n.Name).WithField("name").
			WithHint("begin with a letter and use up to 63 of a-z 0-9 _ and -")
	}
	version, program, err := r.versionOf(ctx, n)
	if err != nil {
		return ref, err
	}
	value, err := schemas.Encode(version)
	if err != nil {
		return ref, fmt.Errorf("encode workflow: %w", err)
	}
	err = r.store.RetryOnConflict(func() error {
		w, err := r.readWorkflow(ctx, n.Name)
		if err != nil {
			return err
		}
		published, err := r.publish(ctx, &w, n, &version, program)
		if err != nil {
			return err
		}
		ref.Tool = ""
		if w.Tool != nil {
			ref.Tool = toolPrefix + n.Name
		}
		same, b, err := r.nextVersion(ctx, &w, n, value)
		if err != nil {
			return err
		}
		ref.Version = w.Version
		changed, next, err := r.nextSchedule(ctx, &w, n.Schedule, &version, &b)
		if ref.NextFiring = next; err != nil || same && !changed && !published {
			return err
		}
		return r.saveWorkflow(ctx, &w, b)
	})
	if err == nil {
		r.renewTools(ctx)
		r.recheck(ctx, caller.From(ctx).Principal)
	}
	return ref, err
}

// nextVersion makes what is kept the latest version of w, in b; same: it is that already, and nothing is to be written.
func (r *Runtime) nextVersion(ctx context.Context, w *workflowRecord, n NewWorkflow, value []byte) (same bool, b store.Batch, err error) {
	caller, now := caller.From(ctx).Principal, records.Now()
	if w.stored == 0 || w.Deleted {
		w.Name, w.CreatedAt, w.First, w.Version, w.Deleted = n.Name, now, w.Version+1, w.Version+1, false
	} else {
		latest, err := r.store.Get(ctx, workflowVersionKey(caller, n.Name, w.Version))
		if errors.Is(err, store.ErrNotFound) { // deleted since w was read
			err = store.ErrConflict
		}
		if err != nil {
			return false, b, records.Error(err)
		}
		equal := bytes.Equal(latest.Value, value)
		if equal && (n.Description == "" || n.Description == w.Description) {
			return true, b, nil
		}
		if !equal {
			w.Version++
		}
	}
	if n.Description != "" {
		w.Description = n.Description
	}
	w.UpdatedAt = now
	b.Puts = []store.Put{{Key: workflowVersionKey(caller, n.Name, w.Version), Value: value, Version: store.AnyVersion}}
	return false, b, nil
}

// versionOf checks what a version is made of.
func (r *Runtime) versionOf(ctx context.Context, n NewWorkflow) (v workflowVersion, program *plan.Program, err error) {
	if _, err := schemas.NewChecker(json.RawMessage(n.InputSchema)); err != nil {
		return v, nil, schemas.Errorf(schemas.CodeInvalidArgument, "input_schema: %s", err).WithField("input_schema")
	}
	defaults := defaultsOf(n.InputSchema)
	program, findings, err := r.Executions.Compile(ctx, &engine.Submit{Plan: n.Definition, Inputs: defaults, Within: []string{n.Name}})
	if err != nil {
		return v, nil, err
	}
	if program == nil {
		return v, nil, engine.InvalidPlan(findings)
	}
	p, _ := plan.Parse(n.Definition, r.limits.Plan) // as it was written: names stand for the latest version when it is executed
	p.IdempotencyKey = ""
	if p.Inputs, err = schemas.ReplaceMembers(p.Inputs, defaults); err != nil {
		return v, nil, err
	}
	if v.Plan, err = schemas.Encode(p); err != nil {
		return v, nil, fmt.Errorf("encode workflow: %w", err)
	}
	v.InputSchema = n.InputSchema
	return v, program, v.checkDefaults(defaults)
}

// ExecuteWorkflow executes a version of a workflow, the latest unless id is name@version or version says another. The inputs
// replace those of the definition and must be what its input schema says. The rest of sub is as for Execute.
func (r *Runtime) ExecuteWorkflow(ctx context.Context, id string, version int64, sub engine.Submit) (schemas.Execution, error) {
	name, number, v, err := r.workflowAt(ctx, id, version)
	if err != nil {
		return schemas.Execution{}, err
	}
	if err := v.check(sub.Inputs); err != nil {
		return schemas.Execution{}, err
	}
	sub.Plan, sub.Workflow, sub.Within = v.Plan, fmt.Sprintf("%s@%d", name, number), []string{name}
	return r.Executions.Execute(ctx, sub)
}

// workflowAt reads one version of a workflow of the caller.
func (r *Runtime) workflowAt(ctx context.Context, id string, version int64) (name string, number int64, v workflowVersion, err error) {
	name, at, versioned := strings.Cut(id, "@")
	if versioned {
		n, err := strconv.ParseInt(at, 10, 64)
		if err != nil || n < 1 || version != 0 && version != n {
			return name, 0, v, schemas.Errorf(schemas.CodeInvalidArgument, "%.80q names no version of a workflow", id).WithField("workflow_id").WithHint("write name or name@version, as in refund@3")
		}
		version = n
	}
	w, err := r.livingWorkflow(ctx, name)
	if err != nil {
		return name, 0, v, err
	}
	if version == 0 {
		version = w.Version
	}
	rec, err := r.store.Get(ctx, workflowVersionKey(caller.From(ctx).Principal, name, version))
	if errors.Is(err, store.ErrNotFound) {
		return name, 0, v, schemas.Errorf(schemas.CodeNotFound, "workflow %q has no version %d", name, version).WithField("version").
			WithHint("its latest version is %d", w.Version)
	}
	if err != nil {
		return name, 0, v, records.Error(err)
	}
	return name, version, v, json.Unmarshal(rec.Value, &v)
}

// livingWorkflow reads a workflow of the caller; one that is not there is not_found with the nearest names.
func (r *Runtime) livingWorkflow(ctx context.Context, name string) (workflowRecord, error) {
	w, err := r.readWorkflow(ctx, name)
	if err != nil || w.stored > 0 && !w.Deleted {
		return w, err
	}
	names := []string{}
	err = r.store.Each(ctx, workflowsOf(ctx), func(rec store.Record) error {
		w, err := decodeWorkflow(rec)
		if !w.Deleted {
			names = append(names, w.Name)
		}
		return err
	})
	if err != nil {
		return w, err
	}
	return w, schemas.Errorf(schemas.CodeNotFound, "no workflow %.80q", name).WithField("workflow_id").
		WithHint("list_workflows shows those that exist; create_workflow makes one").WithCandidates(schemas.Nearest(name, names, 3))
}

func workflowsOf(ctx context.Context) store.Query {
	return store.Query{Kind: kindWorkflow, Prefix: records.Private(caller.From(ctx).Principal, kindWorkflow)}
}

func (r *Runtime) readWorkflow(ctx context.Context, name string) (workflowRecord, error) {
	if !workflowName.MatchString(name) {
		return workflowRecord{}, nil
	}
	rec, err := r.store.Get(ctx, workflowKey(caller.From(ctx).Principal, name))
	if errors.Is(err, store.ErrNotFound) {
		return workflowRecord{}, nil
	}
	if err != nil {
		return workflowRecord{}, records.Error(err)
	}
	return decodeWorkflow(rec)
}

func decodeWorkflow(rec store.Record) (workflowRecord, error) {
	w := workflowRecord{stored: rec.Version}
	err := json.Unmarshal(rec.Value, &w)
	return w, err
}

func (r *Runtime) saveWorkflow(ctx context.Context, w *workflowRecord, b store.Batch) error {
	value, err := schemas.Encode(w)
	if err != nil {
		return fmt.Errorf("encode workflow: %w", err)
	}
	caller := caller.From(ctx).Principal
	put := store.Put{Key: workflowKey(caller, w.Name), Value: value, Version: w.stored}
	if w.Tool != nil {
		put.Terms = []string{termPublished(caller)}
	}
	b.Puts = append(b.Puts, put)
	b.Sync = true
	_, err = r.store.Commit(ctx, b)
	return records.Error(err)
}

// DeleteWorkflow removes a workflow with all its versions and its schedule. Executions of it keep the plan that they began with.
func (r *Runtime) DeleteWorkflow(ctx context.Context, name string) (schemas.WorkflowDeleted, error) {
	err := r.store.RetryOnConflict(func() error {
		w, err := r.livingWorkflow(ctx, name)
		if err != nil {
			return err
		}
		var b store.Batch
		for v := w.First; v <= w.Version; v++ {
			b.Deletes = append(b.Deletes, workflowVersionKey(caller.From(ctx).Principal, name, v))
		}
		if _, _, err := r.nextSchedule(ctx, &w, new(schemas.Schedule), nil, &b); err != nil {
			return err
		}
		w.Deleted, w.Description, w.UpdatedAt, w.Tool = true, "", records.Now(), nil
		return r.saveWorkflow(ctx, &w, b)
	})
	if err == nil {
		r.recheck(ctx, caller.From(ctx).Principal)
	}
	return schemas.WorkflowDeleted{Deleted: err == nil}, err
}
