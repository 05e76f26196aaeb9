package records

import (
	"errors"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// MaxConflicts is how often a step is decided anew before it gives up; each conflict means that somebody else made progress.
const MaxConflicts = 100

// RetryOnConflict tries a read-decide-write until nobody else was faster. An error that is no store.ErrConflict ends it.
func (s *Store) RetryOnConflict(try func() error) error {
	for n := range MaxConflicts {
		if err := try(); !errors.Is(err, store.ErrConflict) {
			return err
		}
		if n >= 8 { // a crowd: let it thin out
			time.Sleep(time.Duration(s.random() * float64(n) * float64(time.Millisecond)))
		}
	}
	return schemas.Errorf(schemas.CodeConflict, "too many others change this at the same time").WithHint("try again").With(func(e *schemas.Error) { e.Retryable = true })
}
