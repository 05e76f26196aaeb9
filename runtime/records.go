package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The kinds of records of an execution; doc.go tells what each one holds.
const (
	kindExecution   = "execution"
	kindPlan        = "plan"
	kindSnapshot    = "snapshot"
	kindOutput      = "output"
	kindIdempotency = "idempotency"
	kindNudge       = "nudge"
	kindOverdue     = "overdue"
)

func executionKey(id string) store.Key { return store.Key{Kind: kindExecution, ID: id} }

func planKey(id string) store.Key { return store.Key{Kind: kindPlan, ID: id} }

func snapshotKey(id string) store.Key { return store.Key{Kind: kindSnapshot, ID: id} }

func nudgeKey(id string) store.Key { return store.Key{Kind: kindNudge, ID: id} }

func outputKey(id, node string) store.Key {
	return store.Key{Kind: kindOutput, ID: id + "/" + node}
}

// head is the record that every commit to an execution rewrites: what a summary shows, and where the log stands.
type head struct {
	schemas.Execution
	Principal string `json:"principal"`
	Hops      int    `json:"hops,omitempty"` // runtimes that the request passed
	Seq       int64  `json:"seq"`            // of the last event
	Snapshot  int64  `json:"snapshot"`       // of the last event that the snapshot covers; 0: there is none
	Tail      int    `json:"tail"`           // bytes of events behind the snapshot

	WithParent bool `json:"with_parent,omitempty"` // it is suspended because its parent is

	Awaits []string `json:"awaits,omitempty"` // terms of the states that it waits for

	Due time.Time `json:"due,omitzero"` // its wake, as it was written last; zero: none

	Deleted bool `json:"deleted,omitempty"` // nobody can see it any more: only what belongs to it is still to be removed
}

// termReview marks executions in which a review is open.
const termReview = "waiting=review"

// termDeleted marks executions that are being removed; they have no other terms.
const termDeleted = "deleted"

// termNeeds marks open executions that need another one, which has ended, to be there still.
func termNeeds(id string) string { return "needs=" + id }

// termWorkflow marks the executions of a workflow.
func termWorkflow(principal, name string) string {
	return "workflow=" + records.Private(principal, "workflow") + name
}

func (h *head) terms() []string {
	if h.Deleted {
		return []string{termDeleted}
	}
	t := []string{"status=" + string(h.Status), "principal=" + h.Principal}
	for _, w := range h.WaitingFor {
		if w.Reason == schemas.ReasonReview {
			t = append(t, termReview)
			break
		}
	}
	t = append(t, h.Awaits...)
	if h.SessionID != "" {
		t = append(t, "session="+h.SessionID)
	}
	if name, _, _ := strings.Cut(h.Workflow, "@"); name != "" {
		t = append(t, termWorkflow(h.Principal, name))
	}
	for _, id := range []string{h.ParentID, h.RerunOf} {
		if id != "" && !h.Status.Terminal() {
			t = append(t, termNeeds(id))
		}
	}
	return t
}

// fairness is by what executions of one priority take turns in the queue: the session, without one the principal.
func (h *head) fairness() string {
	if h.SessionID == "" {
		return h.Principal
	}
	return h.Principal + "\x00" + h.SessionID
}

// definition is what the plan record holds.
type definition struct {
	plan.Definition
	Session schemas.Value `json:"session,omitempty"` // snapshot of the session's data for expressions
}

func (r *Runtime) readHead(ctx context.Context, id string) (head, int64, error) {
	rec, err := r.store.Get(ctx, executionKey(id))
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) { // which no id can be that somebody was given
		return head{}, 0, r.notFound(id)
	}
	if err != nil {
		return head{}, 0, records.Error(err)
	}
	var h head
	if err := json.Unmarshal(rec.Value, &h); err != nil {
		return head{}, 0, fmt.Errorf("read head of %s: %w", id, err)
	}
	if h.Deleted {
		return head{}, 0, r.notFound(id)
	}
	return h, rec.Version, nil
}

// headFor is readHead for a caller: what belongs to somebody else does not exist.
func (r *Runtime) headFor(ctx context.Context, id string) (head, error) {
	h, _, err := r.readHead(ctx, id)
	if err == nil && h.Principal != caller.From(ctx).Principal {
		err = r.notFound(id)
	}
	return h, err
}

// seenFor is headFor. While the store does not answer it is what the execution's owner in this process knows of it, where it has
// one: stale.
func (r *Runtime) seenFor(ctx context.Context, id string) (h head, stale bool, err error) {
	h, err = r.headFor(ctx, id)
	o := r.owner(id)
	if !errors.Is(err, records.Unavailable) || o == nil {
		return h, false, err
	}
	known := o.x.seen.Load()
	switch {
	case known == nil:
		return h, false, err
	case known.Principal != caller.From(ctx).Principal:
		return h, false, r.notFound(id)
	}
	return *known, true, nil
}

func (r *Runtime) notFound(id string) *schemas.Error {
	e := schemas.Errorf(schemas.CodeNotFound, "no execution %q", id).WithHint("list_executions shows those that exist").WithField("execution_id")
	if keep := r.keep.Executions; keep > 0 {
		e.Hint += fmt.Sprintf("; what ended is deleted after %s (retention.executions)", schemas.Duration(keep))
	}
	return e
}

// load folds an execution from the store.
func (r *Runtime) load(ctx context.Context, id string) (*journaled, error) {
	h, version, err := r.readHead(ctx, id)
	if err != nil {
		return nil, err
	}
	x := newJournaled(id, h)
	err = r.fold(ctx, x, h, version)
	if errors.Is(err, store.ErrNotFound) || err == nil && x.state.Seq < h.Seq {
		err = r.gone(ctx, id, err)
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// fold makes x what the log says, from its head on.
func (r *Runtime) fold(ctx context.Context, x *journaled, h head, version int64) error {
	x.head = h
	program, err := r.program(ctx, x)
	if err != nil {
		return err
	}
	state := machine.New(program)
	if h.Snapshot > 0 {
		rec, err := r.store.Get(ctx, snapshotKey(x.id))
		if err != nil {
			return fmt.Errorf("read snapshot of %s: %w", x.id, records.Error(err))
		}
		if state, err = machine.Restore(program, rec.Value); err != nil {
			return err
		}
	}
	for {
		entries, err := r.store.Log(ctx, executionKey(x.id), state.Seq, 0)
		if err != nil {
			return fmt.Errorf("read log of %s: %w", x.id, records.Error(err))
		}
		for _, entry := range entries {
			var e schemas.Event
			if err := json.Unmarshal(entry.Value, &e); err != nil {
				return fmt.Errorf("read event %d of %s: %w", entry.Seq, x.id, err)
			}
			if err := state.Apply(e); err != nil {
				return fmt.Errorf("fold %s: %w", x.id, err)
			}
		}
		if len(entries) == 0 {
			break
		}
	}
	state.Forbid(r.Capabilities.Forbids)
	x.state, x.version = state, version
	x.forget()
	clear(x.lists)
	return nil
}

// program reads and compiles the stored plan once.
func (r *Runtime) program(ctx context.Context, x *journaled) (*plan.Program, error) {
	if x.program != nil {
		return x.program, nil
	}
	rec, err := r.store.Get(ctx, planKey(x.id))
	if err != nil {
		return nil, fmt.Errorf("read plan of %s: %w", x.id, records.Error(err))
	}
	var d definition
	if err := json.Unmarshal(rec.Value, &d); err != nil {
		return nil, fmt.Errorf("read plan of %s: %w", x.id, err)
	}
	p, err := plan.Load(d.Definition)
	if err != nil {
		return nil, fmt.Errorf("load plan of %s: %w", x.id, err)
	}
	x.setProgram(p, d.Session)
	return p, nil
}
