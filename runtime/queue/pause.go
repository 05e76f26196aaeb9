package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Kind of the records of the queue.
const Kind = "queue"

// pauseKey holds a schemas.QueuePause while the queue is paused; no record means that it is open.
var pauseKey = store.Key{Kind: Kind, ID: "pause"}

// PauseAge is how old a replica's knowledge of a pause may be.
const PauseAge = time.Second

// pauses caches the pause of the queue. The store's watch invalidates it; what is older than PauseAge is read again when it is
// needed, so that an idle runtime reads nothing.
type pauses struct {
	mu         sync.Mutex
	pause      *schemas.QueuePause // nil: the queue is open
	readAt     time.Time           // zero: to be read again
	generation int                 // counts changes of this cache: a read that began before the last one is stale
	endClaim   context.CancelFunc  // ends the claim that is waiting; nil: there is none
	reopened   records.Signal      // the queue was paused, and is open again
}

// invalidate makes the next use read the record.
func (p *pauses) invalidate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readAt = time.Time{}
	p.generation++
}

// set caches the pause; nil: the queue is open.
func (p *pauses) set(pause *schemas.QueuePause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setLocked(pause)
}

// setRead caches a pause that was read after the generation was, unless the cache has changed since. It returns what is cached.
func (p *pauses) setRead(pause *schemas.QueuePause, generation int) *schemas.QueuePause {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.generation == generation {
		p.setLocked(pause)
	}
	return p.pause
}

// setLocked caches the pause. The caller holds p.mu.
func (p *pauses) setLocked(pause *schemas.QueuePause) {
	p.generation++
	if pause != nil && p.endClaim != nil {
		p.endClaim()
	}
	if pause == nil && p.pause != nil {
		p.reopened.Set()
	}
	p.pause, p.readAt = pause, time.Now()
}

// Paused returns the pause of the queue; nil: it is open. If the store does not answer it returns what was known last.
func (q *Queue) Paused(ctx context.Context) *schemas.QueuePause {
	q.pauses.mu.Lock()
	known, generation, fresh := q.pauses.pause, q.pauses.generation, !q.pauses.readAt.IsZero() && time.Since(q.pauses.readAt) < PauseAge
	q.pauses.mu.Unlock()
	if fresh {
		return known
	}
	pause, _, err := q.readPause(ctx)
	if err != nil {
		q.log.Debug("read the pause of the queue: using what was known last", "error", err)
		return known
	}
	return q.pauses.setRead(pause, generation)
}

// readPause reads the record and its version, which is 0 if there is none.
func (q *Queue) readPause(ctx context.Context) (*schemas.QueuePause, int64, error) {
	p, version, err := records.Read[schemas.QueuePause](ctx, q.store, pauseKey)
	if err != nil || version == 0 {
		return nil, 0, err
	}
	return &p, version, nil
}

// DescribePause says who paused the queue, since when and why: "it has been paused by …".
func DescribePause(p *schemas.QueuePause) string {
	return fmt.Sprintf("it has been paused by %s since %s%s", p.By, p.Since.Format(time.RFC3339), schemas.Because(p.Reason))
}

// WhileOpen waits until the queue is open, and returns a context that ends when the queue is paused; nil if ctx ended before. The
// caller must call the returned function after its use of that context.
func (q *Queue) WhileOpen(ctx context.Context) (context.Context, func()) {
	for logged := false; ctx.Err() == nil; logged = true {
		p := q.Paused(ctx)
		if p == nil {
			open, cancel := context.WithCancel(ctx)
			q.pauses.mu.Lock()
			q.pauses.endClaim = cancel
			if q.pauses.pause != nil { // it was paused in between
				cancel()
			}
			q.pauses.mu.Unlock()
			return open, func() {
				q.pauses.mu.Lock()
				q.pauses.endClaim = nil
				q.pauses.mu.Unlock()
				cancel()
			}
		}
		q.empty.Store(false)
		if !logged {
			q.log.Warn("the queue is paused: nothing is claimed", "by", p.By, "since", p.Since, "reason", p.Reason)
		}
		again := time.NewTimer(PauseAge)
		select {
		case <-ctx.Done():
		case <-q.pauses.reopened:
		case <-again.C:
		}
		again.Stop()
	}
	return nil, nil
}
