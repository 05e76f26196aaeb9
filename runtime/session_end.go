package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A session has a wake at the time at which it expires unless it is seen before. Whichever replica claims it looks at the
// session anew and commits what follows against the version it read, so that one of them ends it, once:
//
//	seen meanwhile ──▶ next wake
//	past its time  ──▶ expired, wake now
//	not yet        ──▶ the store's clock is ahead of this one: once more when the lease lapses
//	ended          ──▶ sweep: executions are cancelled or go on, its states are deleted ──▶ once more when the lease lapses ──▶ sweep, done
//
// The second sweep finds what was begun by calls that had looked at the session just before it ended.

// sweepAgain is how long after the end of a session the last sweep may be.
const sweepAgain = 10 * time.Second

// attend does what is due with one session. Where it cannot, or not yet, the lease lapses and somebody tries again.
func (r *Runtime) attend(ctx context.Context, lease *store.Lease) {
	id := lease.Key.ID
	err := r.store.RetryOnConflict(func() error {
		s, err := r.readSession(ctx, id)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			_, err = r.store.Commit(ctx, store.Batch{Release: lease})
			return err
		}
		if err != nil {
			return err
		}
		now := records.Now()
		if !s.Status.Ended() {
			due := s.ExpiresAt
			if !now.Before(due) {
				s.end(schemas.SessionExpired, due)
				due = now
			} else if !s.LastSeenAt.After(s.committed) { // not yet
				return nil
			}
			return r.saveSession(ctx, &s, due, store.Batch{Release: lease})
		}
		if err := r.sweep(ctx, &s); err != nil {
			return err
		}
		if now.Before(s.EndedAt.Add(sweepAgain)) {
			return nil
		}
		return r.saveSession(ctx, &s, time.Time{}, store.Batch{Release: lease})
	})
	if err != nil && ctx.Err() == nil {
		r.log.Warn("see to a session: trying again", "session_id", id, "error", err)
	}
}

// sweep ends what belongs to a session that has ended.
func (r *Runtime) sweep(ctx context.Context, s *session) error {
	ctx = caller.With(ctx, caller.Caller{Principal: s.Principal})
	then := r.sessions.OnExpire
	if s.Status == schemas.SessionClosed {
		then = r.sessions.OnDelete
	}
	term := "session=" + s.SessionID
	if then == SessionCancel {
		reason := "its session " + s.SessionID + " " + ended[s.Status]
		err := r.store.Each(ctx, store.Query{Kind: kindExecution, Term: term}, func(rec store.Record) error {
			var h head
			if err := json.Unmarshal(rec.Value, &h); err != nil {
				return err
			}
			if h.Principal != s.Principal || h.Status.Terminal() || h.ParentID != "" { // a child ends with its parent
				return nil
			}
			_, err := r.Cancel(ctx, rec.Key.ID, CancelOptions{Reason: reason})
			if errors.Is(err, &schemas.Error{Code: schemas.CodeAlreadyFinished}) || errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
				return nil // it ends by itself
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return r.store.Each(ctx, store.Query{Kind: kindState, Term: term}, func(rec store.Record) error { return r.endState(ctx, rec, s.SessionID) })
}
