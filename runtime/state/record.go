package state

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Kind of the records of states.
const Kind = "state"

// KeepVersion is how long the version of a state that was deleted or expired is kept. A state that is created under the same key
// continues its versions, so that the new one cannot be mistaken for the old one.
const KeepVersion = 24 * time.Hour

// Record is the record of a state; its version is the store's. Its ID begins with a digest of principal and type, so that no key of
// one principal or type can be one of another. The zero value is a state that does not exist.
type Record struct {
	Key       string         `json:"key"`
	Data      schemas.Value  `json:"data,omitempty"`
	Context   schemas.Object `json:"context,omitempty"`
	UpdatedAt time.Time      `json:"updated_at"`
	ExpiresAt *time.Time     `json:"expires_at,omitempty"`
	Deleted   bool           `json:"deleted,omitempty"`
	stored    int64
}

// Exists reports whether the state can be read: it was written, and is neither deleted nor expired.
func (r *Record) Exists(now time.Time) bool {
	return r.stored > 0 && !r.Deleted && (r.ExpiresAt == nil || now.Before(*r.ExpiresAt))
}

// VersionAt returns the version that a compare-and-set has to expect: 0 if the state does not exist.
func (r *Record) VersionAt(now time.Time) int64 {
	if !r.Exists(now) {
		return 0
	}
	return r.stored
}

func (r *Record) view(kind string) schemas.State {
	return schemas.State{
		Found: true, StateType: kind, StateKey: r.Key, StateData: r.Data, Context: r.Context, Version: r.stored,
		UpdatedAt: &r.UpdatedAt, ExpiresAt: r.ExpiresAt,
	}
}

// Key returns the key of the record of a principal's state.
func Key(principal string, name schemas.StateName) store.Key {
	return store.Key{Kind: Kind, ID: records.Private(principal, name.Type) + name.Key}
}

// Read reads the record of a state, also one that is deleted; a record that does not exist is the zero Record, which is not an error.
func (s *States) Read(ctx context.Context, key store.Key) (Record, error) {
	r, version, err := records.Read[Record](ctx, s.store, key)
	r.stored = version
	return r, err
}

// decode reads a state from its record.
func decode(rec store.Record) (Record, error) {
	r := Record{stored: rec.Version}
	err := json.Unmarshal(rec.Value, &r)
	return r, err
}

// markDeleted replaces a state by a record that keeps its version.
func (s *States) markDeleted(ctx context.Context, key store.Key, r *Record, now time.Time) error {
	_, err := s.save(ctx, key, &Record{Key: r.Key, UpdatedAt: now, Deleted: true, stored: r.stored}, "")
	return err
}

// save writes a state of the principal against the version that was read, and returns the new version.
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
		return 0, records.StoreError(err)
	}
	if s.written != nil {
		s.written(key)
	}
	return done.Versions[0], nil
}
