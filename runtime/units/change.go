package units

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// What follows is what events change in the record of their unit alone. Its status has changed before.

// TakeResult stores what the unit produced.
func (u *Unit) TakeResult(e *schemas.Event) {
	u.TextRef, u.Content, u.ContentRef, u.Blocks = e.TextRef, e.Content, e.ContentRef, e.Blocks
	u.Output, u.Text, u.OutputRef, u.ServedBy, u.Degraded = e.Output, e.Text, e.OutputRef, e.ServedBy, e.Degraded
	u.Age, u.Notes, u.Error, u.MayRunUntil = e.AgeSeconds, e.Notes, nil, time.Time{}
	u.CallMS += e.DurationMS
	u.NoteFirst(e.At)
}

// TakeRound stores what a round of the unit produced. collects: the rounds add to one output.
func (u *Unit) TakeRound(e *schemas.Event, collects bool) {
	u.Text, u.TextRef, u.ServedBy, u.Age, u.Notes = e.Text, e.TextRef, e.ServedBy, e.AgeSeconds, e.Notes
	u.Content, u.ContentRef, u.Blocks, u.Degraded, u.Error, u.MayRunUntil = e.Content, e.ContentRef, e.Blocks, e.Degraded, nil, time.Time{}
	if collects {
		u.Degraded = u.Rounds.Partly
	}
	u.CallMS += e.DurationMS
	u.Deaths = 0
	u.NoteFirst(e.At)
}

// NoteFirst notes the first start of the unit.
func (u *Unit) NoteFirst(at time.Time) {
	if u.First.IsZero() {
		u.First = at
	}
}

// FallBack has the unit continue with the next entry of its fallback list, which has a total_timeout and attempts of its own.
func (u *Unit) FallBack(e *schemas.Event) {
	u.Fallback, u.Failures, u.RefusedInRow, u.Phase, u.Error, u.UnknownAttempt = e.Fallback, 0, 0, PhaseRun, e.Error, 0
	u.Errors = append(u.Errors[:len(u.Errors):len(u.Errors)], schemas.NewUnitError(u.Item+u.Round(), e.Error))
	u.Approved = false // the approval was of another call
	u.TotalDue = time.Time{}
	u.CallMS += e.DurationMS
}

// BeginVerify has the attempts counted that verify the call of the event.
func (u *Unit) BeginVerify(e *schemas.Event) {
	u.Failures, u.RefusedInRow, u.SpentBefore, u.Error, u.UnknownAttempt, u.Verified = 0, 0, u.Failures+1, e.Error, e.Attempt, 0
	u.CallMS += e.DurationMS
}

// EndVerify has the attempts of the call itself counted again, of which spent have failed.
func (u *Unit) EndVerify(spent int) {
	u.Failures, u.RefusedInRow, u.SpentBefore = spent, 0, 0
}

// Restart has an item that did not succeed run again with its node.
func (u *Unit) Restart(at time.Time) {
	u.Status, u.Since, u.Ended, u.EndSeq, u.Error, u.Reason = schemas.NodePending, at, time.Time{}, 0, nil, ""
	u.Reset()
}

// CancelUnended has the unit end because its execution has ended.
func (u *Unit) CancelUnended(at time.Time) {
	u.Status, u.Since, u.Ended, u.Calling = schemas.NodeCancelled, at, at, false
	u.ChildSuspended = false
	u.EndRounds()
	u.Due, u.TotalDue, u.QueueDue, u.Reason, u.Question, u.Asked = time.Time{}, time.Time{}, time.Time{}, "", "", 0
}
