package runtime

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

const kindSession = "session"

// session is the record of a session. Its Status is active until it ends: that it is idle or past its time follows from
// the clock. Its Version counts updates; the store's also counts when it was seen.
//
//	active ──no call for IdleAfter──▶ idle ──no call for the TTL──▶ expired ──Keep──▶ gone
//	   ▲                               │                                                ▲
//	   └───────any call that names it──┘            either ──delete──▶ closed ──Keep────┘
type session struct {
	schemas.Session
	Principal string    `json:"principal"`
	stored    int64     // the record's version in the store
	committed time.Time // when it was last seen, as the record says
}

func sessionKey(id string) store.Key { return store.Key{Kind: kindSession, ID: id} }

func (s *session) ttl() time.Duration { return time.Duration(s.TTLSeconds) * time.Second }

// seen moves the end of the session away from the time.
func (s *session) seen(at time.Time) {
	if at.After(s.LastSeenAt) {
		s.LastSeenAt = at
	}
	s.ExpiresAt = s.LastSeenAt.Add(s.ttl())
}

// end is final.
func (s *session) end(status schemas.SessionStatus, now time.Time) {
	s.Status, s.EndedAt = status, &now
	if now.Before(s.ExpiresAt) {
		s.ExpiresAt = now
	}
}

// view is the session as it stands now.
func (s *session) view(now time.Time, rules SessionRules) schemas.Session {
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

// livingSession reads a session of the caller that has not ended. Together with errSessionEnded it gives the one that has.
func (r *Runtime) livingSession(ctx context.Context, id string) (session, error) {
	s, err := r.ownSession(ctx, id)
	if err != nil {
		return s, err
	}
	if v := s.view(records.Now(), r.sessions); v.Status.Ended() {
		return s, fmt.Errorf("%w: %w", errSessionEnded, schemas.Errorf(schemas.CodeAlreadyFinished, "session %q %s at %s", id, ended[v.Status], v.EndedAt.Format(time.RFC3339)).
			WithField("session_id").WithHint("create_session makes a new one"))
	}
	return s, nil
}

var errSessionEnded = errors.New("the session has ended")

var ended = map[schemas.SessionStatus]string{schemas.SessionExpired: "expired", schemas.SessionClosed: "was closed"}

// ownSession reads a session of the caller, as last seen by this process; what belongs to somebody else does not exist.
func (r *Runtime) ownSession(ctx context.Context, id string) (session, error) {
	s, err := r.readSession(ctx, id)
	if err == nil && s.Principal != caller.From(ctx).Principal {
		return session{}, noSession(id)
	}
	return s, err
}

func (r *Runtime) readSession(ctx context.Context, id string) (session, error) {
	if id == "" || len(id) > store.MaxID {
		return session{}, noSession(id)
	}
	rec, err := r.store.Get(ctx, sessionKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return session{}, noSession(id)
	}
	if err != nil {
		return session{}, records.Error(err)
	}
	return r.decodeSession(rec)
}

func (r *Runtime) decodeSession(rec store.Record) (session, error) {
	s := session{stored: rec.Version}
	if err := json.Unmarshal(rec.Value, &s); err != nil {
		return s, fmt.Errorf("read session %s: %w", rec.Key.ID, err)
	}
	s.committed = s.LastSeenAt
	if at, ok := r.touches.at(rec.Key.ID); ok && !s.Status.Ended() {
		s.seen(at)
	}
	return s, nil
}

func noSession(id string) *schemas.Error {
	return schemas.Errorf(schemas.CodeNotFound, "no session %.100q", id).WithField("session_id").
		WithHint("list_sessions shows those that exist; create_session makes one")
}

// saveSession writes a session against the version that was read, with when it is next due and what else b holds.
// store.ErrConflict: somebody else was faster.
func (r *Runtime) saveSession(ctx context.Context, s *session, due time.Time, b store.Batch) error {
	value, err := schemas.Encode(s)
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	key := sessionKey(s.SessionID)
	p := store.Put{Key: key, Value: value, Version: s.stored, Terms: []string{"principal=" + s.Principal}}
	if s.EndedAt != nil {
		p.TTL = max(time.Second, s.EndedAt.Add(r.sessions.Keep).Sub(records.Now()))
	}
	b.Puts, b.Wakes = []store.Put{p}, []store.Wake{{Key: key, At: due}}
	done, err := r.store.Commit(ctx, b)
	if err != nil {
		return records.Error(err)
	}
	s.stored = done.Versions[0]
	return nil
}
