package state

import (
	"context"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// View is a type of state that shows other records, live. Its Get, Read and Set return errors as the methods of [States] do.
type View struct {
	// Remedy says which tools change what is shown, for the error of a write.
	Remedy string
	// Query selects the caller's records.
	Query func(ctx context.Context) store.Query
	// Key returns the key of the record that the caller's state of a key shows.
	Key func(ctx context.Context, key string) store.Key
	// Get returns the caller's state of a key; an error with code not_found if there is none.
	Get func(ctx context.Context, key string) (schemas.State, error)
	// Read returns the state of a record of Query, and whether the caller is shown it.
	Read func(ctx context.Context, rec store.Record) (schemas.State, bool, error)
	// Set writes the state; nil: it is read-only.
	Set func(ctx context.Context, w Write) (schemas.StateWritten, error)
}

func readOnly(ref Ref, remedy string) *schemas.Error {
	return schemas.Errorf(schemas.CodeReadOnly, "states of type %q are read-only: %s", ref.Type, remedy).WithField("state_type").
		WithHint("%s; states of other types can be written", remedy)
}
