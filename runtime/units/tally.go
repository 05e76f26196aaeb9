package units

import "github.com/runplane/runplane/schemas"

// Tally counts the units that a unit waits for: the dependencies of a node that has not started, or the items of a for_each node.
type Tally struct {
	Left, Succeeded, Failed int32 // those that have not ended, and how the others ended
	Released                int32 // items that were released
	Next                    int32 // index of the item to release next
}

// Ended counts one that ended with the status. It does nothing if that is not the status of a unit that has ended.
func (t *Tally) Ended(s schemas.NodeStatus) {
	if !s.Ended() {
		return
	}
	t.Left--
	switch s {
	case schemas.NodeSucceeded, schemas.NodeCompensating, schemas.NodeCompensated:
		t.Succeeded++
	case schemas.NodeFailed, schemas.NodeCancelled:
		t.Failed++
	}
}

// Decide reports whether a node with the trigger rule and so many dependencies is to start now, or can never start.
func (t *Tally) Decide(rule schemas.TriggerRule, total int) (start, never bool) {
	switch rule {
	case schemas.NoneFailed:
		return t.Left == 0 && t.Failed == 0, t.Failed > 0
	case schemas.AllDone:
		return t.Left == 0, false
	case schemas.OneSuccess:
		return t.Succeeded > 0 || total == 0, t.Left == 0 && t.Succeeded == 0
	case schemas.OneFailed:
		return t.Failed > 0 || total == 0, t.Left == 0 && t.Failed == 0
	}
	all := int32(total) // all_success
	return t.Succeeded == all, all-t.Left > t.Succeeded
}

// Active counts the items, of so many, that were released and have not ended.
func (t *Tally) Active(total int) int { return int(t.Released) - (total - int(t.Left)) }
