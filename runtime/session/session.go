package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What happens to the executions of a session that ends.
const (
	Cancel = "cancel" // they are cancelled
	Detach = "detach" // they continue
)

// Rules bound sessions, and say what their end does. Zero fields take the default that their comment names.
type Rules struct {
	TTL       time.Duration // how long after the last call that named it a session expires, unless it sets a TTL itself; 24 h
	IdleAfter time.Duration // how long after the last call that named it a session is shown as idle; 10 min
	Keep      time.Duration // how long an ended session can still be read; 7 days
	MaxBytes  int           // of data and user_context together; 64 KiB
	Max       int           // open sessions of one principal, approximately; 10,000
	OnDelete  string        // Cancel (default) or Detach
	OnExpire  string        // Detach (default): durable work may outlive its client; or Cancel
}

func (s Rules) withDefaults() Rules {
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
		s.OnDelete = Cancel
	}
	if s.OnExpire == "" {
		s.OnExpire = Detach
	}
	return s
}

// Config configures Sessions. Store and Log are required.
type Config struct {
	Store *records.Store
	Log   hclog.Logger
	Rules Rules
	NewID func() string // makes the ids of sessions; nil: records.NewID
}

// Sessions implements the contract Session.
type Sessions struct {
	store      *records.Store
	log        hclog.Logger
	rules      Rules
	newID      func() string
	belongings []Belongings
	running    atomic.Bool // Run commits what is in touches
	touches    touches
}

// New returns Sessions. Until Run, every use of a session is committed at once, and sessions that are due are not ended.
func New(c Config) *Sessions {
	s := &Sessions{store: c.Store, log: c.Log, rules: c.Rules.withDefaults(), newID: c.NewID}
	if s.newID == nil {
		s.newID = records.NewID
	}
	s.touches = touches{last: map[string]time.Time{}, signal: records.NewSignal()}
	return s
}

// OnEnd adds rooms to the hook Belongings, which is called in the order in which they were added. It must be called before Run.
func (s *Sessions) OnEnd(b ...Belongings) { s.belongings = append(s.belongings, b...) }

// Run ends sessions that are due and commits the uses of sessions, until ctx ends; it then commits those that are left.
func (s *Sessions) Run(ctx context.Context) error {
	s.running.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { s.store.HandleDue(ctx, Kind, s.handleDue) })
	wg.Go(func() { s.commitTouches(ctx) })
	wg.Wait()
	return nil
}

// Create opens a session of the caller. u is what it starts with; every field is optional.
func (s *Sessions) Create(ctx context.Context, u schemas.SessionUpdates) (schemas.Session, error) {
	now := s.store.Now()
	r := record{Principal: caller.From(ctx).Principal, Session: schemas.Session{
		SessionID: s.newID(), Status: schemas.SessionActive, Version: 1, TTLSeconds: max(1, int64(s.rules.TTL/time.Second)),
		CreatedAt: now, LastSeenAt: now,
	}}
	r.Data, r.UserContext, u.Data, u.UserContext = u.Data, u.UserContext, nil, nil
	if err := s.apply(&r, u); err != nil {
		return schemas.Session{}, err
	}
	if err := s.checkLimit(ctx); err != nil {
		return schemas.Session{}, err
	}
	r.touch(now)
	if err := s.save(ctx, &r, r.ExpiresAt, store.Batch{Sync: true}); err != nil {
		return schemas.Session{}, records.StoreError(err)
	}
	s.store.Usage.Add(owner(r.Principal), 1)
	return r.view(now, s.rules), nil
}

// Get returns a session, and renews its expiry. A session that has ended is returned as it ended.
func (s *Sessions) Get(ctx context.Context, id string) (schemas.Session, error) {
	out, err := s.Use(ctx, id)
	if errors.Is(err, ErrEnded) {
		err = nil
	}
	return out, err
}

// Update changes an open session. If a version is expected and the session has another one, the error has code conflict and the version
// that it has.
func (s *Sessions) Update(ctx context.Context, id string, u schemas.SessionUpdates, expected *int64) (schemas.Session, error) {
	return s.change(ctx, id, expected, func(r *record) error { return s.apply(r, u) })
}

// change applies a change to an open session, again after each conflict with another writer.
func (s *Sessions) change(ctx context.Context, id string, expected *int64, change func(*record) error) (schemas.Session, error) {
	var r record
	err := s.store.RetryOnConflict(func() (err error) {
		if r, err = s.readOpen(ctx, id); err != nil {
			return err
		}
		if expected != nil && *expected != r.Version {
			return schemas.Errorf(schemas.CodeConflict, "session %q has version %d, not %d", id, r.Version, *expected).
				WithField("expected_version").WithVersion(r.Version).WithHint("get_session shows what it holds now; decide again with its version")
		}
		if err := change(&r); err != nil {
			return err
		}
		r.Version++
		r.touch(s.store.Now())
		return s.save(ctx, &r, r.ExpiresAt, store.Batch{Sync: true})
	})
	return r.view(s.store.Now(), s.rules), err
}

// SetData replaces the data of an open session; expected is as for Update.
func (s *Sessions) SetData(ctx context.Context, id string, data schemas.Object, expected *int64) (schemas.Session, error) {
	return s.change(ctx, id, expected, func(r *record) error {
		r.Data = data
		return s.apply(r, schemas.SessionUpdates{})
	})
}

// apply applies updates to a session; its error says what is invalid.
func (s *Sessions) apply(r *record, u schemas.SessionUpdates) error {
	for _, m := range []struct {
		field string
		patch schemas.Object
		to    *schemas.Object
	}{{"data", u.Data, &r.Data}, {"user_context", u.UserContext, &r.UserContext}} {
		if len(m.patch) == 0 {
			continue
		}
		if len(m.patch) > s.rules.MaxBytes {
			return s.tooLarge(len(m.patch)).WithField(m.field)
		}
		merged, err := schemas.MergePatch(*m.to, m.patch)
		if err != nil {
			return schemas.Errorf(schemas.CodeInvalidArgument, "%s: %s", m.field, err).WithField(m.field)
		}
		*m.to = merged
	}
	if u.AgentID != nil {
		r.AgentID = *u.AgentID
	}
	if u.TTLSeconds != nil {
		r.TTLSeconds = *u.TTLSeconds
	}
	if n := len(r.Data) + len(r.UserContext); n > s.rules.MaxBytes {
		return s.tooLarge(n)
	}
	return nil
}

func (s *Sessions) tooLarge(n int) *schemas.Error {
	return schemas.Errorf(schemas.CodePayloadTooLarge, "data and user_context of the session have %d bytes (limit %d)", n, s.rules.MaxBytes).
		WithField("data").WithHint("keep large values in states (set_state) or outside, and a reference to them here")
}

// Delete closes a session for good and deletes its data. A session that has ended stays as it is, which is not an error.
func (s *Sessions) Delete(ctx context.Context, id string) (schemas.Session, error) {
	var r record
	var open bool
	err := s.store.RetryOnConflict(func() (err error) {
		if r, err = s.readOwn(ctx, id); err != nil {
			return err
		}
		now := s.store.Now()
		if open = !r.view(now, s.rules).Status.Ended(); !open {
			return nil
		}
		r.end(schemas.SessionClosed, now)
		r.Data, r.UserContext = nil, nil
		return s.save(ctx, &r, now, store.Batch{Sync: true})
	})
	if err == nil && open {
		s.store.Usage.Add(owner(r.Principal), -1)
	}
	return r.view(s.store.Now(), s.rules), err
}
