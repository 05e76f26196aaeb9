package journal

import "github.com/runplane/runplane/schemas"

// Commit is one commit to an execution.
type Commit struct {
	Head   *Head           // as it was committed; not to be changed
	Events []schemas.Event // of this commit, in order; none: only a wake or a lease changed
}
