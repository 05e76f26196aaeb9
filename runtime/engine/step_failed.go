package engine

import (
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// stepFailed handles a step that failed for the store's sake: results are kept and tried again, everybody else is told. No
// requests back means that the owner has to go.
func (o *owner) stepFailed(requests []*request, base store.Batch, err error, delay time.Duration) ([]*request, time.Duration) {
	if errors.Is(err, store.ErrConflict) { // somebody else has made the new execution
		answer(requests, err)
		return nil, 0
	}
	if errors.Is(err, store.ErrInvalid) && base.Claim == nil {
		answer(requests, err)
		o.suspendRefused(err)
		return nil, 0
	}
	if !errors.Is(err, records.Unavailable) || base.Claim != nil || o.r.storeCtx.Err() != nil || errors.Is(err, store.ErrClosed) {
		if o.r.storeCtx.Err() == nil {
			o.r.log.Error("run execution", "execution_id", o.x.ID, "error", err)
		}
		answer(requests, err)
		again := records.Now().Add(retryUnrunnable)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			again = time.Time{} // it was deleted
		}
		o.r.store.GiveBack(o.x.lease, again)
		return nil, 0
	}
	o.lastError.Store(&err)
	o.r.log.Warn("commit failed: trying again", "execution_id", o.x.ID, "error", err)
	keep := make([]*request, 0, len(requests)+1)
	var tell []*request
	for _, q := range requests {
		if q.done == nil {
			keep = append(keep, q)
		} else {
			tell = append(tell, q)
		}
	}
	answer(tell, err)
	delay = min(max(2*delay, records.MinDelay), records.MaxDelay)
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-o.lost:
		o.leaseGone()
		o.putBack(keep)
		return nil, 0
	case <-o.r.storeCtx.Done():
	}
	return append(keep, o.take()...), delay
}

// suspendRefused suspends an execution of which the store refuses what it is given: trying again would change nothing, and
// somebody has to look.
func (o *owner) suspendRefused(cause error) {
	o.r.log.Error("the store refuses a commit: the execution is suspended", "execution_id", o.x.ID, "error", cause)
	q := &request{decide: func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if s.Status == schemas.StatusSuspended || !machine.Legal(schemas.EventSuspended, s.Status, "") {
			return nil, errReleased
		}
		return []schemas.Event{{Type: schemas.EventSuspended, By: o.r.worker, Reason: "what followed cannot be stored: this is a defect of the runtime; its log has the details"}}, nil
	}}
	o.x.State = nil
	if _, err := o.r.step(o.r.storeCtx, o.x, []*request{q}, releasing, store.Batch{}); err != nil || q.err != nil {
		o.r.store.GiveBack(o.x.lease, records.Now().Add(retryUnrunnable))
	}
}

// retryUnrunnable is how long an execution that cannot be run at all is left alone.
const retryUnrunnable = time.Minute
