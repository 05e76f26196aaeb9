package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Held returns the executions of all callers that are held because processes died while they evaluated them, the newest first.
func (r *Engine) Held(ctx context.Context) ([]schemas.Execution, error) {
	held := []schemas.Execution{}
	q := store.Query{Kind: journal.KindExecution, Term: journal.TermRecovery, Reverse: true}
	err := r.store.Each(ctx, q, func(rec store.Record) error {
		var h journal.Head
		if err := json.Unmarshal(rec.Value, &h); err != nil {
			return fmt.Errorf("read execution %s: %w", rec.Key.ID, err)
		}
		held = append(held, r.shown(ctx, h.Execution))
		return nil
	})
	return held, err
}
