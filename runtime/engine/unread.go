package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// An execution whose reading killed a process is held unread: of its records only the head is read, and nothing but the head and the log is
// written. It can be resumed, which has it read again, and cancelled. What needs the state answers with an error that says so.

// holdUnread holds an execution that this process owns, and releases it. The error is that of an execution that is unread, or the store's. An
// execution that is being cancelled or compensated cannot be suspended: its status stays.
func (r *Engine) holdUnread(ctx context.Context, x *execution, h journal.Head, version int64) error {
	bytes, now := h.Stored(), r.store.Now()
	reason := fmt.Sprintf("the runtime died while it read the state and the log of this execution, %d bytes, which may be the cause; "+
		"resume_execution has them read again", bytes)
	var events []schemas.Event
	if !h.Unread && machine.Legal(schemas.EventSuspended, h.Status, "") {
		events = []schemas.Event{{Type: schemas.EventSuspended, By: r.worker, Reason: reason, Hold: schemas.ReasonRecovery}}
		h.Status = schemas.StatusSuspended
	}
	held := h.Unread
	if h.Unread = true; !held && !h.Status.Terminal() {
		h.Waiting, h.Reason = true, reason
		h.WaitingFor = []schemas.WaitingFor{{Reason: schemas.ReasonRecovery, Since: now}}
	}
	l := *x.lease
	l.Died = false
	h, err := r.commitUnread(ctx, x, h, version, time.Time{}, events, &l)
	if err != nil {
		return err
	}
	x.marked, x.unread = false, r.journal.Readable(ctx, &h)
	if !held {
		r.log.Error("a process died while it read an execution: the execution is held, and not read, until it is resumed or cancelled",
			"execution_id", x.ID, "name", h.Name, "bytes", bytes)
	}
	return x.unread
}

// commitUnread commits events of an execution that is not read. h is the head as it is to be, but for what every commit changes; version is of
// the head that was read. due is when the execution needs an owner, zero: it needs none.
func (r *Engine) commitUnread(
	ctx context.Context, x *execution, h journal.Head, version int64, due time.Time, events []schemas.Event, release *store.Lease,
) (journal.Head, error) {
	key := journal.ExecutionKey(x.ID)
	b := store.Batch{Release: release, Sync: true, Wakes: []store.Wake{
		{Key: key, At: due, Priority: h.Priority, Fairness: h.Fairness()}, {Key: journal.OverdueKey(x.ID)},
	}}
	for i := range events {
		e := &events[i]
		h.Seq++
		e.Seq, e.At = h.Seq, r.store.Now()
		value, err := schemas.Encode(e)
		if err != nil {
			return h, fmt.Errorf("encode event: %w", err)
		}
		h.Tail += len(value)
		b.Appends = append(b.Appends, store.Append{Key: key, Value: value})
	}
	h.Due, h.Worker, h.Evaluating, h.Deaths, h.Awaits = due, "", nil, 0, nil
	value, err := schemas.Encode(&h)
	if err != nil {
		return h, fmt.Errorf("encode head: %w", err)
	}
	b.Puts = []store.Put{{Key: key, Value: value, Version: version, Terms: h.Terms()}}
	if _, err := r.store.Commit(ctx, b); err != nil {
		return h, records.StoreError(err)
	}
	x.Head = h
	t := &turn{r: r, x: x, ctx: ctx, head: &h, events: events}
	x.family.unread(t)
	for _, o := range r.observers {
		o.Committed(journal.Commit{Runner: t, Head: &h, Events: events})
	}
	return h, nil
}

// decideUnread changes an execution of the caller that is not read. decide changes the head, and returns the events of that and when an owner
// is needed. Readable is the error if another process reads the execution now.
func (r *Engine) decideUnread(
	ctx context.Context, id string, decide func(h *journal.Head, now time.Time) ([]schemas.Event, time.Time, error),
) (schemas.Execution, error) {
	for range records.MaxConflicts {
		h, version, err := r.journal.ReadHead(ctx, id)
		if err == nil && h.Principal != caller.From(ctx).Principal {
			err = r.journal.NotFound(id)
		}
		if err != nil {
			return schemas.Execution{}, err
		}
		if err := r.journal.Readable(ctx, &h); err == nil || schemas.AsError(err).Retryable {
			if err == nil {
				err = errReleased // it is read again
			}
			return schemas.Execution{}, err
		}
		events, due, err := decide(&h, r.store.Now())
		if err != nil {
			return schemas.Execution{}, err
		}
		if len(events) == 0 && due.IsZero() { // nothing changes
			return r.shown(ctx, h.Execution), nil
		}
		h, err = r.commitUnread(ctx, newExecution(r.journal.New(id, h)), h, version, due, events, nil)
		if err == nil {
			return r.shown(ctx, h.Execution), nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return schemas.Execution{}, err
		}
	}
	return schemas.Execution{}, schemas.Errorf(schemas.CodeConflict, "execution %q changes too fast", id).WithHint("try again")
}

// decideOrUnread is DecideFor; of an execution that is not read it calls unread instead.
func (r *Engine) decideOrUnread(
	ctx context.Context, id string, decide Decision, unread func(ctx context.Context, id string) (schemas.Execution, error),
) (schemas.Execution, error) {
	for {
		e, err := r.DecideFor(ctx, id, decide)
		if errors.Is(err, journal.ErrUnread) {
			e, err = unread(ctx, id)
		}
		if !errors.Is(err, errReleased) {
			return e, err
		}
	}
}

// resumeUnread lets an execution be read again.
func (r *Engine) resumeUnread(ctx context.Context, id string) (schemas.Execution, error) {
	return r.decideUnread(ctx, id, func(h *journal.Head, now time.Time) ([]schemas.Event, time.Time, error) {
		var events []schemas.Event
		switch {
		case h.Status.Terminal():
			return nil, time.Time{}, NotAllowed("resume", id, h.Status)
		case h.Status == schemas.StatusSuspended:
			events = []schemas.Event{{Type: schemas.EventResumed, By: caller.From(ctx).Principal}}
			h.Status = schemas.StatusRunning
			if h.StartedAt == nil {
				h.StartedAt = &now
			}
		}
		h.Unread, h.WithParent, h.Waiting, h.WaitingFor, h.Reason = false, false, false, nil, ""
		return events, now, nil
	})
}

// cancelUnread ends an execution that is not read. What was in flight, and what there is to compensate, is not known.
func (r *Engine) cancelUnread(ctx context.Context, id, reason string) (schemas.Execution, error) {
	return r.decideUnread(ctx, id, func(h *journal.Head, now time.Time) ([]schemas.Event, time.Time, error) {
		switch {
		case h.Status == schemas.StatusCancelled:
			return nil, time.Time{}, nil
		case h.Status.Terminal():
			return nil, time.Time{}, NotAllowed("cancel", id, h.Status)
		}
		by := caller.From(ctx).Principal
		problem := schemas.Errorf(schemas.CodeCancelled, "the execution was cancelled%s; its state and its log were not read, as that killed the "+
			"runtime: calls that were in flight may have happened, and nothing was compensated", schemas.Because(reason)).
			WithHint("get_execution_events shows which calls were started and have no result")
		events := []schemas.Event{{Type: schemas.EventFinished, Status: schemas.StatusCancelled, Error: problem}}
		if h.Status != schemas.StatusCancelling && h.Status != schemas.StatusCompensating {
			events = append([]schemas.Event{{Type: schemas.EventCancelling, Reason: reason, By: by, Due: &now}}, events...)
		}
		h.Unread, h.WithParent, h.Waiting, h.WaitingFor, h.Reason = true, false, false, nil, ""
		h.Status, h.FinishedAt, h.Error = schemas.StatusCancelled, &now, problem
		return events, time.Time{}, nil
	})
}
