package runtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// touchEvery is how often at most one process commits that a session was seen. What was seen in between it remembers; a
// crash loses so much of a session's life.
const touchEvery = 5 * time.Second

// touches remembers when sessions were seen, until that is committed.
type touches struct {
	mu     sync.Mutex
	last   map[string]time.Time
	signal chan struct{} // one token: there is something
}

func (t *touches) at(id string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.last[id]
	return at, ok
}

func (t *touches) note(id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.After(t.last[id]) {
		t.last[id] = at
	}
	select {
	case t.signal <- struct{}{}:
	default:
	}
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

// useSession is for every call that names a session: it must be the caller's and alive, and was seen by this. A session
// that ended comes with errSessionEnded.
func (r *Runtime) useSession(ctx context.Context, id string) (s session, err error) {
	err = r.store.RetryOnConflict(func() error {
		if s, err = r.livingSession(ctx, id); err != nil {
			return err
		}
		now := records.Now()
		s.seen(now)
		if r.running.Load() && now.Sub(s.committed) < min(touchEvery, s.ttl()/20) {
			r.touches.note(id, now)
			return nil
		}
		return r.saveSession(ctx, &s, s.ExpiresAt, store.Batch{})
	})
	return s, err
}

// touchSession lets a call that may do without the session count as one that names it.
func (r *Runtime) touchSession(ctx context.Context, id string) {
	_, err := r.useSession(ctx, id)
	if err != nil && !errors.Is(err, errSessionEnded) && !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		r.log.Debug("touch a session", "session_id", id, "error", err)
	}
}

// commitTouches commits what was seen every touchEvery, and the rest when ctx ends.
func (r *Runtime) commitTouches(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			r.flushTouches(end)
			return
		case <-r.touches.signal:
		}
		t := time.NewTimer(touchEvery)
		select {
		case <-ctx.Done():
		case <-t.C:
			r.flushTouches(ctx)
		}
		t.Stop()
	}
}

func (r *Runtime) flushTouches(ctx context.Context) {
	for _, id := range r.touches.ids() {
		at, ok := r.touches.at(id)
		if !ok {
			continue
		}
		err := r.store.RetryOnConflict(func() error {
			s, err := r.readSession(ctx, id) // as seen
			if err != nil || s.Status.Ended() {
				return err
			}
			return r.saveSession(ctx, &s, s.ExpiresAt, store.Batch{})
		})
		if err != nil && !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			if ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
				r.log.Warn("commit that a session was seen: trying again", "session_id", id, "error", err)
			}
			continue
		}
		r.touches.drop(id, at)
	}
}
