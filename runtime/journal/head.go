package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Head is the record that every commit to an execution rewrites: what a summary shows, and how far the log goes.
type Head struct {
	schemas.Execution
	Principal string `json:"principal"`
	Hops      int    `json:"hops,omitempty"`      // see package caller
	CalledBy  string `json:"called_by,omitempty"` // the execution whose tree made it by a call to this runtime, in whose budget it counts
	Seq       int64  `json:"seq"`                 // of the last event
	Snapshot  int64  `json:"snapshot"`            // Seq of the last event that the snapshot covers; 0: there is none
	Tail      int    `json:"tail"`                // bytes of events after the snapshot

	SnapshotBytes int `json:"snapshot_bytes,omitempty"` // of the snapshot; 0 also where an earlier version wrote it

	TreeSince time.Time       `json:"tree_since,omitzero"` // of a child: when the root of its tree was created
	Used      *schemas.Budget `json:"used,omitempty"`      // of a child that ended: what it and those below it have used

	Worker     string `json:"worker,omitempty"`     // its owner, which did not release it; empty: it has none
	Evaluating *Mark  `json:"evaluating,omitempty"` // a process works on it that may die by that; nil: none, or it is not known
	Deaths     int    `json:"deaths,omitempty"`     // see Mark; none of its nodes has ended since
	Items      int    `json:"items,omitempty"`      // of for_each nodes, for which there is room in memory before it is read
	Unread     bool   `json:"unread,omitempty"`     // a process died while it read it: it is not read before a person resumes it

	WithParent bool `json:"with_parent,omitempty"` // it is suspended because its parent is

	Awaits []string `json:"awaits,omitempty"` // terms of the states that it waits for, see Awaits

	Due time.Time `json:"due,omitzero"` // its wake; zero: none

	Deleted bool `json:"deleted,omitempty"` // callers cannot see it any more; what belongs to it is being deleted
}

// Mark says that a process evaluates or reads an execution, and may die by that.
type Mark struct {
	Worker string `json:"worker"`
	Deaths int    `json:"deaths,omitempty"` // processes that died before while there was such a mark
	Own    bool   `json:"own,omitempty"`    // its own expressions had taken many steps by then: if the process died, then by them

	Reading bool  `json:"reading,omitempty"` // it reads the state and the log, which are large; nothing is evaluated yet
	Left    *Mark `json:"left,omitempty"`    // what a process that died had left there before it was read
}

// Began returns when the root of the execution's tree was created.
func (h *Head) Began() time.Time {
	if h.TreeSince.IsZero() {
		return h.CreatedAt
	}
	return h.TreeSince
}

// TermStatus returns the index term of the executions of a status.
func TermStatus(status schemas.Status) string { return "status=" + string(status) }

// TermReview is the index term of executions in which a review is open.
const TermReview = "waiting=review"

// TermRecovery is the index term of executions that are held because a process died while it evaluated or read them.
const TermRecovery = "waiting=recovery"

// TermDeleted is the index term of executions that are being deleted; they have no others.
const TermDeleted = "deleted"

// TermNeeds returns the index term of open executions that need another one to be kept after it has ended: its children and reruns.
func TermNeeds(id string) string { return "needs=" + id }

// TermWorkflow returns the index term of the executions of a workflow.
func TermWorkflow(principal, name string) string {
	return "workflow=" + records.Private(principal, "workflow") + name
}

// Terms returns the index terms of the head.
func (h *Head) Terms() []string {
	if h.Deleted {
		return []string{TermDeleted}
	}
	t := []string{TermStatus(h.Status), records.TermPrincipal(h.Principal)}
	for _, w := range h.WaitingFor {
		if w.Reason == schemas.ReasonReview {
			t = append(t, TermReview)
			break
		}
		if w.Reason == schemas.ReasonRecovery {
			t = append(t, TermRecovery)
		}
	}
	t = append(t, h.Awaits...)
	if h.SessionID != "" {
		t = append(t, session.Term(h.SessionID))
	}
	if name, _, _ := strings.Cut(h.Workflow, "@"); name != "" {
		t = append(t, TermWorkflow(h.Principal, name))
	}
	for _, id := range []string{h.ParentID, h.RerunOf} {
		if id != "" && !h.Status.Terminal() {
			t = append(t, TermNeeds(id))
		}
	}
	return t
}

// Fairness returns the key by which executions of one priority take turns in the queue: the session, else the principal.
func (h *Head) Fairness() string {
	if h.SessionID == "" {
		return h.Principal
	}
	return h.Principal + "\x00" + h.SessionID
}

// ReadHead reads the head of an execution and its version. For an execution that does not exist, or is being deleted, it returns NotFound.
func (j *Journal) ReadHead(ctx context.Context, id string) (Head, int64, error) {
	h, version, err := records.Read[Head](ctx, j.store, ExecutionKey(id))
	invalid := errors.Is(err, store.ErrInvalid) // an id that the store rejects was never given out
	if invalid || err == nil && (version == 0 || h.Deleted) {
		return Head{}, 0, j.NotFound(id)
	}
	if err != nil {
		return Head{}, 0, err
	}
	return h, version, nil
}

// HeadFor is ReadHead for a caller: executions of other principals do not exist.
func (j *Journal) HeadFor(ctx context.Context, id string) (Head, error) {
	h, _, err := j.ReadHead(ctx, id)
	if err == nil && h.Principal != caller.From(ctx).Principal {
		err = j.NotFound(id)
	}
	return h, err
}

// NotFound returns the error of an execution that does not exist.
func (j *Journal) NotFound(id string) *schemas.Error {
	e := schemas.Errorf(schemas.CodeNotFound, "no execution %q", id).WithField("execution_id").
		WithHint("list_executions shows those that exist")
	if j.retention > 0 {
		e.Hint += fmt.Sprintf("; executions that ended are deleted after %s (retention.executions)", schemas.Duration(j.retention))
	}
	return e
}
