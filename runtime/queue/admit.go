package queue

import (
	"context"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// admission admits submissions to the queue. It caches the depth for a moment, so that many submissions do not become as many requests
// to the store.
type admission struct {
	mu    sync.Mutex
	depth int
	full  bool      // whether the queue was full when the store was asked
	until time.Time // when depth expires
}

const (
	depthAge  = 250 * time.Millisecond // how old the cached depth may be
	fullRetry = 5 * time.Second        // after which a client may try a refused submission again
)

// StartsAtOnce reports whether a new execution may begin without waiting in the queue: the queue is open, and was empty when this process
// last claimed. A child belongs to an execution that runs, so a pause does not stop it.
func (q *Queue) StartsAtOnce(ctx context.Context, child bool) bool {
	if q.Paused(ctx) != nil {
		return child
	}
	return q.empty.Load()
}

// Admit returns an error with code rate_limited, and when to try again, for a submission that would have to wait in a full queue.
func (q *Queue) Admit(ctx context.Context) error {
	depth, err := q.admission.join(ctx, q)
	if err != nil || depth < q.maxQueued {
		return err
	}
	full := schemas.Errorf(schemas.CodeRateLimited, "the queue is full: its limit of %d waiting executions is reached", q.maxQueued).
		WithRetryAfter(fullRetry).WithOutcome(schemas.NotRun).
		WithHint("nothing was started; submit it again after retry_after_seconds, with the same idempotency_key if it has one. " +
			"get_queue_status shows how full the queue is")
	if p := q.Paused(ctx); p != nil {
		full.Message += ", and " + DescribePause(p)
	}
	return full
}

// Full reports whether as many executions wait as may. An execution that has children then starts no more of them for now. If nothing waited
// when this process last claimed, the store is not asked.
func (q *Queue) Full(ctx context.Context) bool {
	if q.empty.Load() {
		return false
	}
	depth, err := q.admission.look(ctx, q)
	return err == nil && depth >= q.maxQueued
}

// look returns how many executions wait, without one more.
func (a *admission) look(ctx context.Context, q *Queue) (depth int, err error) {
	a.mu.Lock()
	depth, fresh := a.depth, time.Now().Before(a.until)
	a.mu.Unlock()
	if fresh {
		return depth, nil
	}
	return a.read(ctx, q, 0)
}

// join returns how many executions waited before this submission, and counts the submission.
func (a *admission) join(ctx context.Context, q *Queue) (depth int, err error) {
	if depth, ok := a.cached(q.maxQueued); ok {
		return depth, nil
	}
	return a.read(ctx, q, 1)
}

// read asks the store for the depth, and caches it with what joins now.
func (a *admission) read(ctx context.Context, q *Queue, joining int) (depth int, err error) {
	stored, err := q.store.Queue(ctx, journal.KindExecution)
	if err != nil {
		return 0, records.StoreError(err)
	}
	for _, n := range stored.Due {
		depth += n
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.depth, a.full, a.until = depth+joining, depth >= q.maxQueued, time.Now().Add(depthAge)
	return depth, nil
}

// cached returns the cached depth, and counts the submission; not ok if the store has to be asked. It has to be asked also if only the
// submissions since fill the queue, as some executions may have left it.
func (a *admission) cached(limit int) (depth int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !time.Now().Before(a.until) || a.depth >= limit && !a.full {
		return 0, false
	}
	a.depth++
	return a.depth - 1, true
}
