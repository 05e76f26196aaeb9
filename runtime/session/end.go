package session

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A session has a wake at the time at which it expires unless it is used before. The replica that claims it reads the session again and
// commits what follows against the version it read, so that one replica ends it, once:
//
//	used meanwhile ──▶ next wake
//	past its time  ──▶ expired, wake now
//	not yet        ──▶ the store's clock is ahead of this one: again when the lease expires
//	ended          ──▶ executions are cancelled or detached, states deleted ──▶ again when the lease expires ──▶ done
//
// The second time finds what was begun by calls that had read the session just before it ended.

// Ended is a session that has ended.
type Ended struct {
	SessionID string
	Principal string
	How       string // "expired" or "was closed"
	Cancel    bool   // executions of the session are to be cancelled
}

// Belongings is a room that keeps what belongs to sessions, such as their states. SessionEnded ends what belongs to e; it is called again
// if it returns an error, and once more at least [SecondSweep] after the end. The caller of ctx is the principal of the session.
type Belongings interface {
	SessionEnded(ctx context.Context, e Ended) error
}

// Term returns the index term of the records that belong to a session.
func Term(id string) string { return "session=" + id }

// SecondSweep is how long after the end of a session Belongings are called a second time at the earliest.
const SecondSweep = 10 * time.Second

// handleDue handles one session that is due. If it cannot, or not yet, it keeps the lease, which expires; then the session is due again.
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
		now := s.store.Now()
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
		s.log.Warn("handle a session that is due: trying again", "session_id", id, "error", err)
	}
}

// endBelongings has the rooms end what belongs to a session that has ended.
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
