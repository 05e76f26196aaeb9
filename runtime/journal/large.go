package journal

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// DefaultLarge is from how many bytes on the snapshot and the log after it may kill the process that reads them, for want of memory: they
// take about ten times as much there.
const DefaultLarge = 4 << 20

// defaultShown is the most bytes of snapshot and log that are read to show an execution or to take something out of it. Where the memory of the
// process is limited, what they take there is at most a quarter of it.
func defaultShown() int {
	const most, perByte, share = 64 << 20, 10, 4
	return int(min(most, debug.SetMemoryLimit(-1)/(perByte*share)))
}

// showable returns an error if the execution is too large to be read for a caller.
func (j *Journal) showable(h *Head) error {
	bytes := h.Stored()
	if bytes < max(j.limits.Shown, j.limits.Large) {
		return nil
	}
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the state and the log of execution %q have %d bytes, too many to read them beside the "+
		"work of this process (limit %d)", h.ExecutionID, bytes, max(j.limits.Shown, j.limits.Large)).
		With(func(e *schemas.Error) { e.ExecutionID = h.ExecutionID }).
		WithHint("get_execution_status without a view, and get_execution_events, which reads a part, show what there is; it can be resumed without " +
			"a patch, suspended, cancelled and signalled")
}

// Stored returns how many bytes of snapshot and log are read to know the state of the execution.
func (h *Head) Stored() int { return h.Tail + h.SnapshotBytes }

// IsLarge reports whether reading the execution may kill the process. Executions that are large are read one after the other. died says that
// the last owner died; then one is large too if its snapshot is of a version that did not note its size.
func (j *Journal) IsLarge(h *Head, died bool) bool {
	return h.Stored() >= j.limits.Large || died && h.Snapshot > 0 && h.SnapshotBytes == 0
}

// ErrUnread matches the error of an execution that is not read, as that killed a process or may kill one now.
var ErrUnread = errors.New("execution not read")

type unread struct{ problem *schemas.Error }

func (e unread) Error() string        { return e.problem.Error() }
func (e unread) Unwrap() error        { return e.problem }
func (e unread) Is(target error) bool { return target == ErrUnread }

// Readable returns an error that matches ErrUnread if the execution is not to be read now by a process that does not own it.
func (j *Journal) Readable(ctx context.Context, h *Head) error {
	left := h.Evaluating != nil && h.Evaluating.Reading && h.Evaluating.Worker != j.store.Worker()
	if !h.Unread && !left {
		return nil
	}
	problem := schemas.Errorf(schemas.CodeConflict, "the %d bytes of state and log of execution %q are not read: "+
		"a process died while it read them, which may be the cause", h.Stored(), h.ExecutionID).
		With(func(e *schemas.Error) { e.ExecutionID = h.ExecutionID })
	if h.Status.Terminal() {
		return unread{problem.WithHint("get_execution_status without a view, and get_execution_events, which reads a part, show what there is")}
	}
	if !h.Unread {
		places, err := j.store.Places(ctx, []store.Key{ExecutionKey(h.ExecutionID)})
		if err != nil {
			return records.StoreError(err)
		}
		if l := places[0].Lease; l != nil {
			return unread{schemas.Errorf(schemas.CodeUnavailable, "the %d bytes of state and log of execution %q are read by another process, "+
				"which may take long", h.Stored(), h.ExecutionID).WithRetryAfter(l.Until.Sub(j.store.Now())).
				WithHint("try again after that time; get_execution_status without a view, and get_execution_events, answer now")}
		}
	}
	return unread{problem.WithHint("resume_execution without a patch has them read again, and the runtime may die again: give it more memory " +
		"before; cancel_execution ends the execution without reading them; get_execution_status without a view, and get_execution_events, " +
		"show what there is")}
}

// ReadLarge is Fold for an execution that is large: it waits until no other one is read.
func (j *Journal) ReadLarge(ctx context.Context, x *Execution, h Head, version int64) error {
	if err := j.large.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("read %s: %w", x.ID, context.Cause(ctx))
	}
	defer j.large.Release(1)
	return j.Fold(ctx, x, h, version)
}

// ReadAsGuest sets the state of x as Fold does, for a process that does not own the execution. If that may kill the process, the error matches
// ErrUnread.
func (j *Journal) ReadAsGuest(ctx context.Context, x *Execution, h Head, version int64) error {
	if err := j.Readable(ctx, &h); err != nil {
		return err
	}
	if j.IsLarge(&h, false) {
		return j.ReadLarge(ctx, x, h, version)
	}
	return j.Fold(ctx, x, h, version)
}
