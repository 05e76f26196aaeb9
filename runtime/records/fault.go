package records

import (
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// StoreError turns an error of the store into an error for callers: it wraps ErrUnavailable, and keeps err in the chain for the log. It returns
// nil, store.ErrConflict, store.ErrInvalid and store.ErrNotFound unchanged: a conflict is for the caller to decide. A request that no
// store accepts, or a record that is missing although another one names it, is a defect, and trying again would not help.
func StoreError(err error) error {
	for _, unchanged := range []error{nil, store.ErrConflict, store.ErrInvalid, store.ErrNotFound} {
		if errors.Is(err, unchanged) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", Describe(err), err)
}

// ErrUnavailable is in the chain of the error of a store that does not answer.
var ErrUnavailable = schemas.Errorf(schemas.CodeUnavailable, "the store does not answer").WithRetryAfter(2 * time.Second).
	WithHint("nothing was lost that was acknowledged; try again shortly")

// fault is an error of a store that says in a sentence what is wrong with its server, and what to do about it; neither contains a
// secret. The errors of store/redis and store/bolt implement it.
type fault interface {
	error
	Message() string
	Hint() string
}

// Describe returns what callers are shown of an error of the store: Unavailable, with the store's own message and hint where it has them.
func Describe(err error) *schemas.Error {
	f, ok := errors.AsType[fault](err)
	if !ok {
		return ErrUnavailable
	}
	e := ErrUnavailable.With(func(e *schemas.Error) { e.Message = "the store does not work: " + f.Message() })
	if Lasting(err) {
		e.RetryAfterSeconds, e.Retryable = 0, false
		return e.WithHint("for the operator: %s", f.Hint())
	}
	if hint := f.Hint(); hint != "" {
		e = e.WithHint("%s; for the operator: %s", ErrUnavailable.Hint, hint)
	}
	return e
}

// Lasting reports whether an error of the store is one that does not end by itself, such as a damaged file: trying again does not help.
func Lasting(err error) bool {
	l, ok := errors.AsType[interface {
		error
		Lasting() bool
	}](err)
	return ok && l.Lasting()
}

// Cure returns what an operator can do about an error of the store.
func Cure(err error) string {
	if f, ok := errors.AsType[fault](err); ok && f.Hint() != "" {
		return f.Hint()
	}
	return "see whether the store's server and its disk are up; the log says what was wrong"
}
