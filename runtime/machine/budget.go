package machine

import (
	"github.com/runplane/runplane/runtime/budget"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// Account returns what the execution may use and has used.
func (s *State) Account() *budget.Account {
	return s.Ledger.Account(schemas.Budget{
		Executions: s.ChildrenMade, Calls: int64(s.Calls), Sent: int64(s.Sent), Items: s.ItemsMade, Events: s.Seq, Bytes: s.Bytes, EvaluationMS: int64(s.EvaluatedMS),
	})
}

// Granted returns what the child of a unit is granted.
func (s *State) Granted(unit int) schemas.Budget {
	if g := s.Units[unit].Grant; g != nil {
		return *g
	}
	return schemas.Budget{}
}

// grant sets what the child of a unit is granted.
func (s *State) grant(u *units.Unit, g *schemas.Budget) {
	s.Regrant(u.Grant, g)
	u.Grant = g
}

// settle takes back what the child of a unit has not used; nil: it is given up before it has ended.
func (s *State) settle(u *units.Unit, used *schemas.Budget) {
	s.Close(u.Grant, u.Places, used)
	u.Grant, u.Places = nil, 0
}

// Places returns the number of places that the child of a unit is given now; 0: not enough are free. An execution without children always
// has enough for one.
func (s *State) Places(unit int) int {
	size := s.Node(unit).Sub.Size()
	places, ok := s.Ledger.Places(1+size.Height, 1+size.Width)
	if s.counts.Children > 0 && (!ok || s.holdChildren) {
		return 0
	}
	return places
}
