package machine

import (
	"github.com/runplane/runplane/runtime/budget"
	"github.com/runplane/runplane/schemas"
)

// What an execution and those below it may use is in package budget; this file keeps its account. How many executions below the root may be
// open at once is shared in the same way, as places; but a child never asks for more of them. It gets places for itself and for at least one
// chain of executions below it, so every execution can make one child after the other.

// SetBudget sets the limits of a root, and how many executions below it may be open at once. They are not part of the state. An execution
// that has a parent has what that one grants it.
func (s *State) SetBudget(limits schemas.Budget, places int) {
	s.limits, s.rootPlaces = &limits, places
}

// Account returns what the execution may use and has used.
func (s *State) Account() *budget.Account {
	a := &budget.Account{Limits: s.Allowance, Granted: s.granted, Used: s.Settled.Plus(schemas.Budget{
		Executions: s.ChildrenMade, Calls: int64(s.Calls), Items: s.ItemsMade, Events: s.Seq, Bytes: s.Bytes, EvaluationMS: int64(s.EvaluatedMS),
	})}
	if s.limits != nil {
		a.Root, a.Limits = true, *s.limits
	}
	return a
}

// Granted returns what the child of a unit is granted.
func (s *State) Granted(unit int) schemas.Budget {
	if g := s.Units[unit].Grant; g != nil {
		return *g
	}
	return schemas.Budget{}
}

// grant sets what the child of a unit is granted.
func (s *State) grant(u *Unit, g *schemas.Budget) {
	if u.Grant != nil {
		s.granted = s.granted.Minus(*u.Grant)
	}
	if u.Grant = g; g != nil {
		s.granted = s.granted.Plus(*g)
	}
}

// settle takes back what the child of a unit has not used. A child that is given up before it has ended counts with all that it was granted.
func (s *State) settle(u *Unit, used *schemas.Budget) {
	if used == nil {
		used = u.Grant
	}
	if used != nil {
		s.Settled = s.Settled.Plus(*used)
	}
	s.grant(u, nil)
	s.placesUsed -= u.Places
	u.Places = 0
}

// holdsChild reports whether the unit runs a child.
func (u *Unit) holdsChild() bool { return u.Child != "" && u.Status == schemas.NodeRunning }

// Places returns the number of places that the child of a unit is given now: what it can use at most, but no more than half of what is
// free, and at least what it needs; 0: so many are not free. An execution without children always has enough for one.
func (s *State) Places(unit int) int {
	size := s.Node(unit).Sub.Size()
	need, most := 1+size.Height, 1+size.Width
	free := s.OwnPlaces - 1 - s.placesUsed
	if s.limits != nil {
		free = s.rootPlaces - s.placesUsed
	}
	if s.children > 0 && (free < need || s.holdChildren) {
		return 0
	}
	return max(need, min(free/2, most))
}
