package state

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/store"
)

// SessionEnded deletes the states of a session; it implements session.Belongings.
func (s *States) SessionEnded(ctx context.Context, e session.Ended) error {
	return s.store.Each(ctx, store.Query{Kind: Kind, Term: session.Term(e.SessionID)}, func(rec store.Record) error {
		return s.deleteWithSession(ctx, rec, e.SessionID)
	})
}

// DeleteUnwritten deletes the state of a record if it has no expiry and was not written after a time; deleted reports whether it did. A
// state that is written at the same time stays.
func (s *States) DeleteUnwritten(ctx context.Context, rec store.Record, since time.Time) (deleted bool, err error) {
	r, err := decode(rec)
	if err != nil || r.Deleted || r.ExpiresAt != nil || r.UpdatedAt.After(since) {
		return false, err
	}
	err = s.markDeleted(ctx, rec.Key, &r, s.store.Now())
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// deleteWithSession deletes a state, if it still belongs to the session, which has ended.
func (s *States) deleteWithSession(ctx context.Context, rec store.Record, sessionID string) error {
	return s.store.RetryOnConflict(func() error {
		r, err := s.Read(ctx, rec.Key)
		if err != nil || r.stored == 0 || r.Deleted {
			return err
		}
		if id, err := sessionOf(r.Context); err != nil || id != sessionID {
			return err
		}
		return s.markDeleted(ctx, rec.Key, &r, s.store.Now())
	})
}
