package state

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/store"
)

// SessionEnded deletes the states of a session; it is the hook of package session.
func (s *States) SessionEnded(ctx context.Context, e session.Ended) error {
	return s.store.Each(ctx, store.Query{Kind: Kind, Term: session.Term(e.SessionID)}, func(rec store.Record) error {
		return s.deleteWithSession(ctx, rec, e.SessionID)
	})
}

// DeleteUnwritten deletes the state of a record that was not written since a time and does not end by itself; false: it stays, also where it was
// written just now.
func (s *States) DeleteUnwritten(ctx context.Context, rec store.Record, since time.Time) (bool, error) {
	r, err := Decode(rec)
	if err != nil || r.Deleted || r.ExpiresAt != nil || r.UpdatedAt.After(since) {
		return false, err
	}
	_, err = s.save(ctx, rec.Key, &Record{Key: r.Key, UpdatedAt: records.Now(), Deleted: true, stored: r.stored}, "")
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// deleteWithSession deletes a state whose session has ended.
func (s *States) deleteWithSession(ctx context.Context, rec store.Record, sessionID string) error {
	return s.store.RetryOnConflict(func() error {
		r, err := s.Read(ctx, rec.Key)
		if err != nil || r.stored == 0 || r.Deleted {
			return err
		}
		if id, err := sessionOf(r.Context); err != nil || id != sessionID {
			return err
		}
		_, err = s.save(ctx, rec.Key, &Record{Key: r.Key, UpdatedAt: records.Now(), Deleted: true, stored: r.stored}, "")
		return err
	})
}
