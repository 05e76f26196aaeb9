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

// record is the record of a session. Its Status is active until it ends: that it is idle or past its time follows from
// the clock. Its Version counts updates; the store's also counts when it was seen.
//
//	active ──no call for IdleAfter──▶ idle ──no call for the TTL──▶ expired ──Keep──▶ gone
//	   ▲                               │                                                ▲
//	   └───────any call that names it──┘            either ──delete──▶ closed ──Keep────┘
type record struct {
	schemas.Session
	Principal string    `json:"principal"`
	stored    int64     // the record's version in the store
	committed time.Time // when it was last seen, as the record says
}

// Key is where a session is stored.
func Key(id string) store.Key { return store.Key{Kind: Kind, ID: id} }

func (s *record) ttl() time.Duration { return time.Duration(s.TTLSeconds) * time.Second }

// seen moves the end of the session away from the time.
func (s *record) seen(at time.Time) {
	if at.After(s.LastSeenAt) {
		s.LastSeenAt = at
	}
	s.ExpiresAt = s.LastSeenAt.Add(s.ttl())
}

// end is final.
func (s *record) end(status schemas.SessionStatus, now time.Time) {
	s.Status, s.EndedAt = status, &now
	if now.Before(s.ExpiresAt) {
		s.ExpiresAt = now
	}
}

// view is the session as it stands now.
func (s *record) view(now time.Time, rules Rules) schemas.Session {
	v := s.Session
	switch {
	case v.Status.Ended():
	case !now.Before(v.ExpiresAt):
		v.Status, v.EndedAt = schemas.SessionExpired, &v.ExpiresAt
	case now.Sub(v.LastSeenAt) >= rules.IdleAfter:
		v.Status = schemas.SessionIdle
	}
	return v
}

// living reads a session of the caller that has not ended. Together with ErrEnded it gives the one that has.
func (r *Sessions) living(ctx context.Context, id string) (record, error) {
	s, err := r.own(ctx, id)
	if err != nil {
		return s, err
	}
	if v := s.view(records.Now(), r.rules); v.Status.Ended() {
		return s, fmt.Errorf("%w: %w", ErrEnded, schemas.Errorf(schemas.CodeAlreadyFinished, "session %q %s at %s", id, ended[v.Status], v.EndedAt.Format(time.RFC3339)).
			WithField("session_id").WithHint("create_session makes a new one"))
	}
	return s, nil
}

// ErrEnded is in the chain of the error of a session that has ended.
var ErrEnded = errors.New("the session has ended")

var ended = map[schemas.SessionStatus]string{schemas.SessionExpired: "expired", schemas.SessionClosed: "was closed"}

// Look shows a session of the caller; the call does not count as seeing it.
func (r *Sessions) Look(ctx context.Context, id string) (schemas.Session, error) {
	s, err := r.own(ctx, id)
	return s.view(records.Now(), r.rules), err
}

// Decode is the session of a record.
func (r *Sessions) Decode(rec store.Record) (schemas.Session, error) {
	s, err := r.decode(rec)
	return s.view(records.Now(), r.rules), err
}

// own reads a session of the caller, as last seen by this process; what belongs to somebody else does not exist.
func (r *Sessions) own(ctx context.Context, id string) (record, error) {
	s, err := r.read(ctx, id)
	if err == nil && s.Principal != caller.From(ctx).Principal {
		return record{}, notFound(id)
	}
	return s, err
}

func (r *Sessions) read(ctx context.Context, id string) (record, error) {
	if id == "" || len(id) > store.MaxID {
		return record{}, notFound(id)
	}
	rec, err := r.store.Get(ctx, Key(id))
	if errors.Is(err, store.ErrNotFound) {
		return record{}, notFound(id)
	}
	if err != nil {
		return record{}, records.Error(err)
	}
	return r.decode(rec)
}

func (r *Sessions) decode(rec store.Record) (record, error) {
	s := record{stored: rec.Version}
	if err := json.Unmarshal(rec.Value, &s); err != nil {
		return s, fmt.Errorf("read session %s: %w", rec.Key.ID, err)
	}
	s.committed = s.LastSeenAt
	if at, ok := r.touches.at(rec.Key.ID); ok && !s.Status.Ended() {
		s.seen(at)
	}
	return s, nil
}

func notFound(id string) *schemas.Error {
	return schemas.Errorf(schemas.CodeNotFound, "no session %.100q", id).WithField("session_id").
		WithHint("list_sessions shows those that exist; create_session makes one")
}

// save writes a session against the version that was read, with when it is next due and what else b holds.
// store.ErrConflict: somebody else was faster.
func (r *Sessions) save(ctx context.Context, s *record, due time.Time, b store.Batch) error {
	value, err := schemas.Encode(s)
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	key := Key(s.SessionID)
	p := store.Put{Key: key, Value: value, Version: s.stored, Terms: []string{"principal=" + s.Principal}}
	if s.EndedAt != nil {
		p.TTL = max(time.Second, s.EndedAt.Add(r.rules.Keep).Sub(records.Now()))
	}
	b.Puts, b.Wakes = []store.Put{p}, []store.Wake{{Key: key, At: due}}
	done, err := r.store.Commit(ctx, b)
	if err != nil {
		return records.Error(err)
	}
	s.stored = done.Versions[0]
	return nil
}
