package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// guests are decisions about executions that this process does not own. Those about one execution that come at the same time are made
// together by one of their callers: each alone would read all of the execution, and their commits would conflict. The zero value is
// ready for use.
type guests struct {
	mu      sync.Mutex
	waiting map[string][]*request // by execution, while a caller decides about it
}

// join adds a decision. The first one is to be made by its caller, with those that have joined by then; the others are answered.
func (g *guests) join(id string, q *request) (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting == nil {
		g.waiting = map[string][]*request{}
	}
	waiting, busy := g.waiting[id]
	if busy {
		waiting = append(waiting, q)
	}
	g.waiting[id] = waiting
	return !busy
}

// take returns the decisions that have joined.
func (g *guests) take(id string) []*request {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.waiting[id]
	g.waiting[id] = nil
	return all
}

// leave has the callers that joined since try again; one of them is the first now.
func (g *guests) leave(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	answer(g.waiting[id], errReleased)
	delete(g.waiting, id)
}

// decideTogether changes an execution that this process does not own, by this decision and those that came meanwhile. errReleased: it is
// to be tried again.
func (r *Engine) decideTogether(ctx context.Context, id string, decide Decision) error {
	q := &request{decide: decide, done: make(chan struct{})}
	if !r.guests.join(id, q) {
		select {
		case <-q.done:
			return q.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer r.guests.leave(id)
	if r.owner(id) != nil { // adopted since the caller looked
		return errReleased
	}
	h, version, err := r.journal.ReadHead(ctx, id)
	if err == nil && r.adoptable(ctx, &h) {
		var adopted bool
		if adopted, err = r.decideAsOwner(ctx, &h, q); adopted {
			select {
			case <-q.done:
				return q.err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	var j *journal.Execution
	if err == nil {
		j, err = r.journal.LoadFrom(ctx, h, version)
	}
	all := append(r.guests.take(id), q)
	if err == nil {
		err = r.decideAsGuest(ctx, opened(j), all...)
	}
	others := all[:len(all)-1]
	switch {
	case err == nil:
		answer(others, nil)
		return q.err
	case ctx.Err() != nil: // this caller has gone, the others have not
		answer(others, errReleased)
	case len(others) > 0 && schemas.AsError(err).Code == schemas.CodeInternal: // one of them is to blame
		for _, one := range all {
			one.err = r.decideAlone(ctx, id, one.decide)
		}
		answer(others, nil)
		return q.err
	default:
		answer(others, err)
	}
	return err
}

// decideAlone makes one decision.
func (r *Engine) decideAlone(ctx context.Context, id string, decide Decision) error {
	x, err := r.open(ctx, id)
	if err != nil {
		return err
	}
	q := &request{decide: decide}
	if err := r.decideAsGuest(ctx, x, q); err != nil {
		return err
	}
	return q.err
}

// adoptable reports whether a decision about the execution is to be made by an owner: it is large, and the mark of an owner tells if reading
// it ended the process.
func (r *Engine) adoptable(ctx context.Context, h *journal.Head) bool {
	return r.journal.IsLarge(h, false) && r.running.Load() && h.Status != schemas.StatusPending && !h.Status.Terminal() &&
		r.journal.Readable(ctx, h) == nil && r.queue.Paused(ctx) == nil
}

// decideAsOwner adopts an execution to make a decision about it, and those that came meanwhile, which are answered. adopted is false if another
// process owns it, which has read it and lives, or if there is no room for it here.
func (r *Engine) decideAsOwner(ctx context.Context, h *journal.Head, q *request) (adopted bool, err error) {
	if !r.slots.TryAcquire(1) {
		return false, nil
	}
	key, sent := journal.ExecutionKey(h.ExecutionID), time.Now()
	done, err := r.store.Commit(ctx, store.Batch{
		Claim: &store.Claim{Key: key, Owner: r.worker, TTL: r.limits.Lease},
		Wakes: []store.Wake{{Key: key, At: r.store.Now(), Priority: h.Priority, Fairness: h.Fairness()}}, // in case this process dies
	})
	if err != nil {
		r.slots.Release(1)
		if errors.Is(err, store.ErrConflict) {
			return false, nil
		}
		return false, records.StoreError(err)
	}
	x := newExecution(r.journal.New(h.ExecutionID, journal.Head{}))
	all := append(r.guests.take(h.ExecutionID), q)
	r.adopt(x, done.Lease, sent, all, store.Batch{}) //nolint:contextcheck // an owner outlives the request
	return true, nil
}

// decideAsGuest makes decisions about an execution that this process does not own. The error of a decision is set in its request.
func (r *Engine) decideAsGuest(ctx context.Context, x *execution, requests ...*request) error {
	if _, err := r.step(ctx, x, requests, guest, store.Batch{}); err != nil {
		return err
	}
	if o := r.owner(x.ID); o != nil { // adopted meanwhile, perhaps with the state before this change
		o.markStale()
	}
	return nil
}
