package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Output returns a unit's whole output: inline, or the record that ref stands for. name is the unit's, with TextPart for a text.
func (j *Journal) Output(ctx context.Context, id, name string, inline schemas.Value, ref *schemas.OutputRef) ([]byte, error) {
	if ref == nil {
		return inline, nil
	}
	rec, err := j.store.Get(ctx, OutputKey(id, name))
	if err != nil {
		failed := fmt.Errorf("read output %s/%s: %w", id, name, records.StoreError(err))
		if errors.Is(err, store.ErrNotFound) {
			failed = j.notFoundOr(ctx, id, failed)
		}
		return nil, failed
	}
	return rec.Value, nil
}

// OutputOf is Output for an execution in memory, of which the record may not be committed yet.
func (j *Journal) OutputOf(ctx context.Context, x *Execution, name string, inline schemas.Value, ref *schemas.OutputRef) ([]byte, error) {
	if ref != nil {
		if made, ok := x.made[name]; ok {
			return made, nil
		}
	}
	return j.Output(ctx, x.ID, name, inline, ref)
}

// OutputNode stands for the execution's own output in place of a node id; no node can have this id.
const OutputNode = "$output"

// RoundPart after a node's name stands for the answer of a round of it. A round shares its record with the one before the last.
func RoundPart(round int) string { return "$round" + strconv.Itoa(round%2) }

// TextPart and ContentPart after a node's name stand for the text of its answer and its content blocks.
const (
	TextPart    = "$text"
	ContentPart = "$content"
)
