package units

import "github.com/runplane/runplane/schemas"

// Kept is the inputs of one of the calls that a unit may make: its own, or one of its fallback list.
type Kept struct {
	Of      int                `json:"of,omitempty"` // the call, as in Unit.Fallback
	Inputs  schemas.Object     `json:"in,omitempty"`
	Ref     *schemas.OutputRef `json:"ref,omitempty"` // where they are if they are large
	Changed bool               `json:"mnd,omitempty"` // a person changed them
}

// KeepInputs keeps the inputs in the event, of the plan or of a person, for the following attempts.
func (u *Unit) KeepInputs(e *schemas.Event, changed bool) {
	if len(e.Data) > 0 || e.DataRef != nil {
		u.Keep(Kept{Of: u.Fallback, Inputs: schemas.Object(e.Data), Ref: e.DataRef, Changed: changed})
	}
}

// Keep replaces what was kept for the same call. Once a person has changed the inputs, Changed stays set.
func (u *Unit) Keep(k Kept) {
	if old := u.KeptOf(k.Of); old != nil {
		k.Changed = k.Changed || old.Changed
		*old = k
		return
	}
	u.Kept = append(u.Kept, k)
}

// KeptOf is the kept inputs of a call of the unit; nil: none.
func (u *Unit) KeptOf(of int) *Kept {
	for i := range u.Kept {
		if u.Kept[i].Of == of {
			return &u.Kept[i]
		}
	}
	return nil
}
