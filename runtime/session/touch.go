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

// touchInterval is how often at most one process commits the uses of sessions. Between commits it remembers them; after a crash a session
// may expire that much earlier.
const touchInterval = 5 * time.Second

// touches remembers when sessions were last used, until that is committed.
type touches struct {
	mu     sync.Mutex
	last   map[string]time.Time
	signal records.Signal // last is not empty
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

// drop removes a session, unless it was used again since.
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

// Use renews the expiry of a session of the caller, and returns it; every call that names a session calls it. If the session has ended,
// it is returned with an error that wraps [ErrEnded].
func (s *Sessions) Use(ctx context.Context, id string) (schemas.Session, error) {
	var r record
	err := s.store.RetryOnConflict(func() (err error) {
		if r, err = s.readOpen(ctx, id); err != nil {
			return err
		}
		now := s.store.Now()
		r.touch(now)
		if s.running.Load() && now.Sub(r.committed) < min(touchInterval, r.ttl()/20) {
			s.touches.add(id, now)
			return nil
		}
		return s.save(ctx, &r, r.ExpiresAt, store.Batch{})
	})
	return r.view(s.store.Now(), s.rules), err
}

// Touch renews the expiry of a session for a call that does not need the session to exist; errors are logged.
func (s *Sessions) Touch(ctx context.Context, id string) {
	_, err := s.Use(ctx, id)
	if err != nil && !errors.Is(err, ErrEnded) && !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		s.log.Debug("renew the expiry of a session: going on without", "session_id", id, "error", err)
	}
}

// commitTouches commits the uses of sessions every touchInterval, and the rest when ctx ends.
func (s *Sessions) commitTouches(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			s.running.Store(false) // from here on a use is committed at once
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
			r, err := s.read(ctx, id) // with its last use
			if err != nil || r.Status.Ended() {
				return err
			}
			return s.save(ctx, &r, r.ExpiresAt, store.Batch{})
		})
		if err != nil && !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			if ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
				s.log.Warn("commit the last use of a session: trying again", "session_id", id, "error", err)
			}
			continue
		}
		s.touches.drop(id, seenAt)
	}
}
