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

// Status returns an execution, after waiting for up to wait, and MaxWait, until it comes to rest: finished, suspended, or held for a decision.
// If the caller was shown already what it waits for, it waits for something else. progress, if not nil, is called with every change meanwhile.
// The end of ctx ends the wait, never the execution. While the store does not answer, an execution that runs in this process is returned as it
// was last committed, without its nodes; its hint says so.
func (r *Engine) Status(
	ctx context.Context, id string, view schemas.View, wait time.Duration, progress func(schemas.Execution),
) (schemas.Execution, error) {
	return r.status(ctx, id, view, wait, r.seen.last(ctx, id), progress)
}

// Await is Status for a caller that has just submitted the execution: it was shown nothing.
func (r *Engine) Await(
	ctx context.Context, id string, view schemas.View, wait time.Duration, progress func(schemas.Execution),
) (schemas.Execution, error) {
	return r.status(ctx, id, view, wait, 0, progress)
}

func (r *Engine) status(
	ctx context.Context, id string, view schemas.View, wait time.Duration, known uint64, progress func(schemas.Execution),
) (e schemas.Execution, err error) {
	began := time.Now()
	if wait > 0 {
		if err := r.waitForRest(ctx, id, min(wait, r.limits.MaxWait), known, progress); err != nil {
			return schemas.Execution{}, err
		}
	}
	waited := time.Since(began)
	h, stale, err := r.headOrLatest(ctx, id)
	if err != nil {
		return schemas.Execution{}, err
	}
	e = r.shown(ctx, h.Execution)
	defer func() {
		r.seen.show(ctx, &e)
		if wait > 0 {
			e.WaitedSeconds = waited.Round(time.Millisecond).Seconds()
		}
	}()
	if stale {
		e.Hint = hintStale
		return e, nil
	}
	if view == schemas.ViewNodes || view == schemas.ViewFailures {
		x, err := r.journal.LoadFor(ctx, id)
		if err != nil {
			return schemas.Execution{}, err
		}
		e = r.shown(ctx, x.Head.Execution)
		e.Nodes = journal.NodeViews(x.State, view)
	}
	return e, nil
}

// MaxWait is the longest wait of one request.
func (r *Engine) MaxWait() time.Duration { return r.limits.MaxWait }

// CheckWait returns an error for a wait that is longer than MaxWait.
func (r *Engine) CheckWait(wait time.Duration) error {
	if wait <= r.limits.MaxWait {
		return nil
	}
	most := int(r.limits.MaxWait.Seconds())
	return schemas.Errorf(schemas.CodeInvalidArgument, "wait_seconds is %d, and at most %d here (limits.max_wait_seconds), so that clients do not "+
		"give up before", int(wait.Seconds()), most).WithField("/wait_seconds").WithOutcome(schemas.NotRun).
		WithHint("nothing was started: write wait_seconds %d or less; get_execution_status with wait_seconds waits on", most)
}

const hintStale = "the store does not answer: this is the state of the last commit. Calls in flight continue, and their results are " +
	"committed when the store answers again; ask again then"

// statusPoll is how often a wait reads the execution, in case a notification was lost.
const statusPoll = 2 * time.Second

// waitForRest waits until the execution comes to rest, in another situation than the one that is known, or for the given time.
func (r *Engine) waitForRest(ctx context.Context, id string, wait time.Duration, known uint64, progress func(schemas.Execution)) error {
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
		if e := r.shown(ctx, h.Execution); journal.AtRest(&e) && (known == 0 || situation(&e) != known) {
			return nil
		}
		for read := false; !read; {
			select {
			case u, ok := <-sub.C:
				if !ok { // it was too slow and missed updates: subscribe again, and read the head
					sub = r.feed.Subscribe(id, 64)
					read = true
				} else if progress != nil {
					progress(u.Execution)
				}
				read = read || journal.AtRest(&u.Execution)
			case <-tick.C:
				read = true
			case <-timeout.C:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// headOrLatest reads the head of an execution of the caller. If the store is unavailable and the execution has an owner in this process, it
// returns the head that the owner read or committed last: it may be stale.
func (r *Engine) headOrLatest(ctx context.Context, id string) (h journal.Head, stale bool, err error) {
	h, err = r.journal.HeadFor(ctx, id)
	o := r.owner(id)
	if !errors.Is(err, records.ErrUnavailable) || o == nil {
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

// shown returns the execution with its hint, and with what only the queue knows: whether it waits for a pause to end.
func (r *Engine) shown(ctx context.Context, e schemas.Execution) schemas.Execution {
	if e.Status != schemas.StatusPending {
		return journal.WithHint(e)
	}
	p := r.queue.Paused(ctx)
	if p == nil {
		e.Hint = "it waits in the queue for a worker: get_queue_status shows how full that is, " +
			"get_execution_status with wait_seconds waits for the result"
		return e
	}
	since := p.Since
	if e.CreatedAt.After(since) {
		since = e.CreatedAt
	}
	e.Waiting, e.WaitingFor = true, []schemas.WaitingFor{{Reason: schemas.ReasonQueue, Since: since}}
	e.Hint = "it is accepted and waits in the queue; " + queue.DescribePause(p) +
		". It starts once an operator has resumed the queue (resume_queue, or `runplane queue resume`); cancel_execution withdraws it"
	return e
}
