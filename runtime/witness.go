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

// witness is a store, and the last refusal of a batch for the store's own sake.
type witness struct {
	store.Store
	refusal atomic.Pointer[error] // nil: the last batch was written
}

func (w *witness) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	done, err := w.Store.Commit(ctx, b)
	switch {
	case err == nil:
		if len(b.Puts) > 0 && w.refusal.Load() != nil { // what only deletes and releases is taken by a full memory too
			w.refusal.Store(nil)
		}
	case ctx.Err() == nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrClosed):
		w.refusal.Store(&err)
	}
	return done, err
}

// refuses says why nothing can be written; nil: something can. After a refusal it writes to find out whether that is over.
func (w *witness) refuses(ctx context.Context, by string) error {
	if w.refusal.Load() == nil {
		return nil
	}
	_, err := w.Commit(ctx, store.Batch{Puts: []store.Put{{Key: store.Key{Kind: kindHealth, ID: by}, Version: store.AnyVersion, TTL: time.Minute}}})
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
