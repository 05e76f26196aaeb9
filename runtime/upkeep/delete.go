package upkeep

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// An execution that has ended is deleted with everything that belongs to it, in one commit if that is not too much. Otherwise the first
// commit hides its head: it is in no list, and reads answer not_found. The head is deleted last, so that after a crash any replica finds
// what is left.

// OutputsPerCommit is how many outputs one commit deletes.
const OutputsPerCommit = 100

// Delete deletes an execution that has ended, whatever still needs it. It returns store.ErrConflict if the head was changed since the
// version.
func (u *Upkeep) Delete(ctx context.Context, h *journal.Head, version int64) error {
	id, hidden := h.ExecutionID, h.Deleted
	if !hidden {
		if err := u.releaseIdempotencyKey(ctx, h); err != nil {
			return err
		}
	}
	for {
		outputs, err := u.store.List(ctx, store.Query{Kind: journal.KindOutput, Prefix: id + "/", Limit: OutputsPerCommit, Bare: true})
		if err != nil {
			return records.StoreError(err)
		}
		var b store.Batch
		for i := range outputs {
			b.Deletes = append(b.Deletes, outputs[i].Key)
		}
		last := len(outputs) < OutputsPerCommit
		switch {
		case last:
			b.Deletes = append(b.Deletes,
				journal.PlanKey(id), journal.SnapshotKey(id), journal.NudgeKey(id), journal.OverdueKey(id), journal.ExecutionKey(id))
		case !hidden:
			rest := journal.Head{Principal: h.Principal, Deleted: true, Execution: schemas.Execution{
				ExecutionID: id, Status: h.Status, CreatedAt: h.CreatedAt, FinishedAt: h.FinishedAt,
			}}
			value, err := schemas.Encode(&rest)
			if err != nil {
				return fmt.Errorf("encode head: %w", err)
			}
			b.Puts = []store.Put{{Key: journal.ExecutionKey(id), Value: value, Version: version, Terms: rest.Terms()}}
			hidden = true
		}
		if _, err := u.store.Commit(ctx, b); err != nil || last {
			return records.StoreError(err)
		}
	}
}

// releaseIdempotencyKey deletes the reservation of an execution's idempotency key before the execution is deleted: a submission with the
// key makes a new execution then.
func (u *Upkeep) releaseIdempotencyKey(ctx context.Context, h *journal.Head) error {
	if u.store.Now().After(h.CreatedAt.Add(u.idempotency)) { // the reservation has expired by itself
		return nil
	}
	d, version, err := records.Read[journal.Definition](ctx, u.store, journal.PlanKey(h.ExecutionID))
	if err != nil || version == 0 || d.Plan.IdempotencyKey == "" {
		return err
	}
	key := journal.IdempotencyKey(h.Principal, d.Plan.IdempotencyKey)
	reservation, version, err := records.Read[journal.Reservation](ctx, u.store, key)
	if err != nil || version == 0 || reservation.ExecutionID != h.ExecutionID {
		return err
	}
	_, err = u.store.Commit(ctx, store.Batch{Deletes: []store.Key{key}})
	return records.StoreError(err)
}
