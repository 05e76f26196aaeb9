package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// create commits a new execution; that somebody with the same idempotency key was faster is as good. Where nobody waits
// and this process has room it owns it from the same commit on; else it takes its turn in the queue, or is refused when that is full.
func (r *Engine) create(ctx context.Context, id string, p *plan.Program, sub Submit) error {
	record, err := schemas.Encode(journal.Definition{Definition: p.Definition, Session: sub.session})
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	now := records.Now()
	h := journal.Head{Principal: caller.From(ctx).Principal, Hops: caller.Hops(ctx), Execution: schemas.Execution{
		ExecutionID: id, Name: p.Definition.Plan.Name, SessionID: sub.SessionID, RerunOf: sub.RerunOf, Workflow: sub.Workflow, ParentID: sub.parent, CreatedAt: now,
		ScheduledAt: sub.ScheduledAt,
	}}
	x := newExecution(journal.New(id, h))
	x.SetProgram(p, sub.session)
	x.State = machine.New(p)
	x.State.Forbid(r.capabilities.Forbids)
	base := store.Batch{Puts: []store.Put{{Key: journal.PlanKey(id), Value: record, Version: store.AnyVersion}}}
	create := func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		e := schemas.Event{Type: schemas.EventCreated, By: h.Principal, Priority: p.Definition.Plan.Priority, Name: h.Name}
		if d := p.Definition.Plan.Timeout.Std(); d > 0 {
			e.Due = new(now.Add(d))
		}
		if d := p.Definition.Plan.QueueTimeout.Std(); d > 0 {
			e.QueueDue = new(now.Add(d))
		}
		return append([]schemas.Event{e}, sub.reuse...), nil
	}
	if r.owner(id) != nil { // the same key is just making it: true once its owner has committed something
		err := r.Decide(ctx, id, func(*machine.State, time.Time) ([]schemas.Event, error) { return nil, nil })
		if !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			return err
		}
	}
	if !r.running.Load() || !r.queue.StartsAtOnce(ctx, sub.parent != "") || !r.slots.TryAcquire(1) {
		if sub.parent == "" {
			if err := r.queue.Admit(ctx); err != nil {
				return err
			}
		}
		q := &request{decide: create}
		if _, err := r.step(ctx, x, []*request{q}, guest, base); err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
		return q.err
	}
	base.Claim = &store.Claim{Key: journal.ExecutionKey(id), Owner: r.worker, TTL: r.limits.Lease}
	q := &request{done: make(chan struct{}), decide: func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		events, err := create(s, now)
		if err == nil && len(events) > 0 {
			events = append(events, schemas.Event{Type: schemas.EventStarted, By: r.worker})
		}
		return events, err
	}}
	r.adopt(x, nil, time.Time{}, []*request{q}, base) //nolint:contextcheck // an owner outlives the request that made it
	select {
	case <-q.done:
		switch {
		case errors.Is(q.err, store.ErrConflict):
			return nil
		case errors.Is(q.err, errReleased):
			return r.create(ctx, id, p, sub)
		}
		return q.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
