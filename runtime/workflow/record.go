package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The kinds of the records of a workflow: of its name, and of each version.
const (
	Kind        = "workflow"
	KindVersion = "workflow_version"
)

// validName matches the names of workflows; "@" separates a name from a version.
var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// record is the record of a name, with the versions that exist. It stays when the workflow is deleted, so that the number of a version
// is never used again for another plan.
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
	// Plan is canonical, with the defaults of the input schema among its inputs. Names of workflows are not replaced.
	Plan        schemas.Object `json:"plan"`
	InputSchema schemas.Object `json:"input_schema,omitempty"`
}

// Key returns the key of the record of a principal's workflow.
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

// Decode returns the workflow of a record; false: it was deleted.
func Decode(rec store.Record) (schemas.WorkflowInfo, bool, error) {
	r, err := decode(rec)
	return r.info(), err == nil && !r.Deleted, err
}

// readExisting reads a workflow of the caller. The error of one that does not exist has code not_found, with the nearest names as candidates.
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

// OfCaller returns the query of the caller's workflows, by name.
func OfCaller(ctx context.Context) store.Query {
	return store.Query{Kind: Kind, Prefix: records.Private(caller.From(ctx).Principal, Kind)}
}

// read reads the record of a name; one that does not exist is the zero record, which is not an error.
func (w *Workflows) read(ctx context.Context, name string) (record, error) {
	if !validName.MatchString(name) {
		return record{}, nil
	}
	r, version, err := records.Read[record](ctx, w.store, Key(caller.From(ctx).Principal, name))
	r.stored = version
	return r, err
}

func decode(rec store.Record) (record, error) {
	r := record{stored: rec.Version}
	err := json.Unmarshal(rec.Value, &r)
	return r, err
}

// save writes a record against the version that was read, with the rest of b.
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
	return records.StoreError(err)
}

// readVersion reads a version of a workflow of the caller: the latest, unless id is name@version or wanted is not 0.
func (w *Workflows) readVersion(ctx context.Context, id string, wanted int64) (name string, number int64, v version, err error) {
	name, at, versioned := strings.Cut(id, "@")
	if versioned {
		n, err := strconv.ParseInt(at, 10, 64)
		if err != nil || n < 1 || wanted != 0 && wanted != n {
			return name, 0, v, schemas.Errorf(schemas.CodeInvalidArgument, "invalid version of a workflow %.80q", id).WithField("workflow_id").
				WithHint("write name or name@version, as in refund@3")
		}
		wanted = n
	}
	r, err := w.readExisting(ctx, name)
	if err != nil {
		return name, 0, v, err
	}
	number = cmp.Or(wanted, r.Version)
	v, stored, err := records.Read[version](ctx, w.store, versionKey(caller.From(ctx).Principal, name, number))
	if err == nil && stored == 0 {
		err = schemas.Errorf(schemas.CodeNotFound, "workflow %q has no version %d", name, number).WithField("version").
			WithHint("its latest version is %d", r.Version)
	}
	return name, number, v, err
}
