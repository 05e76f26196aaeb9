package realm

import (
	"errors"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// notStarted is the failure of a start, and the number of the start.
type notStarted struct {
	failure *schemas.Error
	start   int
}

func (n notStarted) Error() string { return n.failure.Error() }
func (n notStarted) Unwrap() error { return n.failure }

// tell returns the error of a call from that of connected. The failure of one start is news to one call alone; the others waited for the
// same start, or came during the backoff.
func (r *realm) tell(err error) error {
	n, ok := errors.AsType[notStarted](err)
	if !ok {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.start <= r.told {
		return call.Known{Failure: n.failure}
	}
	r.told = n.start
	return n.failure
}
