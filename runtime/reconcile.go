package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The reconciler looks for open executions that need an owner and stand in no queue: no wake, no lease. There are none as long as every
// commit writes the wake that its state needs; it exists because a defect there would leave an execution standing for ever, with
// nobody to tell. What it finds is woken, counted in Counters.Unqueued and logged as an error.
//
// All replicas share its passes: who takes the pass writes its time and place into one record, by its version.

const (
	reconcileEvery = time.Minute // one pass of all replicas together
	reconcilePages = 50          // of one pass; the next one goes on behind them
	kindReconcile  = "reconcile"
)

// openStatuses are those in which an execution may need an owner; a suspended one needs none.
var openStatuses = []schemas.Status{
	schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusCancelling, schemas.StatusCompensating,
}

// pass is the record that the replicas share: when the last pass began, and where the next one goes on.
type pass struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Status int       `json:"status"` // of openStatuses
	After  string    `json:"after"`
}

var passKey = store.Key{Kind: kindReconcile, ID: "pass"}

// reconcile makes passes until ctx ends.
func (r *Runtime) reconcile(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration((0.75 + r.random()/2) * float64(reconcileEvery))):
		}
		if err := r.reconcileOnce(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("look for executions in no queue: trying again", "error", err)
		}
	}
}

// reconcileOnce makes one pass, unless another replica has just done it.
func (r *Runtime) reconcileOnce(ctx context.Context) error {
	var p pass
	rec, err := r.store.Get(ctx, passKey)
	if err == nil {
		err = json.Unmarshal(rec.Value, &p)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	now := r.now()
	if since := now.Sub(p.At); since >= 0 && since < reconcileEvery*3/4 {
		return nil
	}
	p.At, p.By = now, r.worker
	version, err := r.putPass(ctx, p, rec.Version)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	for range reconcilePages {
		if p.Status >= len(openStatuses) {
			p.Status, p.After = 0, ""
			break
		}
		if p.After, err = r.reconcilePage(ctx, openStatuses[p.Status], p.After); err != nil {
			return err
		}
		if p.After == "" {
			p.Status++
		}
	}
	if _, err = r.putPass(ctx, p, version); errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

func (r *Runtime) putPass(ctx context.Context, p pass, version int64) (int64, error) {
	value, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	done, err := r.store.Commit(ctx, store.Batch{Puts: []store.Put{{Key: passKey, Value: value, Version: version}}})
	if err != nil {
		return 0, err
	}
	return done.Versions[0], nil
}

// reconcilePage looks at one page of executions of a status, and returns where the next one begins; empty: this was the last.
func (r *Runtime) reconcilePage(ctx context.Context, status schemas.Status, after string) (string, error) {
	records, err := r.store.List(ctx, store.Query{Kind: kindExecution, Term: "status=" + string(status), After: after, Limit: maxList})
	if err != nil || len(records) == 0 {
		return "", err
	}
	keys := make([]store.Key, len(records))
	for i := range records {
		keys[i] = records[i].Key
	}
	places, err := r.store.Places(ctx, keys)
	if err != nil {
		return "", err
	}
	for i := range records {
		if places[i].Wake == nil && places[i].Lease == nil {
			if err := r.rescue(ctx, &records[i]); err != nil {
				return "", err
			}
		}
	}
	if len(records) < maxList {
		return "", nil
	}
	return records[len(records)-1].Key.ID, nil
}

// rescue wakes an execution that stands in no queue, if it needs an owner. That nobody has changed it since it was read is
// part of the commit: who did has also set its wake.
func (r *Runtime) rescue(ctx context.Context, rec *store.Record) error {
	var h head
	if err := json.Unmarshal(rec.Value, &h); err != nil {
		r.log.Error("read head", "execution_id", rec.Key.ID, "error", err)
		return nil
	}
	if !h.needsOwner() {
		return nil
	}
	_, err := r.store.Commit(ctx, store.Batch{
		Puts:  []store.Put{{Key: rec.Key, Value: rec.Value, Version: rec.Version, Terms: rec.Terms}},
		Wakes: []store.Wake{{Key: rec.Key, At: r.now(), Priority: h.Priority, Fairness: h.fairness()}},
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case err != nil:
		return err
	}
	r.counters.unqueued.Add(1)
	r.log.Error("an execution that needs an owner stood in no queue: it was woken", "execution_id", h.ExecutionID, "status", h.Status)
	return nil
}

// needsOwner tells whether the execution has to be in a queue or to be owned: its last commit said when it is due, or
// something of it can run.
func (h *head) needsOwner() bool {
	return !h.Due.IsZero() || !h.Waiting && h.Status != schemas.StatusSuspended && !h.Status.Terminal()
}
