package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The kinds of records of a workflow.
const (
	Kind        = "workflow"
	KindVersion = "workflow_version"
)

// validName is what a workflow may be called; "@" divides it from a version.
var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// record is the record of a name: which versions there are. One that was deleted stays, so that no version comes back as
// another plan.
type record struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Version     int64       `json:"version"` // the latest
	First       int64       `json:"first"`   // the oldest that was not deleted
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	Deleted     bool        `json:"deleted,omitempty"`
	Tool        *toolRecord `json:"tool,omitempty"`      // nil: it is not published
	Scheduled   bool        `json:"scheduled,omitempty"` // it has a schedule
	stored      int64
}

// version is the record of one version; it never changes.
type version struct {
	Plan        schemas.Object `json:"plan"` // canonical, with the defaults of the input schema among its inputs; names of workflows are names
	InputSchema schemas.Object `json:"input_schema,omitempty"`
}

// Key is where a workflow of a principal is stored.
func Key(principal, name string) store.Key {
	return store.Key{Kind: Kind, ID: records.Private(principal, Kind) + name}
}

func versionKey(principal, name string, version int64) store.Key {
	return store.Key{Kind: KindVersion, ID: fmt.Sprintf("%s/%d", Key(principal, name).ID, version)}
}

func (r *record) info() schemas.WorkflowInfo {
	return schemas.WorkflowInfo{
		WorkflowRef: schemas.WorkflowRef{WorkflowID: r.Name, Name: r.Name, Version: r.Version, Tool: r.toolName()},
		Description: r.Description, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

// Config is what Workflows are made of. Every field is required.
type Config struct {
	Store        *records.Store
	Log          hclog.Logger
	Journal      *journal.Journal
	Capabilities *capability.Capabilities
	Executions   *engine.Engine
	Plans        plan.Limits
	NewID        func() string // for executions of schedules
}

// Workflows is the contract Workflow.
type Workflows struct {
	store          *records.Store
	log            hclog.Logger
	journal        *journal.Journal
	capabilities   *capability.Capabilities
	executions     *engine.Engine
	plans          plan.Limits
	newID          func() string
	listeners      listeners
	endedSchedules *records.Dirty[store.Key] // schedules of which an execution has ended
}

// New makes Workflows; nothing happens before Run.
func New(c Config) *Workflows {
	return &Workflows{
		store: c.Store, log: c.Log, journal: c.Journal, capabilities: c.Capabilities, executions: c.Executions, plans: c.Plans, newID: c.NewID,
		listeners: listeners{remembered: records.NewSignal()}, endedSchedules: records.NewDirty[store.Key](maxEndedSchedules),
	}
}

// maxEndedSchedules is how many schedules are looked at together of which an execution has ended; the others look for themselves.
const maxEndedSchedules = 10_000

// Run fires schedules and keeps the knowledge of published workflows, until ctx ends. It is stopped after the engine: schedules look at
// the executions that ended last.
func (w *Workflows) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { w.store.HandleDue(ctx, KindSchedule, w.fire) })
	wg.Go(func() { w.pollPublished(ctx) })
	wg.Go(func() { w.endedSchedules.Handle(ctx, 4, w.handleEnded) })
	wg.Wait()
	return nil
}

// Spec is what CreateWorkflow keeps.
type Spec struct {
	Name        string
	Description string
	Definition  []byte            // a plan, JSON or YAML
	InputSchema schemas.Object    // JSON Schema of the inputs, whose defaults replace those of the definition; absent: any
	Schedule    *schemas.Schedule // when it is executed by itself; nil: as it was before; an empty one: never
	Publish     *bool             // whether it is a tool of its own; nil: as it is
}

// Create keeps a plan under a name, as its next version; the plan is checked as for Execute. The same definition
// again gives the version that is the latest already. A schedule executes the latest version, with inputs that this one must take.
func (w *Workflows) Create(ctx context.Context, spec Spec) (schemas.WorkflowRef, error) {
	ref := schemas.WorkflowRef{WorkflowID: spec.Name, Name: spec.Name}
	if !validName.MatchString(spec.Name) {
		return ref, schemas.Errorf(schemas.CodeInvalidArgument, "%.80q is no name for a workflow", spec.Name).WithField("name").
			WithHint("begin with a letter and use up to 63 of a-z 0-9 _ and -")
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
			ref.Tool = toolPrefix + spec.Name
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

// putVersion makes what is kept the latest version of w, in b; same: it is that already, and nothing is to be written.
func (w *Workflows) putVersion(ctx context.Context, r *record, spec Spec, value []byte) (same bool, b store.Batch, err error) {
	caller, now := caller.From(ctx).Principal, records.Now()
	if r.stored == 0 || r.Deleted {
		r.Name, r.CreatedAt, r.First, r.Version, r.Deleted = spec.Name, now, r.Version+1, r.Version+1, false
	} else {
		latest, err := w.store.Get(ctx, versionKey(caller, spec.Name, r.Version))
		if errors.Is(err, store.ErrNotFound) { // deleted since w was read
			err = store.ErrConflict
		}
		if err != nil {
			return false, b, records.Error(err)
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

// newVersion checks what a version is made of.
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
	p, _ := plan.Parse(spec.Definition, w.plans) // as it was written: names stand for the latest version when it is executed
	p.IdempotencyKey = ""
	if p.Inputs, err = schemas.ReplaceMembers(p.Inputs, defaults); err != nil {
		return v, nil, err
	}
	if v.Plan, err = schemas.Encode(p); err != nil {
		return v, nil, fmt.Errorf("encode workflow: %w", err)
	}
	v.InputSchema = spec.InputSchema
	return v, program, v.checkDefaults(defaults)
}

// Execute executes a version of a workflow, the latest unless id is name@version or version says another. The inputs
// replace those of the definition and must be what its input schema says. The rest of sub is as for Execute.
func (w *Workflows) Execute(ctx context.Context, id string, version int64, sub engine.Submit) (schemas.Execution, error) {
	name, number, v, err := w.readVersion(ctx, id, version)
	if err != nil {
		return schemas.Execution{}, err
	}
	if err := v.check(sub.Inputs); err != nil {
		return schemas.Execution{}, err
	}
	sub.Plan, sub.Workflow, sub.Within = v.Plan, fmt.Sprintf("%s@%d", name, number), []string{name}
	return w.executions.Execute(ctx, sub)
}

// readVersion reads one version of a workflow of the caller.
func (w *Workflows) readVersion(ctx context.Context, id string, version int64) (name string, number int64, v version, err error) {
	name, at, versioned := strings.Cut(id, "@")
	if versioned {
		n, err := strconv.ParseInt(at, 10, 64)
		if err != nil || n < 1 || version != 0 && version != n {
			return name, 0, v, schemas.Errorf(schemas.CodeInvalidArgument, "%.80q names no version of a workflow", id).WithField("workflow_id").WithHint("write name or name@version, as in refund@3")
		}
		version = n
	}
	r, err := w.readExisting(ctx, name)
	if err != nil {
		return name, 0, v, err
	}
	if version == 0 {
		version = r.Version
	}
	rec, err := w.store.Get(ctx, versionKey(caller.From(ctx).Principal, name, version))
	if errors.Is(err, store.ErrNotFound) {
		return name, 0, v, schemas.Errorf(schemas.CodeNotFound, "workflow %q has no version %d", name, version).WithField("version").
			WithHint("its latest version is %d", r.Version)
	}
	if err != nil {
		return name, 0, v, records.Error(err)
	}
	return name, version, v, json.Unmarshal(rec.Value, &v)
}

// Get shows a workflow of the caller; one that is not there is not_found with the nearest names.
func (w *Workflows) Get(ctx context.Context, name string) (schemas.WorkflowInfo, error) {
	r, err := w.readExisting(ctx, name)
	return r.info(), err
}

// Decode is the workflow of a record; false: it was deleted.
func Decode(rec store.Record) (schemas.WorkflowInfo, bool, error) {
	r, err := decode(rec)
	return r.info(), err == nil && !r.Deleted, err
}

// readExisting reads a workflow of the caller; one that is not there is not_found with the nearest names.
func (w *Workflows) readExisting(ctx context.Context, name string) (record, error) {
	r, err := w.read(ctx, name)
	if err != nil || r.stored > 0 && !r.Deleted {
		return r, err
	}
	names := []string{}
	err = w.store.Each(ctx, OfCaller(ctx), func(rec store.Record) error {
		r, err := decode(rec)
		if !r.Deleted {
			names = append(names, r.Name)
		}
		return err
	})
	if err != nil {
		return r, err
	}
	return r, schemas.Errorf(schemas.CodeNotFound, "no workflow %.80q", name).WithField("workflow_id").
		WithHint("list_workflows shows those that exist; create_workflow makes one").WithCandidates(schemas.Nearest(name, names, 3))
}

// OfCaller selects the records of the caller's workflows, by name.
func OfCaller(ctx context.Context) store.Query {
	return store.Query{Kind: Kind, Prefix: records.Private(caller.From(ctx).Principal, Kind)}
}

func (w *Workflows) read(ctx context.Context, name string) (record, error) {
	if !validName.MatchString(name) {
		return record{}, nil
	}
	rec, err := w.store.Get(ctx, Key(caller.From(ctx).Principal, name))
	if errors.Is(err, store.ErrNotFound) {
		return record{}, nil
	}
	if err != nil {
		return record{}, records.Error(err)
	}
	return decode(rec)
}

func decode(rec store.Record) (record, error) {
	r := record{stored: rec.Version}
	err := json.Unmarshal(rec.Value, &r)
	return r, err
}

func (w *Workflows) save(ctx context.Context, r *record, b store.Batch) error {
	value, err := schemas.Encode(r)
	if err != nil {
		return fmt.Errorf("encode workflow: %w", err)
	}
	caller := caller.From(ctx).Principal
	put := store.Put{Key: Key(caller, r.Name), Value: value, Version: r.stored}
	if r.Tool != nil {
		put.Terms = []string{termPublished(caller)}
	}
	b.Puts = append(b.Puts, put)
	b.Sync = true
	_, err = w.store.Commit(ctx, b)
	return records.Error(err)
}

// Delete removes a workflow with all its versions and its schedule. Executions of it keep the plan that they began with.
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
		r.Deleted, r.Description, r.UpdatedAt, r.Tool = true, "", records.Now(), nil
		return w.save(ctx, &r, b)
	})
	if err == nil {
		w.checkPublished(ctx, caller.From(ctx).Principal)
	}
	return schemas.WorkflowDeleted{Deleted: err == nil}, err
}
