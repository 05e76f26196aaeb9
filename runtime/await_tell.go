package runtime

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Whoever has written a state tells the executions that wait for it, at once. A wake that he commits with the state has
// somebody tell them again a little later, in case he died first. A state expires without anybody writing it: who sees one
// that will, and goes on waiting, leaves a wake for that. So an execution that waits never looks by itself.
//
// The wakes of one state differ by their time, and each is handled once: a change that comes while an earlier one is
// handled has its own. Changes of the same period share one, which is due when the period is over. The one before an expiry
// that is far off comes a good deal earlier and leaves the next one, so that a state that is written again and again has few.

const kindTell = "tell"

const (
	tellers    = 4 // changes told of at once
	tellLooks  = 8 // executions looked at at once, of each change
	maxWritten = 10_000
)

const (
	tellPeriod  = 30 * time.Second
	expiryGrain = time.Second
)

// tellAt is the wake of a state that is committed.
func tellAt(key store.Key, s *state) store.Wake {
	return tellWake(key, s.UpdatedAt.Truncate(tellPeriod).Add(2*tellPeriod))
}

// remind has those told that wait for a state when it expires, if it was there when they looked. They are told before too, where that
// is far off.
func (r *Runtime) remind(ctx context.Context, key store.Key, s *state, now time.Time) error {
	if s.ExpiresAt == nil || !s.there(now) {
		return nil
	}
	_, err := r.store.Commit(ctx, store.Batch{Wakes: []store.Wake{tellWake(key, reminder(now, *s.ExpiresAt))}, Sync: true})
	return records.Error(err)
}

// reminder is when those are told next that wait for a state which expires. It is later than now; the times for a state that
// is written again and again are a few.
func reminder(now, expires time.Time) time.Time {
	grain := expiryGrain
	for 16*grain <= expires.Sub(now) {
		grain *= 2
	}
	if grain == expiryGrain {
		return expires.Add(expiryGrain - 1).Truncate(expiryGrain)
	}
	return expires.Truncate(grain)
}

func tellWake(key store.Key, at time.Time) store.Wake {
	return store.Wake{Key: store.Key{Kind: kindTell, ID: key.ID + "/" + strconv.FormatInt(at.Unix(), 10)}, At: at}
}

// told is the inverse of tellWake.
func told(wake store.Key) (state store.Key, at time.Time) {
	cut := strings.LastIndexByte(wake.ID, '/')
	seconds, err := strconv.ParseInt(wake.ID[cut+1:], 10, 64)
	if cut < 0 || err != nil {
		return store.Key{}, time.Time{}
	}
	return store.Key{Kind: kindState, ID: wake.ID[:cut]}, time.Unix(seconds, 0)
}

// tellAgain does what is due about a state that was written, or expires. Where it cannot, or where the store's clock is
// ahead of this one, so that the state may be there yet, the lease lapses and somebody tries again.
func (r *Runtime) tellAgain(ctx context.Context, lease *store.Lease) {
	key, at := told(lease.Key)
	if records.Now().Before(at) {
		return
	}
	err := r.tellWaiting(ctx, key)
	if err == nil {
		_, err = r.store.Commit(ctx, store.Batch{Release: lease, Wakes: []store.Wake{{Key: lease.Key}}}) // also where so many wait that the lease has lapsed
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("tell those that wait for a state: trying again", "error", err)
	}
}

// tellWaiting has every execution that waits for the state look at it. The error is the store's; what is wrong with one
// execution keeps no other waiting.
func (r *Runtime) tellWaiting(ctx context.Context, key store.Key) error {
	var g errgroup.Group
	g.SetLimit(tellLooks)
	var s *state // as it was before the first of them looks
	var now time.Time
	err := r.store.Each(ctx, store.Query{Kind: kindExecution, Term: termAwaits(key), Bare: true}, func(rec store.Record) error {
		if s == nil {
			found, err := r.readState(ctx, key)
			if err != nil {
				return err
			}
			s, now = &found, records.Now()
		}
		g.Go(func() error {
			err := r.look(ctx, rec.Key.ID, key)
			switch {
			case err == nil, errors.Is(err, records.Unavailable), errors.Is(err, store.ErrConflict), ctx.Err() != nil:
				return err
			case !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}): // else it was deleted
				r.log.Error("look at a state that an execution waits for", "execution_id", rec.Key.ID, "error", err)
			}
			return nil
		})
		return nil
	})
	if failed := g.Wait(); err == nil {
		err = failed
	}
	if err != nil || s == nil {
		return err
	}
	return r.remind(ctx, key, s, now)
}
