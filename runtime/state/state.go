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
