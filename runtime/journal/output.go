package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Output is a unit's whole output, wherever it is kept.
func (j *Journal) Output(ctx context.Context, id, name string, inline schemas.Value, ref *schemas.OutputRef) ([]byte, error) {
	if ref == nil {
		return inline, nil
	}
	rec, err := j.store.Get(ctx, OutputKey(id, name))
	if err != nil {
		failed := fmt.Errorf("read output %s/%s: %w", id, name, records.Error(err))
		if errors.Is(err, store.ErrNotFound) {
			failed = j.notFoundOr(ctx, id, failed)
		}
		return nil, failed
	}
	return rec.Value, nil
}

// OutputNode stands for the execution's own output where a node id is expected; no node can have this id.
const OutputNode = "$output"

// TextPart behind a node's name stands for its text.
const TextPart = "$text"
