package machine

import (
	"slices"

	"github.com/runplane/runplane/schemas"
)

// Await is a unit that waits for a state.
type Await struct {
	Unit  int
	State schemas.StateName
}

// AwaitsState reports whether a unit waits for a state while the execution is running.
func (s *State) AwaitsState() bool { return len(s.awaiting) > 0 && s.Status == schemas.StatusRunning }

// Awaiting lists the units that wait for a state, in order, while the execution is running.
func (s *State) Awaiting() []Await {
	if !s.AwaitsState() {
		return nil
	}
	list := make([]Await, 0, len(s.awaiting))
	for _, unit := range s.awaiting {
		if name := s.Units[unit].Awaits; name != nil {
			list = append(list, Await{unit, *name})
		}
	}
	return list
}

// updateAwaiting adds a unit to the sorted list of units that wait for a state, or with -1 removes it.
func (s *State) updateAwaiting(unit, by int) {
	switch at, found := slices.BinarySearch(s.awaiting, unit); {
	case by > 0 && !found:
		s.awaiting = slices.Insert(s.awaiting, at, unit)
	case by < 0 && found:
		s.awaiting = slices.Delete(s.awaiting, at, at+1)
	}
}
