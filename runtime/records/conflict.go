package records

import (
	"errors"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// MaxConflicts is how often a step is tried before it gives up; each conflict means that another writer made progress.
const MaxConflicts = 100

// RetryOnConflict calls try, which reads, decides and writes, until its error is not a store.ErrConflict, and returns that error. After
// MaxConflicts tries it returns an error with code conflict that is retryable.
func (s *Store) RetryOnConflict(try func() error) error {
	for n := range MaxConflicts {
		if err := try(); !errors.Is(err, store.ErrConflict) {
			return err
		}
		if n >= 8 { // many writers: spread them in time
			time.Sleep(time.Duration(s.random() * float64(n) * float64(time.Millisecond)))
		}
	}
	return schemas.Errorf(schemas.CodeConflict, "too many writers change this at the same time").WithHint("try again").
		With(func(e *schemas.Error) { e.Retryable = true })
}
