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
	// stateWatchPoll is how late a change is noticed at most that no hint of the store told of.
	WatchPoll  = 5 * time.Second
	MaxWatches = 10_000 // of one process
)

// watches are the states that clients of this process want to hear of.
type watches struct {
	mu     sync.Mutex
	byKey  map[store.Key][]*watch // by the record that they show
	count  int
	signal records.Signal // some watch is to be looked at earlier than was known
}

// watch is one state in the eyes of one who watches it.
type watch struct {
	caller  caller.Caller
	ref     Ref
	key     store.Key
	changed func()

	nextCheck time.Time   // when it is to be looked at
	last      fingerprint // what it was when it was
}

// fingerprint tells one state from the next.
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

// Watch has changed called whenever the caller's state is found to be another one than before: written, deleted or expired,
// through whichever replica. Several changes may be told as one; what it is now State tells. Where the runtime does not run nothing is
// told. changed must not block; it may be called once more while off is. An error is that of State, or rate_limited.
func (s *States) Watch(ctx context.Context, ref Ref, changed func()) (stop func(), err error) {
	ref.Context = nil
	current, err := s.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	w := &watch{caller: caller.From(ctx), ref: ref, key: s.shownKey(ctx, ref), changed: changed, last: fingerprintOf(&current), nextCheck: s.nextCheck(&current)}
	ws := &s.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.count >= MaxWatches {
		return nil, schemas.Errorf(schemas.CodeRateLimited, "%d states are watched already", ws.count).WithHint("end subscriptions that nobody needs, or ask get_state")
	}
	if ws.byKey == nil {
		ws.byKey = map[store.Key][]*watch{}
	}
	ws.byKey[w.key] = append(ws.byKey[w.key], w)
	ws.count++
	ws.signal.Set()
	return sync.OnceFunc(func() { ws.remove(w) }), nil
}

// shownKey is what a state is read from; a view shows another record.
func (s *States) shownKey(ctx context.Context, ref Ref) store.Key {
	if v, ok := s.views[ref.Type]; ok {
		return v.Key(ctx, ref.Key)
	}
	return ref.key(ctx)
}

// Changed has the watches looked at of what a record shows: the store's watch named it.
func (s *States) Changed(key store.Key) { s.watches.markDue(key) }

// Watched counts the watches of this process, and the records that they show.
func (s *States) Watched() (count, shown int) {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	return s.watches.count, len(s.watches.byKey)
}

// nextCheck is when a state is to be looked at unless a hint comes first: with its end, or when the hint must have been missed.
func (s *States) nextCheck(current *schemas.State) time.Time {
	now := records.Now()
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

// markDue has those looked at that watch what a record shows.
func (ws *watches) markDue(key store.Key) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.byKey[key] {
		w.nextCheck = time.Time{}
		ws.signal.Set()
	}
}

// due are the watches to be looked at now, and when the next one is; zero: there is none. Each is due again with the next poll.
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

// update takes note of what a watch's state is now, and tells whether that is news.
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

// runWatches looks at watched states until ctx ends. While nobody watches any it sleeps.
func (s *States) runWatches(ctx context.Context) {
	for {
		list, next := s.watches.due(records.Now())
		for _, w := range list {
			current, err := s.Get(caller.With(ctx, w.caller), w.ref)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.log.Debug("look at a watched state: again later", "state_type", w.ref.Type, "error", err)
				continue
			}
			if s.watches.update(w, fingerprintOf(&current), s.nextCheck(&current)) {
				w.changed()
			}
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(0, next.Sub(records.Now())))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.watches.signal:
		case <-timer:
		}
	}
}
