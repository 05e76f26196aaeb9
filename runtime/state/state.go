package state

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Rules bound states. Zero fields take the default that their comment names.
type Rules struct {
	MaxBytes int // of data and context of one state together; 256 KiB
	Max      int // states of one principal, approximately; 100,000
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

// Config configures States. Store, Log and Sessions are required.
type Config struct {
	Store    *records.Store
	Log      hclog.Logger
	Sessions *session.Sessions
	Rules    Rules
	Views    map[string]View     // by type of state
	Written  func(key store.Key) // is called after each write in this process, and must not block; nil: nothing is called
}

// States implements the contract State.
type States struct {
	store    *records.Store
	log      hclog.Logger
	sessions *session.Sessions
	rules    Rules
	views    map[string]View
	written  func(key store.Key)
	watches  watches
}

// New returns States. Until Run, watches notify of nothing.
func New(c Config) *States {
	return &States{
		store: c.Store, log: c.Log, sessions: c.Sessions, rules: c.Rules.withDefaults(), views: c.Views, written: c.Written,
		watches: watches{signal: records.NewSignal()},
	}
}

// Run checks watched states until ctx ends. It sleeps while no state is watched.
func (s *States) Run(ctx context.Context) error {
	s.runWatches(ctx)
	return nil
}

// Get reads a state. A state that does not exist is not an error: its Found is false.
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
	if err != nil || !r.Exists(s.store.Now()) || !schemas.Matches(ref.Context, r.Context) {
		return none, err
	}
	return r.view(ref.Type), nil
}

// Write is a write of a state.
type Write struct {
	Ref                    // its Context, if not empty, replaces the context of the state
	Data     schemas.Value // any JSON value
	Expected *int64        // the version that the state must have, 0: it must not exist; nil: any
	TTL      time.Duration // after which the state expires; 0: never
}

// Set writes a state. If the state has another version than the expected one it stays as it is, and the error has code conflict and
// the version that it has. A state whose context names a session is deleted with the session.
func (s *States) Set(ctx context.Context, w Write) (schemas.StateWritten, error) {
	out := schemas.StateWritten{StateType: w.Type, StateKey: w.Key}
	if err := w.check(); err != nil {
		return out, err
	}
	if n := len(w.Data) + len(w.Context); n > s.rules.MaxBytes {
		return out, schemas.Errorf(schemas.CodePayloadTooLarge, "data and context of the state have %d bytes (limit %d)", n, s.rules.MaxBytes).
			WithField("state_data").WithHint("split it over several keys, or keep it outside and a reference to it here")
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
		now := s.store.Now()
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

// checkVersion returns an error with code conflict if another version than the current one is expected.
func checkVersion(ref Ref, expected *int64, current int64) error {
	if expected == nil || *expected == current {
		return nil
	}
	e := schemas.Errorf(schemas.CodeConflict, "state %q of type %q has version %d, not %d", ref.Key, ref.Type, current, *expected)
	if current == 0 {
		e = schemas.Errorf(schemas.CodeConflict, "state %q of type %q does not exist, so its version is 0, not %d", ref.Key, ref.Type, *expected)
	}
	return e.WithField("expected_version").WithVersion(current).WithHint("get_state shows the current state; decide again with its version")
}

// Delete deletes a state. A state that does not exist is not an error, unless a version is expected.
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
		now := s.store.Now()
		if err := checkVersion(ref, expected, r.VersionAt(now)); err != nil {
			return err
		}
		if out.Deleted = r.Exists(now) && schemas.Matches(ref.Context, r.Context); !out.Deleted {
			return nil
		}
		return s.markDeleted(ctx, key, &r, now)
	})
	if err == nil && out.Deleted {
		s.store.Usage.Add(owner(caller.From(ctx).Principal), -1)
	}
	return out, err
}
