package records

import (
	"context"
	"time"
)

// AnswerTimeout is how long a request waits for an answer of the store that it can do without.
const AnswerTimeout = 2 * time.Second

// Timed calls ask with a timeout of AnswerTimeout, and returns how long it took.
func Timed(ctx context.Context, ask func(context.Context) error) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, AnswerTimeout)
	defer cancel()
	began := time.Now()
	err = ask(ctx)
	return time.Since(began), err
}
