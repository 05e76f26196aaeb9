package engine

import (
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// stepFailed handles the failure of a step. If the store is unavailable it waits, longer each time; then again is true, and left are the
// results of calls that the next try must take along. Other requests are answered with the error. If again is false the owner has to end.
func (o *owner) stepFailed(
	requests []*request, base store.Batch, err error, delay time.Duration,
) (left []*request, next time.Duration, again bool) {
	switch {
	case errors.Is(err, store.ErrConflict): // the execution exists already
		answer(requests, err)
		return nil, 0, false
	case errors.Is(err, errNoRoom):
		o.putBack(requests) // also results of calls, which release passes on
		o.r.store.Release(o.x.leaseToRelease(), o.r.store.Now().Add(o.r.room.again()))
		return nil, 0, false
	case errors.Is(err, journal.ErrUnread): // it is held, and released
		o.putBack(requests)
		return nil, 0, false
	case errors.Is(err, store.ErrInvalid) && base.Claim == nil:
		answer(requests, err)
		o.suspendRefused(err)
		return nil, 0, false
	case !errors.Is(err, records.ErrUnavailable) || base.Claim != nil || o.r.storeCtx.Err() != nil || errors.Is(err, store.ErrClosed):
		if o.r.storeCtx.Err() == nil {
			o.r.log.Error("run execution: what was claimed is tried again in a minute", "execution_id", o.x.ID, "error", err)
		}
		answer(requests, err)
		at := o.r.store.Now().Add(retryUnrunnable)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			at = time.Time{} // it was deleted
		}
		o.r.unmark(o.x)
		o.r.store.Release(o.x.leaseToRelease(), at)
		return nil, 0, false
	}
	o.lastError.Store(&err)
	o.r.log.Warn("commit failed: trying again", "execution_id", o.x.ID, "error", err)
	var refused []*request
	for _, q := range requests {
		if q.hasCaller() {
			refused = append(refused, q)
		} else {
			left = append(left, q)
		}
	}
	answer(refused, err)
	delay = records.NextDelay(delay)
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-o.lost:
		o.taken = true
		o.putBack(left)
		return nil, 0, false
	case <-o.r.storeCtx.Done():
	}
	return append(left, o.take()...), delay, true
}

// retryUnrunnable is when an execution that could not be run is next due.
const retryUnrunnable = time.Minute

// suspendRefused suspends an execution whose commit the store refuses as invalid: the same commit would be refused again, so an operator
// has to look at it.
func (o *owner) suspendRefused(cause error) {
	o.r.log.Error("the store refuses a commit as invalid: suspending the execution", "execution_id", o.x.ID, "error", cause)
	q := &request{decide: func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if s.Status == schemas.StatusSuspended || !machine.Legal(schemas.EventSuspended, s.Status, "") {
			return nil, errReleased
		}
		return []schemas.Event{{
			Type: schemas.EventSuspended, By: o.r.worker,
			Reason: "what followed cannot be stored: this is a defect of the runtime; its log has the details",
		}}, nil
	}}
	o.x.State = nil
	if _, err := o.r.step(o.r.storeCtx, o.x, []*request{q}, releasing, store.Batch{}); err != nil || q.err != nil {
		o.r.store.Release(o.x.leaseToRelease(), o.r.store.Now().Add(retryUnrunnable))
	}
}
