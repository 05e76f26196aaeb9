package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/runplane/runplane/store"
)

// Read reads a record and decodes its value, which is JSON. A record that does not exist is not an error: its version is 0.
func Read[T any](ctx context.Context, s *Store, key store.Key) (v T, version int64, err error) {
	rec, err := s.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return v, 0, nil
	}
	if err != nil {
		return v, 0, StoreError(err)
	}
	if err := json.Unmarshal(rec.Value, &v); err != nil {
		return v, rec.Version, fmt.Errorf("read %s: %w", key, err)
	}
	return v, rec.Version, nil
}
