package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A process may also die while it reads an execution, if the snapshot and the log are large and memory is small. The head says how large they
// are. Before its owner reads one that is large it marks the head, in a commit of its own, and works on it alone until the next commit, which
// removes the mark. So when a process dies, at most one execution has such a mark; that one is held before it is read again (unread.go).

// fold sets the state of x to what the store has. It returns store.ErrConflict if the head has changed meanwhile.
func (r *Engine) fold(ctx context.Context, x *execution, h journal.Head, version int64) error {
	found := h.Evaluating
	mine := found != nil && found.Worker == r.worker
	switch {
	case x.lease == nil:
		return r.journal.ReadAsGuest(ctx, x.Execution, h, version)
	case h.Unread, found != nil && found.Reading && !mine: // only an owner marks so, and removes the mark before it releases the lease
		return r.holdUnread(ctx, x, h, version)
	case !r.journal.IsLarge(&h, x.died):
		return r.journal.Fold(ctx, x.Execution, h, version)
	}
	left := found
	if mine {
		left = found.Left
	}
	h.Evaluating = left
	x.Head = h // for unmark
	if err := r.workAlone(ctx, x); err != nil {
		return err
	}
	if !mine || !found.Reading {
		marked := h
		marked.Evaluating = &journal.Mark{Worker: r.worker, Reading: true, Left: left}
		value, err := schemas.Encode(&marked)
		if err != nil {
			return err
		}
		done, err := r.store.Commit(ctx, store.Batch{
			Puts: []store.Put{{Key: journal.ExecutionKey(x.ID), Value: value, Version: version, Terms: h.Terms()}}, Sync: true,
		})
		if errors.Is(err, store.ErrConflict) {
			return err
		}
		x.marked = true // perhaps
		if err != nil {
			return records.StoreError(err)
		}
		version = done.Versions[0]
	}
	return r.journal.ReadLarge(ctx, x.Execution, h, version)
}

// workAlone waits until no other owner works on an execution that may kill the process.
func (r *Engine) workAlone(ctx context.Context, x *execution) error {
	if !x.alone {
		if err := r.alone.Acquire(ctx, 1); err != nil {
			return fmt.Errorf("read %s: %w", x.ID, context.Cause(ctx))
		}
		x.alone = true
	}
	return nil
}

// endAlone follows a commit, or its failure.
func (r *Engine) endAlone(x *execution) {
	if x.alone {
		x.alone = false
		r.alone.Release(1)
	}
}
