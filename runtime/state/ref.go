package state

import (
	"context"
	"encoding/json"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The longest type and the longest key of a state, in bytes.
const (
	MaxType = 128
	MaxKey  = 512
)

// Ref names a state of the caller. With a Context, a state matches only if its context has these members; a session_id among them
// names a session of the caller, which must be open, and renews its expiry.
type Ref struct {
	Type, Key string // 1 to MaxType and 1 to MaxKey bytes
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

// sessionOf returns the session_id of a context; empty: it has none.
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

// useSession renews the expiry of the session that a context names, which must be open.
func (s *States) useSession(ctx context.Context, c schemas.Object) (string, error) {
	id, err := sessionOf(c)
	if err == nil && id != "" {
		if _, err = s.sessions.Use(ctx, id); err != nil {
			err = schemas.AsError(err).WithField("context")
		}
	}
	return id, err
}
