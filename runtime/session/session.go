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

// What becomes of the executions of a session that ends.
const (
	Cancel = "cancel" // they are cancelled with it
	Detach = "detach" // they go on
)

// Rules say how sessions live and end. Zero fields take the default beside them.
type Rules struct {
	TTL       time.Duration // how long a session lives after the last call that named it, where it says nothing itself; 24 h
	IdleAfter time.Duration // without a call for so long it shows as idle; 10 min
	Keep      time.Duration // how long an ended session can still be read; 7 days
	MaxBytes  int           // of data and user_context together; 64 KiB
	Max       int           // open sessions of one principal, about; 10,000
	OnDelete  string        // SessionCancel (default) or SessionDetach
	OnExpire  string        // SessionDetach (default): durable work may outlive who asked for it; or SessionCancel
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

// Config is what Sessions are made of. Store and Log are required.
type Config struct {
	Store *records.Store
	Log   hclog.Logger
	Rules Rules
	NewID func() string // nil: records.NewID
}

// Sessions is the contract Session.
type Sessions struct {
	store      *records.Store
	log        hclog.Logger
	rules      Rules
	newID      func() string
	belongings []Belongings
	running    atomic.Bool // what is noted is committed by Run
	touches    touches
}

// New makes Sessions; nothing happens before Run.
func New(c Config) *Sessions {
	s := &Sessions{store: c.Store, log: c.Log, rules: c.Rules.withDefaults(), newID: c.NewID}
	if s.newID == nil {
		s.newID = records.NewID
	}
	s.touches = touches{last: map[string]time.Time{}, signal: records.NewSignal()}
	return s
}

// OnEnd has b end what belongs to a session once that has ended, after those that were given before. It is called before Run.
func (s *Sessions) OnEnd(b ...Belongings) { s.belongings = append(s.belongings, b...) }

// Run ends sessions that are due and commits that sessions were seen, until ctx ends; what was seen before is committed then.
func (s *Sessions) Run(ctx context.Context) error {
	s.running.Store(true)
	defer s.running.Store(false)
	var wg sync.WaitGroup
	wg.Go(func() { s.store.HandleDue(ctx, Kind, s.handleDue) })
	wg.Go(func() { s.commitTouches(ctx) })
	wg.Wait()
	return nil
}

// Create opens a session for the caller. The updates are what it begins with; nothing of them is needed.
func (s *Sessions) Create(ctx context.Context, u schemas.SessionUpdates) (schemas.Session, error) {
	now := records.Now()
	r := record{Principal: caller.From(ctx).Principal, Session: schemas.Session{
		SessionID: s.newID(), Status: schemas.SessionActive, Version: 1, TTLSeconds: max(1, int64(s.rules.TTL/time.Second)), CreatedAt: now, LastSeenAt: now,
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
		return schemas.Session{}, records.Error(err)
	}
	s.store.Usage.Add(owner(r.Principal), 1)
	return r.view(now, s.rules), nil
}

// Get shows a session. The call counts as one that names it; one that has ended is shown as it ended.
func (s *Sessions) Get(ctx context.Context, id string) (schemas.Session, error) {
	out, err := s.Use(ctx, id)
	if errors.Is(err, ErrEnded) {
		err = nil
	}
	return out, err
}

// Update changes a session that lives. With an expected version, an update that somebody else has overtaken is a
// conflict that tells the version there is.
func (s *Sessions) Update(ctx context.Context, id string, u schemas.SessionUpdates, expected *int64) (schemas.Session, error) {
	return s.change(ctx, id, expected, func(r *record) error { return s.apply(r, u) })
}

// change applies a change to a living session, again whenever somebody else was faster.
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
		r.touch(records.Now())
		return s.save(ctx, &r, r.ExpiresAt, store.Batch{Sync: true})
	})
	return r.view(records.Now(), s.rules), err
}

// SetData replaces the data of a session that lives, as Update does with other members.
func (s *Sessions) SetData(ctx context.Context, id string, data schemas.Object, expected *int64) (schemas.Session, error) {
	return s.change(ctx, id, expected, func(r *record) error {
		r.Data = data
		return s.apply(r, schemas.SessionUpdates{})
	})
}

// apply changes a session by what was given, or says what is wrong with it.
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
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the data and user_context of a session may have %d bytes, these have %d", s.rules.MaxBytes, n).
		WithField("data").WithHint("keep large values with set_state, or outside, and a reference to them here")
}

// Delete closes a session for good and forgets its data. What ended before stays as it is.
func (s *Sessions) Delete(ctx context.Context, id string) (schemas.Session, error) {
	var r record
	var open bool
	err := s.store.RetryOnConflict(func() (err error) {
		if r, err = s.readOwn(ctx, id); err != nil {
			return err
		}
		now := records.Now()
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
	return r.view(records.Now(), s.rules), err
}
