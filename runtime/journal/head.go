package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Head is the record that every commit to an execution rewrites: what a summary shows, and where the log stands.
type Head struct {
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

// TermReview marks executions in which a review is open.
const TermReview = "waiting=review"

// TermDeleted marks executions that are being removed; they have no other terms.
const TermDeleted = "deleted"

// TermNeeds marks open executions that need another one, which has ended, to be there still.
func TermNeeds(id string) string { return "needs=" + id }

// TermWorkflow marks the executions of a workflow.
func TermWorkflow(principal, name string) string {
	return "workflow=" + records.Private(principal, "workflow") + name
}

func (h *Head) Terms() []string {
	if h.Deleted {
		return []string{TermDeleted}
	}
	t := []string{"status=" + string(h.Status), "principal=" + h.Principal}
	for _, w := range h.WaitingFor {
		if w.Reason == schemas.ReasonReview {
			t = append(t, TermReview)
			break
		}
	}
	t = append(t, h.Awaits...)
	if h.SessionID != "" {
		t = append(t, "session="+h.SessionID)
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

// Fairness is by what executions of one priority take turns in the queue: the session, without one the principal.
func (h *Head) Fairness() string {
	if h.SessionID == "" {
		return h.Principal
	}
	return h.Principal + "\x00" + h.SessionID
}

func (j *Journal) ReadHead(ctx context.Context, id string) (Head, int64, error) {
	rec, err := j.store.Get(ctx, ExecutionKey(id))
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) { // which no id can be that somebody was given
		return Head{}, 0, j.NotFound(id)
	}
	if err != nil {
		return Head{}, 0, records.Error(err)
	}
	var h Head
	if err := json.Unmarshal(rec.Value, &h); err != nil {
		return Head{}, 0, fmt.Errorf("read head of %s: %w", id, err)
	}
	if h.Deleted {
		return Head{}, 0, j.NotFound(id)
	}
	return h, rec.Version, nil
}

// HeadFor is readHead for a caller: what belongs to somebody else does not exist.
func (j *Journal) HeadFor(ctx context.Context, id string) (Head, error) {
	h, _, err := j.ReadHead(ctx, id)
	if err == nil && h.Principal != caller.From(ctx).Principal {
		err = j.NotFound(id)
	}
	return h, err
}

func (j *Journal) NotFound(id string) *schemas.Error {
	e := schemas.Errorf(schemas.CodeNotFound, "no execution %q", id).WithHint("list_executions shows those that exist").WithField("execution_id")
	if keep := j.retention; keep > 0 {
		e.Hint += fmt.Sprintf("; what ended is deleted after %s (retention.executions)", schemas.Duration(keep))
	}
	return e
}
