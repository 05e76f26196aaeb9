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
	n      int
	signal records.Signal // some watch is to be looked at earlier than was known
}

// watch is one state in the eyes of one who watches it.
type watch struct {
	caller  caller.Caller
	ref     Ref
	key     store.Key
	changed func()

	look time.Time // when it is to be looked at
	seen mark      // what it was when it was
}

// mark tells one state from the next.
type mark struct {
	found   bool
	version int64
	at      time.Time
}

func markOf(s *schemas.State) mark {
	m := mark{found: s.Found, version: s.Version}
	if s.UpdatedAt != nil {
		m.at = *s.UpdatedAt
	}
	return m
}

// Watch has changed called whenever the caller's state is found to be another one than before: written, deleted or expired,
// through whichever replica. Several changes may be told as one; what it is now State tells. Where the runtime does not run nothing is
// told. changed must not block; it may be called once more while off is. An error is that of State, or rate_limited.
func (r *States) Watch(ctx context.Context, ref Ref, changed func()) (off func(), err error) {
	ref.Context = nil
	s, err := r.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	w := &watch{caller: caller.From(ctx), ref: ref, key: r.record(ctx, ref), changed: changed, seen: markOf(&s), look: r.nextLook(&s)}
	all := &r.watches
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.n >= MaxWatches {
		return nil, schemas.Errorf(schemas.CodeRateLimited, "%d states are watched already", all.n).WithHint("end subscriptions that nobody needs, or ask get_state")
	}
	if all.byKey == nil {
		all.byKey = map[store.Key][]*watch{}
	}
	all.byKey[w.key] = append(all.byKey[w.key], w)
	all.n++
	all.signal.Set()
	return sync.OnceFunc(func() { all.remove(w) }), nil
}

// record is what a state is read from; a view shows another record.
func (r *States) record(ctx context.Context, ref Ref) store.Key {
	if v, ok := r.views[ref.Type]; ok {
		return v.Key(ctx, ref.Key)
	}
	return ref.key(ctx)
}

// Changed has the watches looked at of what a record shows: the store's watch named it.
func (r *States) Changed(key store.Key) { r.watches.hint(key) }

// Watched counts the watches of this process, and the records that they show.
func (r *States) Watched() (count, recs int) {
	r.watches.mu.Lock()
	defer r.watches.mu.Unlock()
	return r.watches.n, len(r.watches.byKey)
}

// nextLook is when a state is to be looked at unless a hint comes first: with its end, or when the hint must have been missed.
func (r *States) nextLook(s *schemas.State) time.Time {
	now := records.Now()
	next := now.Add(WatchPoll)
	if s.Found && s.ExpiresAt != nil && s.ExpiresAt.Before(next) && s.ExpiresAt.After(now) {
		next = *s.ExpiresAt
	}
	return next
}

func (all *watches) remove(w *watch) {
	all.mu.Lock()
	defer all.mu.Unlock()
	rest := slices.DeleteFunc(all.byKey[w.key], func(other *watch) bool { return other == w })
	all.n--
	if all.byKey[w.key] = rest; len(rest) == 0 {
		delete(all.byKey, w.key)
	}
}

// hint has those looked at that watch what a record shows.
func (all *watches) hint(key store.Key) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, w := range all.byKey[key] {
		w.look = time.Time{}
		all.signal.Set()
	}
}

// due are the watches to be looked at now, and when the next one is; zero: there is none. Each is due again with the next poll.
func (all *watches) due(now time.Time) (list []*watch, next time.Time) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, watches := range all.byKey {
		for _, w := range watches {
			if !w.look.After(now) {
				list = append(list, w)
				w.look = now.Add(WatchPoll)
			}
			if next.IsZero() || w.look.Before(next) {
				next = w.look
			}
		}
	}
	return list, next
}

// sees takes note of what a watch's state is now, and tells whether that is news.
func (all *watches) sees(w *watch, mark mark, look time.Time) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	if look.Before(w.look) {
		w.look = look
		all.signal.Set()
	}
	if w.seen == mark {
		return false
	}
	w.seen = mark
	return slices.Contains(all.byKey[w.key], w)
}

// runWatches looks at watched states until ctx ends. While nobody watches any it sleeps.
func (r *States) runWatches(ctx context.Context) {
	for {
		list, next := r.watches.due(records.Now())
		for _, w := range list {
			s, err := r.Get(caller.With(ctx, w.caller), w.ref)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				r.log.Debug("look at a watched state: again later", "state_type", w.ref.Type, "error", err)
				continue
			}
			if r.watches.sees(w, markOf(&s), r.nextLook(&s)) {
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
		case <-r.watches.signal:
		case <-timer:
		}
	}
}
