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

// StateRules bound states. Zero fields take the default beside them.
type StateRules struct {
	MaxBytes int // of the data and context of one state; 256 KiB
	Max      int // states that one principal keeps, about; 100,000
}

func (s StateRules) withDefaults() StateRules {
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
	MaxStateType = 128
	MaxStateKey  = 512
)

const kindState = "state"

// stateKeep is how long the version of a state that was deleted or expired is remembered: whoever makes it anew goes on
// counting, so that nobody takes the new one for the old by its version.
const stateKeep = 24 * time.Hour

// state is the record of a state; its version is the store's. The ID begins with a digest of principal and type, so that
// no key can reach into another's.
type state struct {
	Key       string         `json:"key"`
	Data      schemas.Value  `json:"data,omitempty"`
	Context   schemas.Object `json:"context,omitempty"`
	UpdatedAt time.Time      `json:"updated_at"`
	ExpiresAt *time.Time     `json:"expires_at,omitempty"`
	Deleted   bool           `json:"deleted,omitempty"`
	stored    int64
}

// there tells whether anybody can see the state.
func (s *state) there(now time.Time) bool {
	return s.stored > 0 && !s.Deleted && (s.ExpiresAt == nil || now.Before(*s.ExpiresAt))
}

// version is what a caller has to expect: 0 where there is nothing.
func (s *state) version(now time.Time) int64 {
	if !s.there(now) {
		return 0
	}
	return s.stored
}

func (s *state) view(kind string) schemas.State {
	return schemas.State{
		Found: true, StateType: kind, StateKey: s.Key, StateData: s.Data, Context: s.Context, Version: s.stored, UpdatedAt: &s.UpdatedAt, ExpiresAt: s.ExpiresAt,
	}
}

// StateRef names a state of the caller. With a context, the members given have to be those that the state was written
// with, else it is not meant; a session_id among them counts as naming the session.
type StateRef struct {
	Type, Key string
	Context   schemas.Object
}

func (ref StateRef) check() error {
	for _, f := range []struct {
		name, text string
		most       int
	}{{"state_type", ref.Type, MaxStateType}, {"state_key", ref.Key, MaxStateKey}} {
		if len(f.text) == 0 || len(f.text) > f.most {
			return schemas.Errorf(schemas.CodeInvalidArgument, "%s has %d bytes, want 1 to %d", f.name, len(f.text), f.most).WithField(f.name)
		}
	}
	return nil
}

func (ref StateRef) key(ctx context.Context) store.Key {
	return stateKey(caller.From(ctx).Principal, schemas.StateName{Type: ref.Type, Key: ref.Key})
}

func stateKey(principal string, name schemas.StateName) store.Key {
	return store.Key{Kind: kindState, ID: records.Private(principal, name.Type) + name.Key}
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

// bind counts as naming the session of a context, which must live.
func (r *Runtime) bind(ctx context.Context, c schemas.Object) (string, error) {
	id, err := sessionOf(c)
	if err == nil && id != "" {
		if _, err = r.useSession(ctx, id); err != nil {
			err = schemas.AsError(err).WithField("context")
		}
	}
	return id, err
}

func (r *Runtime) readState(ctx context.Context, key store.Key) (state, error) {
	rec, err := r.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return state{}, nil
	}
	if err != nil {
		return state{}, records.Error(err)
	}
	return decodeState(rec)
}

func decodeState(rec store.Record) (state, error) {
	s := state{stored: rec.Version}
	err := json.Unmarshal(rec.Value, &s)
	return s, err
}

// State reads a state. That there is none is no error: Found is false then.
func (r *Runtime) State(ctx context.Context, ref StateRef) (schemas.State, error) {
	none := schemas.State{StateType: ref.Type, StateKey: ref.Key}
	if err := ref.check(); err != nil {
		return none, err
	}
	if _, err := r.bind(ctx, ref.Context); err != nil {
		return none, err
	}
	if v, ok := stateViews[ref.Type]; ok {
		s, err := v.get(ctx, r, ref.Key)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) || err == nil && !schemas.Matches(ref.Context, s.Context) {
			return none, nil
		}
		return s, err
	}
	s, err := r.readState(ctx, ref.key(ctx))
	if err != nil || !s.there(records.Now()) || !schemas.Matches(ref.Context, s.Context) {
		return none, err
	}
	return s.view(ref.Type), nil
}

// StateWrite is what becomes of a state.
type StateWrite struct {
	StateRef               // its context, if given, replaces the one that is there
	Data     schemas.Value // any JSON value
	Expected *int64        // the version that must be there; 0: none; nil: whatever is there
	TTL      time.Duration // 0: it stays
}

// SetState writes a state. What was written under another version than the expected one stays, and the conflict tells which
// that is. A state whose context names a session ends with the session.
func (r *Runtime) SetState(ctx context.Context, w StateWrite) (schemas.StateWritten, error) {
	out := schemas.StateWritten{StateType: w.Type, StateKey: w.Key}
	if err := w.check(); err != nil {
		return out, err
	}
	if n := len(w.Data) + len(w.Context); n > r.states.MaxBytes {
		return out, schemas.Errorf(schemas.CodePayloadTooLarge, "a state may have %d bytes, this has %d", r.states.MaxBytes, n).WithField("state_data").
			WithHint("split it over several keys, or keep it outside and a reference to it here")
	}
	if v, ok := stateViews[w.Type]; ok {
		return v.set(ctx, r, w)
	}
	if _, err := r.bind(ctx, w.Context); err != nil {
		return out, err
	}
	key, caller := w.key(ctx), caller.From(ctx).Principal
	var made bool
	err := r.store.RetryOnConflict(func() error {
		s, err := r.readState(ctx, key)
		if err != nil {
			return err
		}
		now := records.Now()
		if err := expect(w.StateRef, w.Expected, s.version(now)); err != nil {
			return err
		}
		if made = !s.there(now); made {
			if err := r.roomForState(ctx); err != nil {
				return err
			}
			s.Context = nil
		}
		if len(w.Context) > 0 {
			s.Context = w.Context
		}
		s.Key, s.Data, s.UpdatedAt, s.ExpiresAt, s.Deleted = w.Key, w.Data, now, nil, false
		if w.TTL > 0 {
			s.ExpiresAt = new(now.Add(w.TTL))
		}
		out.Version, err = r.saveState(ctx, key, &s, caller)
		out.UpdatedAt, out.ExpiresAt = s.UpdatedAt, s.ExpiresAt
		return err
	})
	if err == nil && made {
		r.store.Usage.Add(states(caller), 1)
	}
	return out, err
}

// expect is the conflict of an expected version with the current one.
func expect(ref StateRef, expected *int64, current int64) error {
	if expected == nil || *expected == current {
		return nil
	}
	e := schemas.Errorf(schemas.CodeConflict, "state %q of type %q has version %d, not %d", ref.Key, ref.Type, current, *expected)
	if current == 0 {
		e = schemas.Errorf(schemas.CodeConflict, "there is no state %q of type %q, so its version is 0, not %d", ref.Key, ref.Type, *expected)
	}
	return e.WithField("expected_version").WithVersion(current).WithHint("get_state shows what is there now; decide again with its version")
}

// DeleteState removes a state. That there was none is no error, unless a version was expected.
func (r *Runtime) DeleteState(ctx context.Context, ref StateRef, expected *int64) (out schemas.StateDeleted, err error) {
	if err := ref.check(); err != nil {
		return out, err
	}
	if v, ok := stateViews[ref.Type]; ok {
		return out, readOnly(ref, v.remedy)
	}
	if _, err := r.bind(ctx, ref.Context); err != nil {
		return out, err
	}
	key := ref.key(ctx)
	err = r.store.RetryOnConflict(func() error {
		s, err := r.readState(ctx, key)
		if err != nil {
			return err
		}
		now := records.Now()
		if err := expect(ref, expected, s.version(now)); err != nil {
			return err
		}
		if out.Deleted = s.there(now) && schemas.Matches(ref.Context, s.Context); !out.Deleted {
			return nil
		}
		_, err = r.saveState(ctx, key, &state{Key: s.Key, UpdatedAt: now, Deleted: true, stored: s.stored}, "")
		return err
	})
	if err == nil && out.Deleted {
		r.store.Usage.Add(states(caller.From(ctx).Principal), -1)
	}
	return out, err
}

// endState deletes a state whose session has ended.
func (r *Runtime) endState(ctx context.Context, rec store.Record, sessionID string) error {
	return r.store.RetryOnConflict(func() error {
		s, err := r.readState(ctx, rec.Key)
		if err != nil || s.stored == 0 || s.Deleted {
			return err
		}
		if id, err := sessionOf(s.Context); err != nil || id != sessionID {
			return err
		}
		_, err = r.saveState(ctx, rec.Key, &state{Key: s.Key, UpdatedAt: records.Now(), Deleted: true, stored: s.stored}, "")
		return err
	})
}

// saveState writes a state of the principal against the version that was read and returns the new one.
func (r *Runtime) saveState(ctx context.Context, key store.Key, s *state, principal string) (int64, error) {
	value, err := schemas.Encode(s)
	if err != nil {
		return 0, fmt.Errorf("encode state: %w", err)
	}
	p := store.Put{Key: key, Value: value, Version: s.stored}
	switch {
	case s.Deleted:
		p.TTL = stateKeep
	case s.ExpiresAt != nil:
		p.TTL = s.ExpiresAt.Sub(s.UpdatedAt) + stateKeep
	}
	if id, err := sessionOf(s.Context); err == nil && id != "" {
		p.Terms = []string{"session=" + id}
	}
	if !s.Deleted {
		p.Terms = append(p.Terms, termOwner(principal))
	}
	done, err := r.store.Commit(ctx, store.Batch{Puts: []store.Put{p}, Wakes: []store.Wake{tellAt(key, s)}, Sync: true})
	if err != nil {
		return 0, records.Error(err)
	}
	r.written.note(key)
	return done.Versions[0], nil
}
