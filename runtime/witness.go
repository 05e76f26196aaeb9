package runtime

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A store may answer what is read and refuse what is written: a Redis whose memory is full, whose disk is, or that became a
// replica. Who reads for his health would not see it, so the last refusal is remembered.

const kindHealth = "health"

// witness is a store, and the last refusal of a batch for the store's own sake.
type witness struct {
	store.Store
	refusal atomic.Pointer[refusal] // nil: the last batch was written
}

// refusal is where it was: a store may be in trouble with a part of its keys alone.
type refusal struct{ partition string }

func (w *witness) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	done, err := w.Store.Commit(ctx, b)
	if len(b.Puts) == 0 { // what only deletes and releases is taken by a full memory too
		return done, err
	}
	partition := b.Puts[0].Key.Partition()
	switch {
	case err == nil:
		if r := w.refusal.Load(); r != nil && r.partition == partition {
			w.refusal.CompareAndSwap(r, nil)
		}
	case ctx.Err() == nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrClosed):
		w.refusal.Store(&refusal{partition})
	}
	return done, err
}

// refuses says why something cannot be written; nil: it can. After a refusal it writes beside what was refused, to find out whether that is over.
func (w *witness) refuses(ctx context.Context, by string) error {
	r := w.refusal.Load()
	if r == nil {
		return nil
	}
	_, err := w.Commit(ctx, store.Batch{Puts: []store.Put{{Key: store.Key{Kind: kindHealth, ID: r.partition + "/" + by}, Version: store.AnyVersion, TTL: time.Minute}}})
	return err
}

// fault is an error of a store that says in a sentence what is wrong with its server, and what to do about it; neither holds a
// secret. The errors of store/redis are such.
type fault interface {
	error
	Says() string
	Hint() string
}

// storeTrouble is what a caller is told of a store that fails.
func storeTrouble(err error) *schemas.Error {
	f, ok := errors.AsType[fault](err)
	if !ok {
		return errStore
	}
	e := errStore.With(func(e *schemas.Error) { e.Message = "the store does not work: " + f.Says() })
	if hint := f.Hint(); hint != "" {
		e = e.WithHint("%s; for the operator: %s", errStore.Hint, hint)
	}
	return e
}

// storeCure is what an operator can do about it.
func storeCure(err error) string {
	if f, ok := errors.AsType[fault](err); ok && f.Hint() != "" {
		return f.Hint()
	}
	return "see whether the store's server and its disk are up; the log says what was wrong"
}
