package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// HoldChildren sets whether a unit may start a child only while the execution has none. It is not part of the state.
func (s *State) HoldChildren(hold bool) { s.holdChildren = hold }

// HoldStarts sets whether nothing may start now, as the execution has asked its parent for more. It is not part of the state.
func (s *State) HoldStarts(hold bool) { s.holdStarts = hold }

// startsChild reports whether starting the unit makes a child.
func (s *State) startsChild(unit int) bool {
	n := s.Node(unit)
	return n.Kind == plan.KindWorkflow && (n.ForEach == nil || s.IsItem(unit))
}

// ReadyChildren reports whether a unit is ready to start a child.
func (s *State) ReadyChildren() bool {
	for i := range s.readyWithoutCall.Len() {
		if unit := s.readyWithoutCall.At(i); s.Units[unit].Status == schemas.NodeReady && s.startsChild(unit) {
			return true
		}
	}
	return false
}

// nextStarts starts units that are ready. free is how many calls more may be in flight.
func (s *State) nextStarts(now time.Time) (out []Action, free int) {
	free = s.limit - s.counts.InFlight
	if s.holdStarts {
		return nil, free
	}
	s.dropStale(&s.readyWithoutCall, schemas.NodeReady)
	children := 0
	for i := 0; i < s.readyWithoutCall.Len() && len(out) < maxActions; i++ {
		unit := s.readyWithoutCall.At(i)
		if !s.startable(unit, now) {
			continue
		}
		if s.startsChild(unit) { // when it is started, the places are counted again
			if s.Places(unit) == 0 || s.holdChildren && children > 0 {
				continue
			}
			children++
		}
		out = append(out, s.startOrSkip(unit, now))
	}
	for p := range s.ready {
		q := &s.ready[p]
		s.dropStale(q, schemas.NodeReady)
		for i := 0; i < q.Len() && free > 0 && len(out) < maxActions; i++ {
			if unit := q.At(i); s.startable(unit, now) {
				out = append(out, s.startOrSkip(unit, now))
				free--
			}
		}
	}
	return out, free
}

// startable reports whether a unit is ready and its total_timeout has not passed.
func (s *State) startable(unit int, now time.Time) bool {
	u := &s.Units[unit]
	return u.Status == schemas.NodeReady && (u.TotalDue.IsZero() || now.Before(u.TotalDue) || u.Phase == units.PhaseVerify)
}

// startOrSkip starts a ready unit, or skips it if it is an item of a node that can no longer succeed.
func (s *State) startOrSkip(unit int, now time.Time) Action {
	if !s.IsItem(unit) || !s.itemsFailed(s.Units[unit].Node) {
		return s.startOrHold(unit, now)
	}
	e := s.event(schemas.EventNodeSkipped, unit)
	e.Reason = "other items failed"
	return Action{Kind: Emit, Unit: unit, Event: &e}
}

// startOrHold starts a unit, or holds it if it may have been called in commits that the store lost.
func (s *State) startOrHold(unit int, now time.Time) Action {
	if held := s.holdUnknown(unit, now); held != nil {
		return *held
	}
	return Action{Kind: Start, Unit: unit}
}
