package records

// Signal is a channel of one token: a goroutine that waits for it looks around once, however often it was set meanwhile. Receive from it to
// wait.
type Signal chan struct{}

// NewSignal makes a Signal that is not set.
func NewSignal() Signal { return make(chan struct{}, 1) }

// Set leaves the token, unless it is there already; it does not block.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
