package machine

import (
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// A node with cancel_others starts with the first dependency that succeeds. What then runs for it alone is dropped: units that have not
// started or wait are cancelled at once, as are children; calls in flight are stopped and waited for, at most raceGrace.

// raceGrace is how long a call that was stopped because of a race may take to end; as the grace of a cancel that names none.
const raceGrace = 10 * time.Second

// dropOthers drops the dependencies of a node that have not ended, and what only they need.
func (s *State) dropOthers(node int, at time.Time) {
	for _, d := range s.program.Nodes[node].Deps {
		s.drop(d, node, at)
	}
}

// drop drops a node that has not ended, and those that nothing needs any more without it.
func (s *State) drop(node, racer int, at time.Time) {
	u := &s.Units[node]
	if u.Status.Ended() || u.Dropped > 0 {
		return
	}
	s.dropUnit(node, racer, at)
	if u.Expanded {
		for i := range u.Count {
			item := u.FirstItem + i
			switch v := &s.Units[item]; {
			case v.Status.Ended():
			case v.Calling || v.HoldsChild():
				s.dropUnit(item, racer, at)
			default: // without an event of its own, as when its execution ends
				s.cancelUnended(item, &schemas.Event{At: at})
			}
		}
		s.recount(node)
	}
	for _, d := range s.program.Nodes[node].Deps {
		if !s.needed(d) {
			s.drop(d, racer, at)
		}
	}
}

func (s *State) dropUnit(unit, racer int, at time.Time) {
	u := &s.Units[unit]
	u.Dropped = racer + 1
	s.dropped.Push(unit)
	if u.Calling {
		u.Due, u.TotalDue, u.QueueDue = at.Add(raceGrace), time.Time{}, time.Time{}
		s.timers.Add(u.Due, unit)
	}
}

// needed reports whether a node is read by the output, or a node that may still run depends on it.
func (s *State) needed(node int) bool {
	p := &s.program.Nodes[node]
	return p.InOutput || slices.ContainsFunc(p.Dependents, func(d int) bool {
		return !s.Units[d].Status.Ended() && s.Units[d].Dropped == 0
	})
}

// Dropped reports whether the unit is no longer needed, or is an item of such a node.
func (s *State) Dropped(unit int) bool {
	return s.Units[unit].Dropped > 0 || s.IsItem(unit) && s.Units[s.Units[unit].Node].Dropped > 0
}

// WhyDropped is the reason of the cancel of a dropped unit.
func (s *State) WhyDropped(unit int) *schemas.Error {
	return schemas.Errorf(schemas.CodeCancelled, "node %q has started with another of its dependencies (cancel_others)",
		s.program.Nodes[s.Units[unit].Dropped-1].ID)
}

// cancelDropped returns the ends of dropped units that have no call in flight.
func (s *State) cancelDropped() (out []Action) {
	for s.dropped.Len() > 0 && s.Units[s.dropped.At(0)].Status.Ended() {
		s.dropped.Pop()
	}
	for i := 0; i < s.dropped.Len() && len(out) < maxActions; i++ {
		unit := s.dropped.At(i)
		u := &s.Units[unit]
		if u.Status.Ended() || u.Calling || u.Expanded && s.itemsActive(unit) {
			continue
		}
		e := s.event(schemas.EventNodeCancelled, unit)
		if e.Error = s.WhyDropped(unit); u.Error != nil && u.Error.Outcome == schemas.Unknown {
			e.Error = u.Error // its outcome stays unknown
		}
		out = append(out, Action{Kind: Emit, Unit: unit, Event: &e})
	}
	return out
}

// itemsActive reports whether an item of a dropped for_each node has not ended.
func (s *State) itemsActive(node int) bool {
	u := &s.Units[node]
	return slices.ContainsFunc(s.Units[u.FirstItem:u.FirstItem+u.Count], func(item units.Unit) bool { return !item.Status.Ended() })
}
