package queue

import (
	"context"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// admission guards the way into the queue. What it knows of the depth it keeps for a moment, so that a flood of submissions
// does not become a flood of questions to the store.
type admission struct {
	mu    sync.Mutex
	depth int
	full  bool // it was when the store was asked
	until time.Time
}

const (
	depthAge  = 250 * time.Millisecond // how old the known depth may be
	fullRetry = 5 * time.Second        // after which a refused submission may try again
)

// StartsAtOnce tells whether a new execution may begin without a turn in the queue: it is open, and nobody waits there. A
// pause does not stop the workflow of an execution that runs, which is a part of it.
func (q *Queue) StartsAtOnce(ctx context.Context, child bool) bool {
	if q.Paused(ctx) != nil {
		return child
	}
	return q.empty.Load()
}

// Admit refuses a submission that would have to wait in a full queue: rate_limited.
func (q *Queue) Admit(ctx context.Context) error {
	if depth, err := q.admission.join(ctx, q); err != nil || depth < q.maxQueued {
		return err
	}
	err := schemas.Errorf(schemas.CodeRateLimited, "the queue is full: %d executions wait, as many as may", q.maxQueued).
		WithRetryAfter(fullRetry).WithOutcome(schemas.NotRun).
		WithHint("nothing was started; submit it again after retry_after_seconds, with the same idempotency_key if it has one. get_queue_status tells how full the queue is")
	if p := q.Paused(ctx); p != nil {
		err.Message += ", and " + PausedWords(p)
	}
	return err
}

// join says how many waited before the caller, and counts the caller if he may.
func (a *admission) join(ctx context.Context, q *Queue) (depth int, err error) {
	if depth, ok := a.cached(q.maxQueued); ok {
		return depth, nil
	}
	stored, err := q.store.Queue(ctx, journal.KindExecution)
	if err != nil {
		return 0, records.Error(err)
	}
	for _, n := range stored.Due {
		depth += n
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.depth, a.full, a.until = depth+1, depth >= q.maxQueued, time.Now().Add(depthAge)
	return depth, nil
}

// cached answers from memory; not ok where the store has to be asked: also when only those who came since fill the queue, as
// some may have left.
func (a *admission) cached(limit int) (depth int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !time.Now().Before(a.until) || a.depth >= limit && !a.full {
		return 0, false
	}
	a.depth++
	return a.depth - 1, true
}
