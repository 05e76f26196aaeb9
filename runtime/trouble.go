package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The shortest and the longest pause between two tries of a commit to a store that does not answer.
const (
	minDelay = 100 * time.Millisecond
	maxDelay = 5 * time.Second
)

// troubled handles a step that failed for the store's sake: results are kept and tried again, everybody else is told. No
// requests back means that the owner has to go.
func (o *owner) troubled(requests []*request, base store.Batch, err error, delay time.Duration) ([]*request, time.Duration) {
	if errors.Is(err, store.ErrConflict) { // somebody else has made the new execution
		answer(requests, err)
		return nil, 0
	}
	if errors.Is(err, store.ErrInvalid) && base.Claim == nil {
		answer(requests, err)
		o.shelve(err)
		return nil, 0
	}
	if !errors.Is(err, errStore) || base.Claim != nil || o.r.storeCtx.Err() != nil || errors.Is(err, store.ErrClosed) {
		if o.r.storeCtx.Err() == nil {
			o.r.log.Error("run execution", "execution_id", o.x.id, "error", err)
		}
		answer(requests, err)
		again := timeNow().Add(pause)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			again = time.Time{} // it was deleted
		}
		o.r.giveBack(o.x.lease, again)
		return nil, 0
	}
	o.trouble.Store(&err)
	o.r.log.Warn("commit failed: trying again", "execution_id", o.x.id, "error", err)
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
	delay = min(max(2*delay, minDelay), maxDelay)
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-o.lost:
		o.lookBack()
		o.leave(keep)
		return nil, 0
	case <-o.r.storeCtx.Done():
	}
	return append(keep, o.take()...), delay
}

// leave puts requests back into the inbox, for whoever looks after it when the owner is gone.
func (o *owner) leave(requests []*request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inbox = append(requests, o.inbox...)
}

// shelve suspends an execution of which the store refuses what it is given: trying again would change nothing, and
// somebody has to look.
func (o *owner) shelve(cause error) {
	o.r.log.Error("the store refuses a commit: the execution is suspended", "execution_id", o.x.id, "error", cause)
	q := &request{decide: func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
		if s.Status == schemas.StatusSuspended || !machine.Legal(schemas.EventSuspended, s.Status, "") {
			return nil, errLetGo
		}
		return []schemas.Event{{Type: schemas.EventSuspended, By: o.r.worker, Reason: "what followed cannot be stored: this is a defect of the runtime; its log has the details"}}, nil
	}}
	o.x.state = nil
	if _, err := o.r.step(o.r.storeCtx, o.x, []*request{q}, wind, store.Batch{}); err != nil || q.err != nil {
		o.r.giveBack(o.x.lease, timeNow().Add(pause))
	}
}

// pause is how long an execution that cannot be run at all is left alone.
const pause = time.Minute

// giveBack releases what cannot be worked on here, so that it is tried again at the time, or never with a zero one, and
// blocks nothing until then. A nil lease is none.
func (r *Runtime) giveBack(l *store.Lease, at time.Time) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.storeCtx), time.Second)
	defer cancel()
	wake := store.Wake{Key: l.Key}
	if places, err := r.store.Places(ctx, []store.Key{wake.Key}); err == nil && places[0].Wake != nil {
		wake = *places[0].Wake // its priority and its turn are the same as before
	}
	wake.At = at
	if _, err := r.store.Commit(ctx, store.Batch{Release: l, Wakes: []store.Wake{wake}}); err != nil {
		r.log.Debug("release", "key", l.Key, "error", err)
	}
}

// returnAll gives back what was claimed and is not worked on.
func (r *Runtime) returnAll(leases []store.Lease) {
	for i := range leases {
		r.giveBack(&leases[i], timeNow())
	}
}
