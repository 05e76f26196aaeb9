package records

import (
	"context"
	"time"
)

// Patience is how long a request waits for the store's answer where it can do without.
const AnswerTimeout = 2 * time.Second

// Timed asks the store something within storeWait and tells how long that took.
func Timed(ctx context.Context, question func(context.Context) error) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, AnswerTimeout)
	defer cancel()
	began := time.Now()
	err = question(ctx)
	return time.Since(began), err
}
