package journal

import (
	"context"

	"github.com/runplane/runplane/schemas"
)

// Commit is one commit to an execution.
type Commit struct {
	Runner
	Head   *Head           // as it was committed; not to be changed
	Events []schemas.Event // of this commit, in order; none: only a wake or a lease changed
}

// Runner runs what follows a commit and may block.
type Runner interface {
	// Background runs f and does not wait for it. ctx ends with the last commits of this process; its Run waits for f.
	Background(f func(ctx context.Context))
}
