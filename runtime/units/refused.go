package units

import "github.com/runplane/runplane/schemas"

// CountRefusal counts a refusal by its code.
func (u *Unit) CountRefusal(e *schemas.Event) {
	if e.Error == nil {
		return
	}
	if u.TurnedAway == nil {
		u.TurnedAway = map[schemas.Code]int{}
	}
	u.TurnedAway[e.Error.Code]++
}

// NoteRefusal counts refusals by the realm in a row.
func (u *Unit) NoteRefusal(err *schemas.Error) {
	switch {
	case err == nil || err.RefusedBy == "" && !err.Refused():
		u.RefusedInRow = 0
	case err.RefusedBy != "":
		u.RefusedInRow++
	}
}
