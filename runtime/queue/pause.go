package queue

import (
	"context"
	"encoding/json"
	"errors"
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

// PauseAge is how old this replica's knowledge of a pause may be.
const PauseAge = time.Second

// pauses is what this replica knows of the pause. A watch tells it of changes; what is older than pauseAge is read anew
// before anybody relies on it, so that an idle runtime reads nothing.
type pauses struct {
	mu     sync.Mutex
	pause  *schemas.QueuePause // nil: the queue is open
	read   time.Time           // zero: to be read anew
	news   int                 // counts what was learned: what was read before the last of it is stale
	end    context.CancelFunc  // ends the claim that waits; nil: none does
	opened records.Signal      // it was paused and is open
}

// forget has the record read anew by whoever needs it next.
func (p *pauses) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = time.Time{}
	p.news++
}

// learn takes note of the pause as it now is; nil: the queue is open.
func (p *pauses) learn(now *schemas.QueuePause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(now)
}

// learnRead takes note of what was read since the count of news was taken, unless there are newer ones.
func (p *pauses) learnRead(now *schemas.QueuePause, news int) *schemas.QueuePause {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.news == news {
		p.set(now)
	}
	return p.pause
}

// set wants the lock held.
func (p *pauses) set(now *schemas.QueuePause) {
	p.news++
	if now != nil && p.end != nil {
		p.end()
	}
	if now == nil && p.pause != nil {
		p.opened.Set()
	}
	p.pause, p.read = now, time.Now()
}

// Paused is the pause of the queue; nil: it is open. Where the store does not answer it is what was known last.
func (r *Queue) Paused(ctx context.Context) *schemas.QueuePause {
	r.pauses.mu.Lock()
	known, news, fresh := r.pauses.pause, r.pauses.news, !r.pauses.read.IsZero() && time.Since(r.pauses.read) < PauseAge
	r.pauses.mu.Unlock()
	if fresh {
		return known
	}
	now, _, err := r.readPause(ctx)
	if err != nil {
		r.log.Debug("read the pause of the queue", "error", err)
		return known
	}
	return r.pauses.learnRead(now, news)
}

// readPause reads the record; version 0 means that there is none.
func (r *Queue) readPause(ctx context.Context) (*schemas.QueuePause, int64, error) {
	rec, err := r.store.Get(ctx, pauseKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, records.Error(err)
	}
	p := new(schemas.QueuePause)
	if err := json.Unmarshal(rec.Value, p); err != nil {
		return nil, 0, fmt.Errorf("read the pause of the queue: %w", err)
	}
	return p, rec.Version, nil
}

// PausedWords tells a caller who paused the queue.
func PausedWords(p *schemas.QueuePause) string {
	return fmt.Sprintf("it has been paused by %s since %s%s", p.By, p.Since.Format(time.RFC3339), schemas.Because(p.Reason))
}

// WhileOpen waits until the queue is open and returns a context that ends when it is paused; nil once ctx has ended. The
// returned function is to be called behind the use of that context.
func (r *Queue) WhileOpen(ctx context.Context) (context.Context, func()) {
	for told := false; ctx.Err() == nil; told = true {
		p := r.Paused(ctx)
		if p == nil {
			open, cancel := context.WithCancel(ctx)
			r.pauses.mu.Lock()
			r.pauses.end = cancel
			if r.pauses.pause != nil { // since a moment ago
				cancel()
			}
			r.pauses.mu.Unlock()
			return open, func() {
				r.pauses.mu.Lock()
				r.pauses.end = nil
				r.pauses.mu.Unlock()
				cancel()
			}
		}
		r.vacant.Store(false)
		if !told {
			r.log.Warn("the queue is paused: nothing is claimed", "by", p.By, "since", p.Since, "reason", p.Reason)
		}
		again := time.NewTimer(PauseAge)
		select {
		case <-ctx.Done():
		case <-r.pauses.opened:
		case <-again.C:
		}
		again.Stop()
	}
	return nil, nil
}
