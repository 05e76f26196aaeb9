package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The census counts what principals keep, so that one that never ends anything does not fill the store. A count is
// read from the store once and then goes on in memory; what other replicas make and what expires is in the next one.
// So a limit holds as nearly as a count is old, and no commit waits for another one's.

const (
	censusAge   = time.Minute // how old a count may be
	censusShare = 100         // a count that takes long is made as seldom as that it takes one part in so many of the time
	maxCounts   = 10_000      // remembered at once
)

// keeper is a principal with what it keeps.
type keeper struct {
	kind      string // of records
	principal string
}

type headcount struct {
	mu   sync.Mutex
	n    int
	at   time.Time // when it was read; zero: never
	took time.Duration
}

// census is of all principals. The zero value is ready.
type census struct {
	mu     sync.Mutex
	counts map[keeper]*headcount
}

func (c *census) of(what keeper) *headcount {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil || len(c.counts) >= maxCounts {
		c.counts = map[keeper]*headcount{}
	}
	h := c.counts[what]
	if h == nil {
		h = &headcount{}
		c.counts[what] = h
	}
	return h
}

// born and gone keep a count true between two readings.
func (c *census) born(what keeper) { c.add(what, 1) }
func (c *census) gone(what keeper) { c.add(what, -1) }

func (c *census) add(what keeper, n int) {
	h := c.of(what)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n = max(0, h.n+n)
}

// room counts what the principal keeps and tells whether there may be one more.
func (r *Runtime) room(ctx context.Context, what keeper, most int, read func(context.Context, string) (int, error)) (int, bool, error) {
	h := r.census.of(what)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() || time.Since(h.at) >= max(censusAge, censusShare*h.took) {
		began := time.Now()
		n, err := read(ctx, what.principal)
		if err != nil {
			return 0, false, err
		}
		h.n, h.at, h.took = n, time.Now(), time.Since(began)
	}
	return h.n, h.n < most, nil
}

func states(principal string) keeper   { return keeper{kindState, principal} }
func sessions(principal string) keeper { return keeper{kindSession, principal} }

// roomForState refuses a new state where its principal keeps as many as may be.
func (r *Runtime) roomForState(ctx context.Context) error {
	n, ok, err := r.room(ctx, states(CallerFrom(ctx).Principal), r.states.Max, r.countStates)
	if err != nil || ok {
		return err
	}
	return schemas.Errorf(schemas.CodeQuotaExceeded, "%d states are kept, as many as may be", n).WithField("state_key").
		WithHint("delete_state what is done with, or give states a ttl_seconds; an operator raises limits.max_states")
}

func (r *Runtime) countStates(ctx context.Context, principal string) (n int, err error) {
	now := timeNow()
	err = r.each(ctx, store.Query{Kind: kindState, Term: termOwner(principal)}, func(rec store.Record) error {
		s, err := decodeState(rec)
		if err == nil && s.there(now) {
			n++
		}
		return err
	})
	return n, err
}

// roomForSession refuses a new session where its principal has as many open as may be.
func (r *Runtime) roomForSession(ctx context.Context) error {
	n, ok, err := r.room(ctx, sessions(CallerFrom(ctx).Principal), r.sessions.Max, r.countSessions)
	if err != nil || ok {
		return err
	}
	return schemas.Errorf(schemas.CodeQuotaExceeded, "%d sessions are open, as many as may be", n).
		WithHint("delete_session those that are done with, or use one that list_sessions shows; an operator raises limits.max_sessions")
}

func (r *Runtime) countSessions(ctx context.Context, _ string) (n int, err error) {
	now := timeNow()
	err = r.each(ctx, sessionsOf(ctx), func(rec store.Record) error {
		s, err := r.decodeSession(rec)
		if err == nil && !s.view(now, r.sessions).Status.Ended() {
			n++
		}
		return err
	})
	return n, err
}

// termOwner marks the states of a principal.
func termOwner(principal string) string { return "owner=" + statePrefix(principal, "") }
