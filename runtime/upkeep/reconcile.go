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

// The reconciler searches for open executions that need an owner and are in no queue: they have neither a wake nor a lease. There are none
// as long as every commit writes the wake that its state needs. The reconciler exists because a defect there would stop an execution
// forever, unnoticed. It wakes what it finds, counts it in Upkeep.Unqueued and logs it as an error.

// ReconcileEvery is the time between two rounds of the reconciler, of all replicas together.
const ReconcileEvery = time.Minute

// openStatuses are the statuses in which an execution may need an owner; a suspended one needs none.
var openStatuses = []schemas.Status{
	schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusCancelling, schemas.StatusCompensating,
}

// ReconcileRounds returns the rounds of the reconciler.
func (u *Upkeep) ReconcileRounds() *records.Rounds {
	page := func(ctx context.Context, part int, after string) (string, error) {
		return u.reconcilePage(ctx, openStatuses[part], after)
	}
	return &records.Rounds{Name: "pass", Every: ReconcileEvery, Parts: len(openStatuses), Page: page}
}

// reconcilePage checks one page of executions of a status, and returns where the next one begins; empty: this was the last.
func (u *Upkeep) reconcilePage(ctx context.Context, status schemas.Status, after string) (string, error) {
	page, err := u.store.List(ctx, store.Query{
		Kind: journal.KindExecution, Term: journal.TermStatus(status), After: after, Limit: records.PageSize,
	})
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

// wake wakes an execution that is in no queue, if it needs an owner. That the head was not changed since it was read is
// part of the commit: a writer that did has also set its wake.
func (u *Upkeep) wake(ctx context.Context, rec *store.Record) error {
	var h journal.Head
	if err := json.Unmarshal(rec.Value, &h); err != nil {
		u.log.Error("read the head of an execution: skipping it", "execution_id", rec.Key.ID, "error", err)
		return nil
	}
	if !needsOwner(&h) {
		return nil
	}
	_, err := u.store.Commit(ctx, store.Batch{
		Puts:  []store.Put{{Key: rec.Key, Value: rec.Value, Version: rec.Version, Terms: rec.Terms}},
		Wakes: []store.Wake{{Key: rec.Key, At: u.store.Now(), Priority: h.Priority, Fairness: h.Fairness()}},
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case err != nil:
		return err
	}
	u.Unqueued.Add(1)
	u.log.Error("an execution that needs an owner was in no queue: it was woken", "execution_id", h.ExecutionID, "status", h.Status)
	return nil
}

// needsOwner reports whether an execution has to be in a queue or to have an owner: its last commit set a wake, or something of it can
// run.
func needsOwner(h *journal.Head) bool {
	return !h.Due.IsZero() || !h.Waiting && h.Status != schemas.StatusSuspended && !h.Status.Terminal()
}
