package state

import (
	"context"
	"encoding/json"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The longest type and key of a state in bytes.
const (
	MaxType = 128
	MaxKey  = 512
)

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
