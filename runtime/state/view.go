package state

import (
	"context"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// View is a type of state that shows other records, live. Its Get, Read and Set return errors as the methods of [States] do.
type View struct {
	// Remedy says which tools change what is shown.
	Remedy string
	// Query selects the caller's records.
	Query func(ctx context.Context) store.Query
	// Key is the record that the caller's state of a key shows.
	Key func(ctx context.Context, key string) store.Key
	// Get shows the caller's record; not_found where there is none.
	Get func(ctx context.Context, key string) (schemas.State, error)
	// Read shows a record of Query; false: it is not shown.
	Read func(ctx context.Context, rec store.Record) (schemas.State, bool, error)
	// Set changes what is shown; nil: it is read only.
	Set func(ctx context.Context, w Write) (schemas.StateWritten, error)
}

func readOnly(ref Ref, remedy string) *schemas.Error {
	return schemas.Errorf(schemas.CodeReadOnly, "states of type %q show what the runtime does: %s", ref.Type, remedy).WithField("state_type").
		WithHint("%s; states of any other type are free", remedy)
}
