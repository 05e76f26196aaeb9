package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// notFoundOr returns the error of a caller that misses a record of an execution: NotFound if the execution was deleted meanwhile, else err.
func (j *Journal) notFoundOr(ctx context.Context, id string, err error) error {
	if _, _, missing := j.ReadHead(ctx, id); errors.Is(missing, &schemas.Error{Code: schemas.CodeNotFound}) {
		return missing
	}
	return err
}

// Definition is the record of an execution's plan.
type Definition struct {
	plan.Definition
	Session schemas.Value `json:"session,omitempty"` // the session's data when the execution was submitted, for expressions
}

// Load reads an execution from the store, and folds its log. It returns NotFound if there is none. The error of one that may kill the process
// matches ErrUnread.
func (j *Journal) Load(ctx context.Context, id string) (*Execution, error) {
	h, version, err := j.ReadHead(ctx, id)
	if err != nil {
		return nil, err
	}
	return j.LoadFrom(ctx, h, version)
}

// LoadFrom is Load for an execution whose head was read at that version.
func (j *Journal) LoadFrom(ctx context.Context, h Head, version int64) (*Execution, error) {
	id := h.ExecutionID
	x := j.New(id, h)
	err := j.ReadAsGuest(ctx, x, h, version)
	if errors.Is(err, store.ErrNotFound) || err == nil && x.State.Seq < h.Seq {
		err = j.notFoundOr(ctx, id, err)
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// Fold sets the state of x to what the store has: the snapshot, and the events of the log after it. h is the head as it was read, with
// its version. Caches of x are emptied.
func (j *Journal) Fold(ctx context.Context, x *Execution, h Head, version int64) error {
	x.Head = h
	program, err := j.program(ctx, x)
	if err != nil {
		return err
	}
	state := machine.New(program)
	if h.Snapshot > 0 {
		rec, err := j.store.Get(ctx, SnapshotKey(x.ID))
		if err != nil {
			return fmt.Errorf("read snapshot of %s: %w", x.ID, records.StoreError(err))
		}
		if state, err = machine.Restore(program, rec.Value); err != nil {
			return err
		}
	}
	for {
		entries, err := j.store.Log(ctx, ExecutionKey(x.ID), state.Seq, 0)
		if err != nil {
			return fmt.Errorf("read log of %s: %w", x.ID, records.StoreError(err))
		}
		for _, entry := range entries {
			var e schemas.Event
			if err := json.Unmarshal(entry.Value, &e); err != nil {
				return fmt.Errorf("read event %d of %s: %w", entry.Seq, x.ID, err)
			}
			if err := state.Apply(&e); err != nil {
				return fmt.Errorf("fold %s: %w", x.ID, err)
			}
		}
		if len(entries) == 0 {
			break
		}
	}
	state.SetUnknownRules(j.unknownRules)
	if h.ParentID == "" {
		state.SetBudget(j.limits.Tree, j.limits.MaxOpen)
	}
	x.State, x.Version = state, version
	x.made = nil
	x.DropCache()
	return nil
}

// program returns the program of x, and reads and compiles the plan if x has none yet.
func (j *Journal) program(ctx context.Context, x *Execution) (*plan.Program, error) {
	if x.Program != nil {
		return x.Program, nil
	}
	rec, err := j.store.Get(ctx, PlanKey(x.ID))
	if err != nil {
		return nil, fmt.Errorf("read plan of %s: %w", x.ID, records.StoreError(err))
	}
	var d Definition
	if err := json.Unmarshal(rec.Value, &d); err != nil {
		return nil, fmt.Errorf("read plan of %s: %w", x.ID, err)
	}
	p, err := plan.Load(d.Definition)
	if err != nil {
		return nil, fmt.Errorf("load plan of %s: %w", x.ID, err)
	}
	x.SetProgram(p, d.Session)
	return p, nil
}

// LoadFor is Load for a caller: executions of other principals do not exist, and those with very much state and log are too large.
func (j *Journal) LoadFor(ctx context.Context, id string) (*Execution, error) {
	h, err := j.HeadFor(ctx, id)
	if err == nil {
		err = j.showable(&h)
	}
	if err != nil {
		return nil, err
	}
	return j.Load(ctx, id)
}
