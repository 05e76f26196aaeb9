package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The reconciler looks for open executions that need an owner and stand in no queue: no wake, no lease. There are none as long as every
// commit writes the wake that its state needs; it exists because a defect there would leave an execution standing for ever, with
// nobody to tell. What it finds is woken, counted in Counters.Unqueued and logged as an error.

const ReconcileEvery = time.Minute // one pass of all replicas together

// openStatuses are those in which an execution may need an owner; a suspended one needs none.
var openStatuses = []schemas.Status{
	schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusCancelling, schemas.StatusCompensating,
}

// ReconcileRounds are the rounds of the reconciler.
func (u *Upkeep) ReconcileRounds() *records.Rounds {
	return &records.Rounds{Name: "pass", Every: ReconcileEvery, Parts: len(openStatuses), Page: func(ctx context.Context, part int, after string) (string, error) {
		return u.reconcilePage(ctx, openStatuses[part], after)
	}}
}

// reconcilePage looks at one page of executions of a status, and returns where the next one begins; empty: this was the last.
func (u *Upkeep) reconcilePage(ctx context.Context, status schemas.Status, after string) (string, error) {
	page, err := u.store.List(ctx, store.Query{Kind: journal.KindExecution, Term: "status=" + string(status), After: after, Limit: records.PageSize})
	if err != nil || len(page) == 0 {
		return "", err
	}
	keys := make([]store.Key, len(page))
	for i := range page {
		keys[i] = page[i].Key
	}
	places, err := u.store.Places(ctx, keys)
	if err != nil {
		return "", err
	}
	for i := range page {
		if places[i].Wake == nil && places[i].Lease == nil {
			if err := u.wake(ctx, &page[i]); err != nil {
				return "", err
			}
		}
	}
	if len(page) < records.PageSize {
		return "", nil
	}
	return page[len(page)-1].Key.ID, nil
}

// wake wakes an execution that stands in no queue, if it needs an owner. That nobody has changed it since it was read is
// part of the commit: who did has also set its wake.
func (u *Upkeep) wake(ctx context.Context, rec *store.Record) error {
	var h journal.Head
	if err := json.Unmarshal(rec.Value, &h); err != nil {
		u.log.Error("read head", "execution_id", rec.Key.ID, "error", err)
		return nil
	}
	if !needsOwner(&h) {
		return nil
	}
	_, err := u.store.Commit(ctx, store.Batch{
		Puts:  []store.Put{{Key: rec.Key, Value: rec.Value, Version: rec.Version, Terms: rec.Terms}},
		Wakes: []store.Wake{{Key: rec.Key, At: records.Now(), Priority: h.Priority, Fairness: h.Fairness()}},
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case err != nil:
		return err
	}
	u.Unqueued.Add(1)
	u.log.Error("an execution that needs an owner stood in no queue: it was woken", "execution_id", h.ExecutionID, "status", h.Status)
	return nil
}

// needsOwner tells whether the execution has to be in a queue or to be owned: its last commit said when it is due, or
// something of it can run.
func needsOwner(h *journal.Head) bool {
	return !h.Due.IsZero() || !h.Waiting && h.Status != schemas.StatusSuspended && !h.Status.Terminal()
}
