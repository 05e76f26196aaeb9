package journal

import (
	"fmt"

	"github.com/runplane/runplane/runtime/machine"
)

// ReviewID names one question: the execution, the unit that it holds, and the event that asked. The event says what was
// asked, inputs and all, so that a decision never meets another question, be it the next one of the same node.
func ReviewID(execution string, s *machine.State, unit int) string {
	return fmt.Sprintf("%s/%s/%d", execution, s.Name(unit), s.Units[unit].Asked)
}
