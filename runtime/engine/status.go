package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// Status shows an execution, after waiting up to wait for it to come to rest: finished, suspended, or held for a decision.
// progress, if any, is told of every change meanwhile. The end of ctx ends the wait, never the execution. While the store does not
// answer, an execution that runs in this process is shown as it was committed last, without its nodes; its hint says so.
func (r *Engine) Status(ctx context.Context, id string, view schemas.View, wait time.Duration, progress func(schemas.Execution)) (schemas.Execution, error) {
	if wait > 0 {
		if err := r.waitForRest(ctx, id, min(wait, r.limits.MaxWait), progress); err != nil {
			return schemas.Execution{}, err
		}
	}
	h, stale, err := r.headOrLatest(ctx, id)
	if err != nil {
		return schemas.Execution{}, err
	}
	e := r.shown(ctx, h.Execution)
	if stale {
		e.Hint = hintStale
		return e, nil
	}
	if view == schemas.ViewNodes || view == schemas.ViewFailures {
		x, err := r.journal.Load(ctx, id)
		if err != nil {
			return schemas.Execution{}, err
		}
		e = r.shown(ctx, x.Head.Execution)
		e.Nodes = x.State.NodeViews(view)
	}
	return e, nil
}

const hintStale = "the store does not answer: this is what was committed last. Calls under way go on, and what they answer is committed when it is back; ask again then"

// statusPoll is how often a wait looks for itself, in case a notification got lost.
const statusPoll = 2 * time.Second

func (r *Engine) waitForRest(ctx context.Context, id string, wait time.Duration, progress func(schemas.Execution)) error {
	sub := r.feed.Subscribe(id, 64)
	defer func() { sub.Close() }()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	tick := time.NewTicker(statusPoll)
	defer tick.Stop()
	for {
		h, _, err := r.headOrLatest(ctx, id)
		if err != nil {
			return err
		}
		if e := r.shown(ctx, h.Execution); journal.AtRest(&e) {
			return nil
		}
		for looked := false; !looked; {
			select {
			case u, ok := <-sub.C:
				if !ok { // lagged behind: begin anew from the head
					sub = r.feed.Subscribe(id, 64)
					looked = true
				} else if progress != nil {
					progress(u.Execution)
				}
				looked = looked || journal.AtRest(&u.Execution)
			case <-tick.C:
				looked = true
			case <-timeout.C:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// shown is the execution with what only the queue knows: whether it waits for a pause to end.
func (r *Engine) shown(ctx context.Context, e schemas.Execution) schemas.Execution {
	if e.Status != schemas.StatusPending {
		return journal.WithHint(e)
	}
	p := r.queue.Paused(ctx)
	if p == nil {
		e.Hint = "it waits in the queue for a worker: get_queue_status tells how full that is, get_execution_status with wait_seconds waits for the result"
		return e
	}
	since := p.Since
	if e.CreatedAt.After(since) {
		since = e.CreatedAt
	}
	e.Waiting, e.WaitingFor = true, []schemas.WaitingFor{{Reason: schemas.ReasonQueue, Since: since}}
	e.Hint = "it is accepted and waits in the queue; " + queue.PausedWords(p) + ". It starts once an operator has resumed the queue (resume_queue, or `runplane queue resume`); cancel_execution withdraws it"
	return e
}

// headOrLatest is headFor. While the store does not answer it is what the execution's owner in this process knows of it, where it has
// one: stale.
func (r *Engine) headOrLatest(ctx context.Context, id string) (h journal.Head, stale bool, err error) {
	h, err = r.journal.HeadFor(ctx, id)
	o := r.owner(id)
	if !errors.Is(err, records.Unavailable) || o == nil {
		return h, false, err
	}
	known := o.x.latest.Load()
	switch {
	case known == nil:
		return h, false, err
	case known.Principal != caller.From(ctx).Principal:
		return h, false, r.journal.NotFound(id)
	}
	return *known, true, nil
}
