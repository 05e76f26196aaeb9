package journal

import (
	"fmt"

	"github.com/runplane/runplane/runtime/machine"
)

// ReviewID returns the id of a review: the execution, the unit that it holds, and the sequence number of the event that asked. The event
// says what was asked, with the inputs, so that a decision is never taken for another question, such as the next one of the same node.
func ReviewID(execution string, s *machine.State, unit int) string {
	return fmt.Sprintf("%s/%s/%d", execution, s.Name(unit), s.Units[unit].Asked)
}
