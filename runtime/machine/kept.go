package machine

import "github.com/runplane/runplane/schemas"

// Kept is the inputs of one of the calls that a unit may make: its own, or one of its fallback list.
type Kept struct {
	Of      int                `json:"of,omitempty"` // the call, as in Unit.Fallback
	Inputs  schemas.Object     `json:"in,omitempty"`
	Ref     *schemas.OutputRef `json:"ref,omitempty"` // where they are if they are large
	Changed bool               `json:"mnd,omitempty"` // a person changed them
}

// KeptInputs is the kept inputs of the unit's next attempt; nil: evaluate those of the plan.
func (s *State) KeptInputs(unit int) *Kept {
	if u := &s.Units[unit]; u.Phase == PhaseRun {
		return u.kept(u.Fallback)
	}
	return nil
}

// keepInputs keeps the inputs in the event, of the plan or of a person, for the following attempts.
func (u *Unit) keepInputs(e *schemas.Event, changed bool) {
	if len(e.Data) > 0 || e.DataRef != nil {
		u.keep(Kept{Of: u.Fallback, Inputs: schemas.Object(e.Data), Ref: e.DataRef, Changed: changed})
	}
}

// keep replaces what was kept for the same call. Once a person has changed the inputs, Changed stays set.
func (u *Unit) keep(k Kept) {
	if old := u.kept(k.Of); old != nil {
		k.Changed = k.Changed || old.Changed
		*old = k
		return
	}
	u.Kept = append(u.Kept, k)
}

// kept is the kept inputs of a call of the unit; nil: none.
func (u *Unit) kept(of int) *Kept {
	for i := range u.Kept {
		if u.Kept[i].Of == of {
			return &u.Kept[i]
		}
	}
	return nil
}
