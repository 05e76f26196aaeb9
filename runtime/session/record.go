package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Kind of the records of sessions.
const Kind = "session"

// record is the record of a session. Its Status is active until it ends: that it is idle or past its expiry follows from the clock. Its
// Version counts updates; the store's version also counts renewals of the expiry.
//
//	active ──no call for IdleAfter──▶ idle ──no call for the TTL──▶ expired ──Keep──▶ deleted
//	   ▲                               │                                                ▲
//	   └───────any call that names it──┘            either ──delete──▶ closed ──Keep────┘
type record struct {
	schemas.Session
	Principal string    `json:"principal"`
	stored    int64     // the record's version in the store
	committed time.Time // LastSeenAt in the store
}

// Key returns the key of a session's record.
func Key(id string) store.Key { return store.Key{Kind: Kind, ID: id} }

func (r *record) ttl() time.Duration { return time.Duration(r.TTLSeconds) * time.Second }

// touch notes a use of the session, and renews its expiry.
func (r *record) touch(at time.Time) {
	if at.After(r.LastSeenAt) {
		r.LastSeenAt = at
	}
	r.ExpiresAt = r.LastSeenAt.Add(r.ttl())
}

// end ends the session, for good.
func (r *record) end(status schemas.SessionStatus, now time.Time) {
	r.Status, r.EndedAt = status, &now
	if now.Before(r.ExpiresAt) {
		r.ExpiresAt = now
	}
}

// view returns the session with its status at a time.
func (r *record) view(now time.Time, rules Rules) schemas.Session {
	v := r.Session
	switch {
	case v.Status.Ended():
	case !now.Before(v.ExpiresAt):
		v.Status, v.EndedAt = schemas.SessionExpired, &v.ExpiresAt
	case now.Sub(v.LastSeenAt) >= rules.IdleAfter:
		v.Status = schemas.SessionIdle
	}
	return v
}

// readOpen reads a session of the caller. If it has ended, it is returned with an error that wraps ErrEnded.
func (s *Sessions) readOpen(ctx context.Context, id string) (record, error) {
	r, err := s.readOwn(ctx, id)
	if err != nil {
		return r, err
	}
	if v := r.view(s.store.Now(), s.rules); v.Status.Ended() {
		e := schemas.Errorf(schemas.CodeAlreadyFinished, "session %q %s at %s", id, endVerb[v.Status], v.EndedAt.Format(time.RFC3339)).
			WithField("session_id").WithHint("create_session makes a new one")
		return r, fmt.Errorf("%w: %w", ErrEnded, e)
	}
	return r, nil
}

// ErrEnded is in the chain of the error of a session that has ended.
var ErrEnded = errors.New("the session has ended")

var endVerb = map[schemas.SessionStatus]string{schemas.SessionExpired: "expired", schemas.SessionClosed: "was closed"}

// Peek returns a session of the caller without renewing its expiry.
func (s *Sessions) Peek(ctx context.Context, id string) (schemas.Session, error) {
	r, err := s.readOwn(ctx, id)
	return r.view(s.store.Now(), s.rules), err
}

// Decode returns the session of a record, with its status now.
func (s *Sessions) Decode(rec store.Record) (schemas.Session, error) {
	r, err := s.decode(rec)
	return r.view(s.store.Now(), s.rules), err
}

// readOwn reads a session of the caller, with the uses that this process has not committed yet; sessions of other principals do not exist.
func (s *Sessions) readOwn(ctx context.Context, id string) (record, error) {
	r, err := s.read(ctx, id)
	if err == nil && r.Principal != caller.From(ctx).Principal {
		return record{}, notFound(id)
	}
	return r, err
}

func (s *Sessions) read(ctx context.Context, id string) (record, error) {
	if id == "" || len(id) > store.MaxID {
		return record{}, notFound(id)
	}
	rec, err := s.store.Get(ctx, Key(id))
	if errors.Is(err, store.ErrNotFound) {
		return record{}, notFound(id)
	}
	if err != nil {
		return record{}, records.StoreError(err)
	}
	return s.decode(rec)
}

func (s *Sessions) decode(rec store.Record) (record, error) {
	r := record{stored: rec.Version}
	if err := json.Unmarshal(rec.Value, &r); err != nil {
		return r, fmt.Errorf("read session %s: %w", rec.Key.ID, err)
	}
	r.committed = r.LastSeenAt
	if at, ok := s.touches.at(rec.Key.ID); ok && !r.Status.Ended() {
		r.touch(at)
	}
	return r, nil
}

func notFound(id string) *schemas.Error {
	return schemas.Errorf(schemas.CodeNotFound, "no session %.100q", id).WithField("session_id").
		WithHint("list_sessions shows those that exist; create_session makes one")
}

// save writes a session against the version that was read, with its next wake and the rest of b. It returns store.ErrConflict if the
// record was changed since.
func (s *Sessions) save(ctx context.Context, r *record, due time.Time, b store.Batch) error {
	value, err := schemas.Encode(r)
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	key := Key(r.SessionID)
	p := store.Put{Key: key, Value: value, Version: r.stored, Terms: []string{records.TermPrincipal(r.Principal)}}
	if r.EndedAt != nil {
		p.TTL = max(time.Second, r.EndedAt.Add(s.rules.Keep).Sub(s.store.Now()))
	}
	b.Puts, b.Wakes = []store.Put{p}, []store.Wake{{Key: key, At: due}}
	done, err := s.store.Commit(ctx, b)
	if err != nil {
		return records.StoreError(err)
	}
	r.stored = done.Versions[0]
	return nil
}
