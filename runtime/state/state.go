package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Rules bound states. Zero fields take the default beside them.
type Rules struct {
	MaxBytes int // of the data and context of one state; 256 KiB
	Max      int // states that one principal keeps, about; 100,000
}

func (s Rules) withDefaults() Rules {
	if s.MaxBytes == 0 {
		s.MaxBytes = 256 << 10
	}
	if s.Max == 0 {
		s.Max = 100_000
	}
	return s
}

// The longest type and key of a state in bytes.
const (
	MaxType = 128
	MaxKey  = 512
)

// Kind of the records of states.
const Kind = "state"

// Config is what States are made of. Store, Log and Sessions are required.
type Config struct {
	Store    *records.Store
	Log      hclog.Logger
	Sessions *session.Sessions
	Rules    Rules
	Views    map[string]View     // by type of state
	Written  func(key store.Key) // is called after each write; it must not block
}

// States is the contract State.
type States struct {
	store    *records.Store
	log      hclog.Logger
	sessions *session.Sessions
	rules    Rules
	views    map[string]View
	written  func(key store.Key)
	watches  watches
}

// New makes States; nothing happens before Run.
func New(c Config) *States {
	return &States{
		store: c.Store, log: c.Log, sessions: c.Sessions, rules: c.Rules.withDefaults(), views: c.Views, written: c.Written,
		watches: watches{signal: records.NewSignal()},
	}
}

// Run looks at watched states until ctx ends. While no state is watched it sleeps.
func (s *States) Run(ctx context.Context) error {
	s.runWatches(ctx)
	return nil
}

// KeepVersion is how long the version of a state that was deleted or expired is remembered: whoever makes it anew goes on
// counting, so that nobody takes the new one for the old by its version.
const KeepVersion = 24 * time.Hour

// Record is the record of a state; its version is the store's. The ID begins with a digest of principal and type, so that
// no key can reach into another's.
type Record struct {
	Key       string         `json:"key"`
	Data      schemas.Value  `json:"data,omitempty"`
	Context   schemas.Object `json:"context,omitempty"`
	UpdatedAt time.Time      `json:"updated_at"`
	ExpiresAt *time.Time     `json:"expires_at,omitempty"`
	Deleted   bool           `json:"deleted,omitempty"`
	stored    int64
}

// Exists tells whether anybody can see the state.
func (r *Record) Exists(now time.Time) bool {
	return r.stored > 0 && !r.Deleted && (r.ExpiresAt == nil || now.Before(*r.ExpiresAt))
}

// VersionAt is what a caller has to expect: 0 where there is nothing.
func (r *Record) VersionAt(now time.Time) int64 {
	if !r.Exists(now) {
		return 0
	}
	return r.stored
}

func (r *Record) view(kind string) schemas.State {
	return schemas.State{
		Found: true, StateType: kind, StateKey: r.Key, StateData: r.Data, Context: r.Context, Version: r.stored, UpdatedAt: &r.UpdatedAt, ExpiresAt: r.ExpiresAt,
	}
}

// Ref names a state of the caller. With a context, the members given have to be those that the state was written
// with, else it is not meant; a session_id among them counts as naming the session.
type Ref struct {
	Type, Key string
	Context   schemas.Object
}

func (ref Ref) check() error {
	for _, f := range []struct {
		name, text string
		most       int
	}{{"state_type", ref.Type, MaxType}, {"state_key", ref.Key, MaxKey}} {
		if len(f.text) == 0 || len(f.text) > f.most {
			return schemas.Errorf(schemas.CodeInvalidArgument, "%s has %d bytes, want 1 to %d", f.name, len(f.text), f.most).WithField(f.name)
		}
	}
	return nil
}

func (ref Ref) key(ctx context.Context) store.Key {
	return Key(caller.From(ctx).Principal, schemas.StateName{Type: ref.Type, Key: ref.Key})
}

// Key is where a state of a principal is stored.
func Key(principal string, name schemas.StateName) store.Key {
	return store.Key{Kind: Kind, ID: records.Private(principal, name.Type) + name.Key}
}

// sessionOf is the session that a context binds to; empty: none.
func sessionOf(c schemas.Object) (string, error) {
	if len(c) == 0 {
		return "", nil
	}
	var to struct {
		SessionID *json.RawMessage `json:"session_id"`
	}
	var id string
	if err := json.Unmarshal(c, &to); err != nil || to.SessionID != nil && json.Unmarshal(*to.SessionID, &id) != nil {
		return "", schemas.Errorf(schemas.CodeInvalidArgument, "session_id of the context is not a string").WithField("context")
	}
	return id, nil
}

// useSession counts as naming the session of a context, which must live.
func (s *States) useSession(ctx context.Context, c schemas.Object) (string, error) {
	id, err := sessionOf(c)
	if err == nil && id != "" {
		if _, err = s.sessions.Use(ctx, id); err != nil {
			err = schemas.AsError(err).WithField("context")
		}
	}
	return id, err
}

func (s *States) Read(ctx context.Context, key store.Key) (Record, error) {
	rec, err := s.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, records.Error(err)
	}
	return Decode(rec)
}

// Decode is the state of a record.
func Decode(rec store.Record) (Record, error) {
	r := Record{stored: rec.Version}
	err := json.Unmarshal(rec.Value, &r)
	return r, err
}

// Get reads a state. That there is none is no error: Found is false then.
func (s *States) Get(ctx context.Context, ref Ref) (schemas.State, error) {
	none := schemas.State{StateType: ref.Type, StateKey: ref.Key}
	if err := ref.check(); err != nil {
		return none, err
	}
	if _, err := s.useSession(ctx, ref.Context); err != nil {
		return none, err
	}
	if v, ok := s.views[ref.Type]; ok {
		r, err := v.Get(ctx, ref.Key)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) || err == nil && !schemas.Matches(ref.Context, r.Context) {
			return none, nil
		}
		return r, err
	}
	r, err := s.Read(ctx, ref.key(ctx))
	if err != nil || !r.Exists(records.Now()) || !schemas.Matches(ref.Context, r.Context) {
		return none, err
	}
	return r.view(ref.Type), nil
}

// Write is what becomes of a state.
type Write struct {
	Ref                    // its context, if given, replaces the one that is there
	Data     schemas.Value // any JSON value
	Expected *int64        // the version that must be there; 0: none; nil: whatever is there
	TTL      time.Duration // 0: it stays
}

// Set writes a state. What was written under another version than the expected one stays, and the conflict tells which
// that is. A state whose context names a session ends with the session.
func (s *States) Set(ctx context.Context, w Write) (schemas.StateWritten, error) {
	out := schemas.StateWritten{StateType: w.Type, StateKey: w.Key}
	if err := w.check(); err != nil {
		return out, err
	}
	if n := len(w.Data) + len(w.Context); n > s.rules.MaxBytes {
		return out, schemas.Errorf(schemas.CodePayloadTooLarge, "a state may have %d bytes, this has %d", s.rules.MaxBytes, n).WithField("state_data").
			WithHint("split it over several keys, or keep it outside and a reference to it here")
	}
	if v, ok := s.views[w.Type]; ok {
		if v.Set == nil {
			return out, readOnly(w.Ref, v.Remedy)
		}
		return v.Set(ctx, w)
	}
	if _, err := s.useSession(ctx, w.Context); err != nil {
		return out, err
	}
	key, caller := w.key(ctx), caller.From(ctx).Principal
	var created bool
	err := s.store.RetryOnConflict(func() error {
		r, err := s.Read(ctx, key)
		if err != nil {
			return err
		}
		now := records.Now()
		if err := checkVersion(w.Ref, w.Expected, r.VersionAt(now)); err != nil {
			return err
		}
		if created = !r.Exists(now); created {
			if err := s.checkLimit(ctx); err != nil {
				return err
			}
			r.Context = nil
		}
		if len(w.Context) > 0 {
			r.Context = w.Context
		}
		r.Key, r.Data, r.UpdatedAt, r.ExpiresAt, r.Deleted = w.Key, w.Data, now, nil, false
		if w.TTL > 0 {
			r.ExpiresAt = new(now.Add(w.TTL))
		}
		out.Version, err = s.save(ctx, key, &r, caller)
		out.UpdatedAt, out.ExpiresAt = r.UpdatedAt, r.ExpiresAt
		return err
	})
	if err == nil && created {
		s.store.Usage.Add(owner(caller), 1)
	}
	return out, err
}

// checkVersion is the conflict of an expected version with the current one.
func checkVersion(ref Ref, expected *int64, current int64) error {
	if expected == nil || *expected == current {
		return nil
	}
	e := schemas.Errorf(schemas.CodeConflict, "state %q of type %q has version %d, not %d", ref.Key, ref.Type, current, *expected)
	if current == 0 {
		e = schemas.Errorf(schemas.CodeConflict, "there is no state %q of type %q, so its version is 0, not %d", ref.Key, ref.Type, *expected)
	}
	return e.WithField("expected_version").WithVersion(current).WithHint("get_state shows what is there now; decide again with its version")
}

// Delete removes a state. That there was none is no error, unless a version was expected.
func (s *States) Delete(ctx context.Context, ref Ref, expected *int64) (out schemas.StateDeleted, err error) {
	if err := ref.check(); err != nil {
		return out, err
	}
	if v, ok := s.views[ref.Type]; ok {
		return out, readOnly(ref, v.Remedy)
	}
	if _, err := s.useSession(ctx, ref.Context); err != nil {
		return out, err
	}
	key := ref.key(ctx)
	err = s.store.RetryOnConflict(func() error {
		r, err := s.Read(ctx, key)
		if err != nil {
			return err
		}
		now := records.Now()
		if err := checkVersion(ref, expected, r.VersionAt(now)); err != nil {
			return err
		}
		if out.Deleted = r.Exists(now) && schemas.Matches(ref.Context, r.Context); !out.Deleted {
			return nil
		}
		_, err = s.save(ctx, key, &Record{Key: r.Key, UpdatedAt: now, Deleted: true, stored: r.stored}, "")
		return err
	})
	if err == nil && out.Deleted {
		s.store.Usage.Add(owner(caller.From(ctx).Principal), -1)
	}
	return out, err
}

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

// save writes a state of the principal against the version that was read and returns the new one.
func (s *States) save(ctx context.Context, key store.Key, r *Record, principal string) (int64, error) {
	value, err := schemas.Encode(r)
	if err != nil {
		return 0, fmt.Errorf("encode state: %w", err)
	}
	p := store.Put{Key: key, Value: value, Version: r.stored}
	switch {
	case r.Deleted:
		p.TTL = KeepVersion
	case r.ExpiresAt != nil:
		p.TTL = r.ExpiresAt.Sub(r.UpdatedAt) + KeepVersion
	}
	if id, err := sessionOf(r.Context); err == nil && id != "" {
		p.Terms = []string{session.Term(id)}
	}
	if !r.Deleted {
		p.Terms = append(p.Terms, termOwner(principal))
	}
	done, err := s.store.Commit(ctx, store.Batch{Puts: []store.Put{p}, Wakes: []store.Wake{notifyAfter(key, r)}, Sync: true})
	if err != nil {
		return 0, records.Error(err)
	}
	if s.written != nil {
		s.written(key)
	}
	return done.Versions[0], nil
}
