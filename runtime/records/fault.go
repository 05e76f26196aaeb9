package records

import (
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Error is what a caller sees of a store that fails; the cause stays in the chain for the log. A conflict is for the caller
// to decide. A request that no store takes, or a record that is missing though another one names it, is a defect: trying
// again would change nothing.
func Error(err error) error {
	for _, unchanged := range []error{nil, store.ErrConflict, store.ErrInvalid, store.ErrNotFound} {
		if errors.Is(err, unchanged) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", Describe(err), err)
}

var Unavailable = schemas.Errorf(schemas.CodeUnavailable, "the store does not answer").WithRetryAfter(2 * time.Second).
	WithHint("nothing was lost that was acknowledged; try again shortly")

// fault is an error of a store that says in a sentence what is wrong with its server, and what to do about it; neither holds a
// secret. The errors of store/redis are such.
type fault interface {
	error
	Says() string
	Hint() string
}

// Trouble is what a caller is told of a store that fails.
func Describe(err error) *schemas.Error {
	f, ok := errors.AsType[fault](err)
	if !ok {
		return Unavailable
	}
	e := Unavailable.With(func(e *schemas.Error) { e.Message = "the store does not work: " + f.Says() })
	if hint := f.Hint(); hint != "" {
		e = e.WithHint("%s; for the operator: %s", Unavailable.Hint, hint)
	}
	return e
}

// Cure is what an operator can do about it.
func Cure(err error) string {
	if f, ok := errors.AsType[fault](err); ok && f.Hint() != "" {
		return f.Hint()
	}
	return "see whether the store's server and its disk are up; the log says what was wrong"
}
