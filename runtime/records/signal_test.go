package records

import "testing"

func TestSignalSetTwiceIsReceivedOnce(t *testing.T) {
	s := NewSignal()
	if len(s) != 0 {
		t.Error("a new signal is set")
	}
	s.Set()
	s.Set() // does not block
	<-s
	select {
	case <-s:
		t.Error("it was received twice")
	default:
	}
	s.Set()
	<-s
}
