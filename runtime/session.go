package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What becomes of the executions of a session that ends.
const (
	SessionCancel = "cancel" // they are cancelled with it
	SessionDetach = "detach" // they go on
)

// SessionRules say how sessions live and end. Zero fields take the default beside them.
type SessionRules struct {
	TTL       time.Duration // how long a session lives after the last call that named it, where it says nothing itself; 24 h
	IdleAfter time.Duration // without a call for so long it shows as idle; 10 min
	Keep      time.Duration // how long an ended session can still be read; 7 days
	MaxBytes  int           // of data and user_context together; 64 KiB
	Max       int           // open sessions of one principal, about; 10,000
	OnDelete  string        // SessionCancel (default) or SessionDetach
	OnExpire  string        // SessionDetach (default): durable work may outlive who asked for it; or SessionCancel
}

func (s SessionRules) withDefaults() SessionRules {
	or := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	or(&s.TTL, 24*time.Hour)
	or(&s.IdleAfter, 10*time.Minute)
	or(&s.Keep, 7*24*time.Hour)
	if s.MaxBytes == 0 {
		s.MaxBytes = 64 << 10
	}
	if s.Max == 0 {
		s.Max = 10_000
	}
	if s.OnDelete == "" {
		s.OnDelete = SessionCancel
	}
	if s.OnExpire == "" {
		s.OnExpire = SessionDetach
	}
	return s
}

// CreateSession opens a session for the caller. The updates are what it begins with; nothing of them is needed.
func (r *Runtime) CreateSession(ctx context.Context, u schemas.SessionUpdates) (schemas.Session, error) {
	now := records.Now()
	s := session{Principal: caller.From(ctx).Principal, Session: schemas.Session{
		SessionID: r.newID(), Status: schemas.SessionActive, Version: 1, TTLSeconds: max(1, int64(r.sessions.TTL/time.Second)), CreatedAt: now, LastSeenAt: now,
	}}
	s.Data, s.UserContext, u.Data, u.UserContext = u.Data, u.UserContext, nil, nil
	if err := r.apply(&s, u); err != nil {
		return schemas.Session{}, err
	}
	if err := r.roomForSession(ctx); err != nil {
		return schemas.Session{}, err
	}
	s.seen(now)
	if err := r.saveSession(ctx, &s, s.ExpiresAt, store.Batch{Sync: true}); err != nil {
		return schemas.Session{}, records.Error(err)
	}
	r.store.Usage.Add(sessions(s.Principal), 1)
	return s.view(now, r.sessions), nil
}

// Session shows a session. The call counts as one that names it; one that has ended is shown as it ended.
func (r *Runtime) Session(ctx context.Context, id string) (schemas.Session, error) {
	s, err := r.useSession(ctx, id)
	if errors.Is(err, errSessionEnded) {
		err = nil
	}
	return s.view(records.Now(), r.sessions), err
}

// UpdateSession changes a session that lives. With an expected version, an update that somebody else has overtaken is a
// conflict that tells the version there is.
func (r *Runtime) UpdateSession(ctx context.Context, id string, u schemas.SessionUpdates, expected *int64) (schemas.Session, error) {
	return r.changeSession(ctx, id, expected, func(s *session) error { return r.apply(s, u) })
}

// changeSession applies a change to a living session, again whenever somebody else was faster.
func (r *Runtime) changeSession(ctx context.Context, id string, expected *int64, change func(*session) error) (schemas.Session, error) {
	var s session
	err := r.store.RetryOnConflict(func() (err error) {
		if s, err = r.livingSession(ctx, id); err != nil {
			return err
		}
		if expected != nil && *expected != s.Version {
			return schemas.Errorf(schemas.CodeConflict, "session %q has version %d, not %d", id, s.Version, *expected).
				WithField("expected_version").WithVersion(s.Version).WithHint("get_session shows what it holds now; decide again with its version")
		}
		if err := change(&s); err != nil {
			return err
		}
		s.Version++
		s.seen(records.Now())
		return r.saveSession(ctx, &s, s.ExpiresAt, store.Batch{Sync: true})
	})
	return s.view(records.Now(), r.sessions), err
}

// apply changes a session by what was given, or says what is wrong with it.
func (r *Runtime) apply(s *session, u schemas.SessionUpdates) error {
	for _, m := range []struct {
		field string
		patch schemas.Object
		to    *schemas.Object
	}{{"data", u.Data, &s.Data}, {"user_context", u.UserContext, &s.UserContext}} {
		if len(m.patch) == 0 {
			continue
		}
		if len(m.patch) > r.sessions.MaxBytes {
			return r.sessionTooLarge(len(m.patch)).WithField(m.field)
		}
		merged, err := schemas.MergePatch(*m.to, m.patch)
		if err != nil {
			return schemas.Errorf(schemas.CodeInvalidArgument, "%s: %s", m.field, err).WithField(m.field)
		}
		*m.to = merged
	}
	if u.AgentID != nil {
		s.AgentID = *u.AgentID
	}
	if u.TTLSeconds != nil {
		s.TTLSeconds = *u.TTLSeconds
	}
	if n := len(s.Data) + len(s.UserContext); n > r.sessions.MaxBytes {
		return r.sessionTooLarge(n)
	}
	return nil
}

func (r *Runtime) sessionTooLarge(n int) *schemas.Error {
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the data and user_context of a session may have %d bytes, these have %d", r.sessions.MaxBytes, n).
		WithField("data").WithHint("keep large values with set_state, or outside, and a reference to them here")
}

// DeleteSession closes a session for good and forgets its data. What ended before stays as it is.
func (r *Runtime) DeleteSession(ctx context.Context, id string) (schemas.Session, error) {
	var s session
	var open bool
	err := r.store.RetryOnConflict(func() (err error) {
		if s, err = r.ownSession(ctx, id); err != nil {
			return err
		}
		now := records.Now()
		if open = !s.view(now, r.sessions).Status.Ended(); !open {
			return nil
		}
		s.end(schemas.SessionClosed, now)
		s.Data, s.UserContext = nil, nil
		return r.saveSession(ctx, &s, now, store.Batch{Sync: true})
	})
	if err == nil && open {
		r.store.Usage.Add(sessions(s.Principal), -1)
	}
	return s.view(records.Now(), r.sessions), err
}
