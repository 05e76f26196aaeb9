package records

// Signal is a channel of one token, which wakes one goroutine once, however often it was set meanwhile. Receive from it to wait.
type Signal chan struct{}

// NewSignal returns a Signal that is not set.
func NewSignal() Signal { return make(chan struct{}, 1) }

// Set sets the signal, unless it is set already. It does not block.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
