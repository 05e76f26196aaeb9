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

// Awaits tells whether a unit waits for a state, and the execution can go on.
func (s *State) Awaits() bool { return len(s.awaiting) > 0 && s.Status == schemas.StatusRunning }

// Awaiting lists the units that wait for a state, in their order, while the execution can go on.
func (s *State) Awaiting() []Await {
	if !s.Awaits() {
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

// await keeps the list of units that wait for a state, in order.
func (s *State) await(unit, by int) {
	switch at, there := slices.BinarySearch(s.awaiting, unit); {
	case by > 0 && !there:
		s.awaiting = slices.Insert(s.awaiting, at, unit)
	case by < 0 && there:
		s.awaiting = slices.Delete(s.awaiting, at, at+1)
	}
}
