package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Kind of the records of states.
const Kind = "state"

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

// Key is where a state of a principal is stored.
func Key(principal string, name schemas.StateName) store.Key {
	return store.Key{Kind: Kind, ID: records.Private(principal, name.Type) + name.Key}
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
