package machine

import (
	"github.com/runplane/runplane/schemas"
)

// Errors lists what failed of a node that has ended: its failed items, or itself. A node that was taken from another execution has the
// list from there.
func (s *State) Errors(node int) []schemas.UnitError {
	u := &s.Units[node]
	switch {
	case u.Reason == reused:
		return u.Errors
	case u.Expanded:
		var all []schemas.UnitError
		for i := range u.Count {
			item := &s.Units[u.FirstItem+i]
			if item.Status != schemas.NodeFailed && item.Status != schemas.NodeCancelled {
				continue
			}
			all = append(all, schemas.NewUnitError(i, item.Error))
		}
		return all
	case u.Status == schemas.NodeFailed:
		return []schemas.UnitError{schemas.NewUnitError(u.Round(), u.Error)}
	}
	return nil
}
