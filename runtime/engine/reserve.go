package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// reserve binds an idempotency key to an execution. If the key is bound already, to the same plan, bound is the execution and known is
// true.
func (r *Engine) reserve(ctx context.Context, key, id string, p *plan.Program) (bound string, known bool, err error) {
	submitted := p.Definition.Plan
	if submitted.MaxParallel == r.limits.MaxParallel { // a setting of the runtime, not of the plan
		submitted.MaxParallel = 0
	}
	canonical, err := json.Marshal(submitted)
	if err != nil {
		return "", false, fmt.Errorf("digest plan: %w", err)
	}
	sum := sha256.Sum256(canonical)
	mine := journal.Reservation{ExecutionID: id, Digest: hex.EncodeToString(sum[:])}
	value, err := json.Marshal(mine)
	if err != nil {
		return "", false, fmt.Errorf("encode reservation: %w", err)
	}
	at := journal.IdempotencyKey(caller.From(ctx).Principal, key)
	put := store.Put{Key: at, Value: value, TTL: r.limits.Idempotency}
	_, err = r.store.Commit(ctx, store.Batch{Puts: []store.Put{put}, Sync: true})
	if err == nil {
		return id, false, nil
	}
	if !errors.Is(err, store.ErrConflict) {
		return "", false, records.StoreError(err)
	}
	rec, err := r.store.Get(ctx, at)
	if err != nil {
		return "", false, records.StoreError(err)
	}
	var theirs journal.Reservation
	if err := json.Unmarshal(rec.Value, &theirs); err != nil {
		return "", false, fmt.Errorf("read reservation: %w", err)
	}
	if theirs.Digest != mine.Digest {
		put.Version = rec.Version
		if rebound, err := r.rebind(ctx, theirs.ExecutionID, put); err != nil || rebound {
			return id, false, err
		}
		other := theirs.ExecutionID
		return "", false, schemas.Errorf(schemas.CodeConflict, "idempotency_key %q was used for another plan, execution %q", key, other).
			WithHint("use a new key for a new plan; the same key is for the same plan submitted again").
			WithField("idempotency_key").With(func(e *schemas.Error) { e.ExecutionID = other })
	}
	return theirs.ExecutionID, true, nil
}

// rebind binds the key to another plan if the first one was never accepted, because the queue was full or the process ended. It returns
// false if it was accepted, or if the key was bound again meanwhile.
func (r *Engine) rebind(ctx context.Context, id string, put store.Put) (bool, error) {
	if _, _, err := r.journal.ReadHead(ctx, id); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		return false, err
	}
	_, err := r.store.Commit(ctx, store.Batch{Puts: []store.Put{put}, Sync: true})
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, records.StoreError(err)
}
