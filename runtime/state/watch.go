package state

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const (
	// WatchPoll is how late a change that the store's watch missed is noticed at most.
	WatchPoll = 5 * time.Second
	// MaxWatches is how many watches one process has at most.
	MaxWatches = 10_000
)

// watches are the states that clients of this process watch.
type watches struct {
	mu     sync.Mutex
	byKey  map[store.Key][]*watch // by the key of the record that they show
	count  int
	signal records.Signal // a watch is due earlier than it was before
}

// watch is one client's watch of a state.
type watch struct {
	caller  caller.Caller
	ref     Ref
	key     store.Key
	changed func()

	nextCheck time.Time   // when the state is read next
	last      fingerprint // of the state when it was read last
}

// fingerprint distinguishes a state from the one that it was before.
type fingerprint struct {
	found   bool
	version int64
	at      time.Time
}

func fingerprintOf(s *schemas.State) fingerprint {
	m := fingerprint{found: s.Found, version: s.Version}
	if s.UpdatedAt != nil {
		m.at = *s.UpdatedAt
	}
	return m
}

// Watch calls changed after the caller's state was written, deleted or expired, through any replica, until stop is called. Several
// changes may be one call; Get returns the state as it is now. Nothing is called while Run does not run. changed must not
// block; it may be called once more while stop is. Watch returns the errors of Get, and rate_limited if there are MaxWatches watches.
func (s *States) Watch(ctx context.Context, ref Ref, changed func()) (stop func(), err error) {
	ref.Context = nil
	current, err := s.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	w := &watch{
		caller: caller.From(ctx), ref: ref, key: s.shownKey(ctx, ref), changed: changed,
		last: fingerprintOf(&current), nextCheck: s.nextCheck(&current),
	}
	ws := &s.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.count >= MaxWatches {
		return nil, schemas.Errorf(schemas.CodeRateLimited, "%d states are watched (limit %d)", ws.count, MaxWatches).
			WithHint("end subscriptions that are no longer needed, or use get_state")
	}
	if ws.byKey == nil {
		ws.byKey = map[store.Key][]*watch{}
	}
	ws.byKey[w.key] = append(ws.byKey[w.key], w)
	ws.count++
	ws.signal.Set()
	return sync.OnceFunc(func() { ws.remove(w) }), nil
}

// shownKey returns the key of the record that a state is read from; a view shows another record.
func (s *States) shownKey(ctx context.Context, ref Ref) store.Key {
	if v, ok := s.views[ref.Type]; ok {
		return v.Key(ctx, ref.Key)
	}
	return ref.key(ctx)
}

// Changed makes the watches of a record due; it is called with each key that the store's watch names.
func (s *States) Changed(key store.Key) { s.watches.markDue(key) }

// Watched returns the number of watches of this process, and of the records that they show.
func (s *States) Watched() (count, shown int) {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	return s.watches.count, len(s.watches.byKey)
}

// nextCheck returns when a state is read next unless its record changes before: when it expires, but within WatchPoll.
func (s *States) nextCheck(current *schemas.State) time.Time {
	now := s.store.Now()
	next := now.Add(WatchPoll)
	if current.Found && current.ExpiresAt != nil && current.ExpiresAt.Before(next) && current.ExpiresAt.After(now) {
		next = *current.ExpiresAt
	}
	return next
}

func (ws *watches) remove(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	rest := slices.DeleteFunc(ws.byKey[w.key], func(other *watch) bool { return other == w })
	ws.count--
	if ws.byKey[w.key] = rest; len(rest) == 0 {
		delete(ws.byKey, w.key)
	}
}

// markDue makes the watches of a record due.
func (ws *watches) markDue(key store.Key) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.byKey[key] {
		w.nextCheck = time.Time{}
		ws.signal.Set()
	}
}

// due returns the watches that are due, and when the next one is; zero: there is none. Each is due again after WatchPoll.
func (ws *watches) due(now time.Time) (out []*watch, next time.Time) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, list := range ws.byKey {
		for _, w := range list {
			if !w.nextCheck.After(now) {
				out = append(out, w)
				w.nextCheck = now.Add(WatchPoll)
			}
			if next.IsZero() || w.nextCheck.Before(next) {
				next = w.nextCheck
			}
		}
	}
	return out, next
}

// update notes the current state of a watch, and reports whether it has changed. A watch that was stopped has not.
func (ws *watches) update(w *watch, current fingerprint, next time.Time) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if next.Before(w.nextCheck) {
		w.nextCheck = next
		ws.signal.Set()
	}
	if w.last == current {
		return false
	}
	w.last = current
	return slices.Contains(ws.byKey[w.key], w)
}

// runWatches reads watched states that are due until ctx ends. It sleeps while no state is watched.
func (s *States) runWatches(ctx context.Context) {
	for {
		list, next := s.watches.due(s.store.Now())
		for _, w := range list {
			current, err := s.Get(caller.With(ctx, w.caller), w.ref)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.log.Debug("read a watched state: trying again later", "state_type", w.ref.Type, "error", err)
				continue
			}
			if s.watches.update(w, fingerprintOf(&current), s.nextCheck(&current)) {
				w.changed()
			}
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(0, next.Sub(s.store.Now())))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.watches.signal:
		case <-timer:
		}
	}
}
