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
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// create commits a new execution. If the queue is empty and this process has room, it owns the execution from that commit on. Otherwise the
// execution waits in the queue, or is refused if the queue is full. It is not an error if another request with the same idempotency key has
// created the execution.
func (r *Engine) create(ctx context.Context, id string, p *plan.Program, sub Submit) error {
	record, err := schemas.Encode(journal.Definition{Definition: p.Definition, Session: sub.session})
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	h := journal.Head{TreeSince: sub.began, CalledBy: sub.calledBy, Principal: caller.From(ctx).Principal, Hops: caller.Hops(ctx), Execution: schemas.Execution{
		ExecutionID: id, Name: p.Definition.Plan.Name, SessionID: sub.SessionID, RerunOf: sub.RerunOf, Workflow: sub.Workflow,
		ParentID: sub.parent, CreatedAt: r.store.Now(), ScheduledAt: sub.ScheduledAt,
	}}
	x := newExecution(r.journal.New(id, h))
	x.SetProgram(p, sub.session)
	x.State = machine.New(p)
	x.State.SetUnknownRules(r.capabilities.UnknownRules)
	if sub.parent == "" {
		x.State.SetBudget(r.limits.Budget(), r.limits.MaxOpen)
	}
	base := store.Batch{Puts: []store.Put{{Key: journal.PlanKey(id), Value: record, Version: store.AnyVersion}}}
	if r.owner(id) != nil { // another request with the same idempotency key is creating it: this waits for its first commit
		if err := r.Decide(ctx, id, noEvents); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			return err
		}
	}
	if sub.calledBy != "" {
		if !r.running.Load() || r.queue.Paused(ctx) != nil {
			return r.createQueued(ctx, x, sub, base)
		}
		if err := r.takeApart(ctx, x); err != nil {
			return err
		}
		if err := r.pay(ctx, &sub, id); err != nil {
			r.endPlace(x)
			return err
		}
	} else if !r.running.Load() || !r.queue.StartsAtOnce(ctx, sub.parent != "") || !r.slots.TryAcquire(1) {
		return r.createQueued(ctx, x, sub, base)
	}
	err = r.createOwned(ctx, x, sub, base)
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case errors.Is(err, errReleased):
		return r.create(ctx, id, p, sub)
	}
	return err
}

// createQueued commits a new execution to the queue. The execution of a workflow node is never refused.
func (r *Engine) createQueued(ctx context.Context, x *execution, sub Submit, base store.Batch) error {
	if sub.parent == "" {
		if err := r.queue.Admit(ctx); err != nil {
			return err
		}
	}
	if err := r.pay(ctx, &sub, x.ID); err != nil {
		return err
	}
	q := &request{decide: created(x, sub)}
	if _, err := r.step(ctx, x, []*request{q}, guest, base); err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	return q.err
}

// createOwned has an owner in this process commit and run a new execution, and waits for the commit. The caller has acquired a slot.
func (r *Engine) createOwned(ctx context.Context, x *execution, sub Submit, base store.Batch) error {
	base.Claim = &store.Claim{Key: journal.ExecutionKey(x.ID), Owner: r.worker, TTL: r.limits.Lease}
	create := created(x, sub)
	q := &request{done: make(chan struct{}), decide: func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		events, err := create(s, now)
		return append(events, schemas.Event{Type: schemas.EventStarted, By: r.worker}), err
	}}
	r.adopt(x, nil, time.Time{}, []*request{q}, base) //nolint:contextcheck // an owner outlives the request that created it
	select {
	case <-q.done:
		return q.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// created decides the first events of an execution.
func created(x *execution, sub Submit) Decision {
	h, p := x.Head, &x.Program.Definition.Plan
	return func(_ *machine.State, now time.Time) ([]schemas.Event, error) {
		e := schemas.Event{
			Type: schemas.EventCreated, By: h.Principal, Priority: p.Priority, Name: h.Name, Budget: sub.budget, Places: sub.places,
		}
		if d := p.Timeout.Std(); d > 0 {
			e.Due = new(now.Add(d))
		}
		if d := p.QueueTimeout.Std(); d > 0 {
			e.QueueDue = new(now.Add(d))
		}
		return append([]schemas.Event{e}, sub.reuse...), nil
	}
}
