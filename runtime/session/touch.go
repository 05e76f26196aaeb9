package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// touchInterval is how often at most one process commits that a session was seen. What was seen in between it remembers; a
// crash loses so much of a session's life.
const touchInterval = 5 * time.Second

// touches remembers when sessions were seen, until that is committed.
type touches struct {
	mu     sync.Mutex
	last   map[string]time.Time
	signal records.Signal // there is something
}

func (t *touches) at(id string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.last[id]
	return at, ok
}

func (t *touches) add(id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.After(t.last[id]) {
		t.last[id] = at
	}
	t.signal.Set()
}

// drop forgets a session, unless it was seen again since.
func (t *touches) drop(id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last[id].Equal(at) {
		delete(t.last, id)
	}
}

func (t *touches) ids() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]string, 0, len(t.last))
	for id := range t.last {
		ids = append(ids, id)
	}
	return ids
}

// Use is for every call that names a session: it must be the caller's and alive, and the call counts as seeing it. A session that has
// ended comes with [ErrEnded].
func (s *Sessions) Use(ctx context.Context, id string) (schemas.Session, error) {
	var r record
	err := s.store.RetryOnConflict(func() (err error) {
		if r, err = s.readOpen(ctx, id); err != nil {
			return err
		}
		now := records.Now()
		r.touch(now)
		if s.running.Load() && now.Sub(r.committed) < min(touchInterval, r.ttl()/20) {
			s.touches.add(id, now)
			return nil
		}
		return s.save(ctx, &r, r.ExpiresAt, store.Batch{})
	})
	return r.view(records.Now(), s.rules), err
}

// Touch lets a call that may do without the session count as one that names it.
func (s *Sessions) Touch(ctx context.Context, id string) {
	_, err := s.Use(ctx, id)
	if err != nil && !errors.Is(err, ErrEnded) && !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		s.log.Debug("touch a session", "session_id", id, "error", err)
	}
}

// commitTouches commits what was seen every touchEvery, and the rest when ctx ends.
func (s *Sessions) commitTouches(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			s.flushTouches(end)
			return
		case <-s.touches.signal:
		}
		t := time.NewTimer(touchInterval)
		select {
		case <-ctx.Done():
		case <-t.C:
			s.flushTouches(ctx)
		}
		t.Stop()
	}
}

func (s *Sessions) flushTouches(ctx context.Context) {
	for _, id := range s.touches.ids() {
		seenAt, ok := s.touches.at(id)
		if !ok {
			continue
		}
		err := s.store.RetryOnConflict(func() error {
			r, err := s.read(ctx, id) // as seen
			if err != nil || r.Status.Ended() {
				return err
			}
			return s.save(ctx, &r, r.ExpiresAt, store.Batch{})
		})
		if err != nil && !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			if ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
				s.log.Warn("commit that a session was seen: trying again", "session_id", id, "error", err)
			}
			continue
		}
		s.touches.drop(id, seenAt)
	}
}
