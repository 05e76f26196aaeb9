package session

import (
	"context"
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

// Ended is a session that has ended.
type Ended struct {
	SessionID string
	Principal string
	How       string // "expired" or "was closed"
	Cancel    bool   // what runs on behalf of the session is to be cancelled
}

// Belongings is what a room keeps that belongs to sessions. SessionEnded ends it; it is called once more where it returns an error, and
// again after [SweepAgain]. ctx has the session's principal as its caller.
type Belongings interface {
	SessionEnded(ctx context.Context, e Ended) error
}

// Term marks the records that belong to a session.
func Term(id string) string { return "session=" + id }

// SecondSweep is how long after the end of a session the last sweep may be.
const SecondSweep = 10 * time.Second

// handleDue does what is due with one session. Where it cannot, or not yet, the lease lapses and somebody tries again.
func (s *Sessions) handleDue(ctx context.Context, lease *store.Lease) {
	id := lease.Key.ID
	err := s.store.RetryOnConflict(func() error {
		r, err := s.read(ctx, id)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			_, err = s.store.Commit(ctx, store.Batch{Release: lease})
			return err
		}
		if err != nil {
			return err
		}
		now := records.Now()
		if !r.Status.Ended() {
			due := r.ExpiresAt
			if !now.Before(due) {
				r.end(schemas.SessionExpired, due)
				due = now
			} else if !r.LastSeenAt.After(r.committed) { // not yet
				return nil
			}
			return s.save(ctx, &r, due, store.Batch{Release: lease})
		}
		if err := s.endBelongings(ctx, &r); err != nil {
			return err
		}
		if now.Before(r.EndedAt.Add(SecondSweep)) {
			return nil
		}
		return s.save(ctx, &r, time.Time{}, store.Batch{Release: lease})
	})
	if err != nil && ctx.Err() == nil {
		s.log.Warn("see to a session: trying again", "session_id", id, "error", err)
	}
}

// endBelongings ends what belongs to a session that has ended.
func (s *Sessions) endBelongings(ctx context.Context, r *record) error {
	ctx = caller.With(ctx, caller.Caller{Principal: r.Principal})
	action := s.rules.OnExpire
	if r.Status == schemas.SessionClosed {
		action = s.rules.OnDelete
	}
	e := Ended{SessionID: r.SessionID, Principal: r.Principal, How: endVerb[r.Status], Cancel: action == Cancel}
	for _, b := range s.belongings {
		if err := b.SessionEnded(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
