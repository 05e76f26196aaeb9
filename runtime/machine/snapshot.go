package machine

import (
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Snapshot is the state as JSON, equal to a fold of the log up to Seq.
func (s *State) Snapshot() ([]byte, error) {
	b, err := schemas.Encode(s)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return b, nil
}

// Restore reads a snapshot of an execution of the program.
func Restore(p *plan.Program, snapshot []byte) (*State, error) {
	s := New(p)
	want := len(s.Units)
	s.Units = nil
	if err := json.Unmarshal(snapshot, s); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if len(s.Units) < want {
		return nil, fmt.Errorf("restore: snapshot has %d nodes, the plan %d", len(s.Units), want)
	}
	s.derive()
	return s, nil
}
