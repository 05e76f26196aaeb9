package units

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// Rounds is what a unit keeps of its rounds, if its node has repeat.
type Rounds struct {
	Done    int       `json:"n,omitempty"` // rounds that have ended
	From    int       `json:"f,omitempty"` // the first round that counts: after a decision of a person the rounds before do not
	Asking  bool      `json:"a,omitempty"` // the last round has ended, and whether another one follows is to be decided
	Started time.Time `json:"s,omitzero"`  // start of the current round; zero between two
	Due     time.Time `json:"d,omitzero"`  // no round starts later; zero: no limit, or none of those that count has started
	Last    Answer    `json:"l,omitzero"`
	Before  Answer    `json:"b,omitzero"`  // of the round before the last one
	Partly  bool      `json:"g,omitempty"` // one of the answers is degraded
	Ended   int       `json:"e,omitempty"` // of a unit that has ended: the round in which it did

	// What was collected: Pieces in records of their own, each a list, and the rest, a list too.
	Pieces  []schemas.OutputRef `json:"c,omitempty"`
	Pending schemas.Value       `json:"p,omitempty"`
	Bytes   int                 `json:"z,omitempty"` // of both, about
}

// Answer is what a round gave.
type Answer struct {
	Value schemas.Value      `json:"v,omitempty"`
	Ref   *schemas.OutputRef `json:"r,omitempty"` // where it is if it is large
}

// Bytes is the size of the answer.
func (a *Answer) Bytes() int64 {
	if a.Ref != nil {
		return int64(a.Ref.Bytes)
	}
	return int64(len(a.Value))
}

// IsAsking reports whether a round of the unit has ended and what follows is to be decided.
func (u *Unit) IsAsking() bool { return u.Rounds != nil && u.Rounds.Asking }

// Round is the number of the round, from 0: the current one, or the next one, or the last one while the unit is asked what follows. Of a unit
// that has ended it is the one in which it did.
func (u *Unit) Round() int {
	r := u.Rounds
	switch {
	case r == nil:
		return 0
	case u.Status.Ended():
		return r.Ended
	}
	return r.current()
}

func (r *Rounds) current() int {
	if r.Asking {
		return r.Done - 1
	}
	return r.Done
}

// BetweenRounds reports whether a round has ended and the next one has not started.
func (u *Unit) BetweenRounds() bool {
	return u.Rounds != nil && u.Rounds.Done > u.Rounds.From && u.Rounds.Started.IsZero()
}

// BeginRound notes that an attempt starts, the first of its round or another one. No round starts later than the timeout after the first.
func (u *Unit) BeginRound(at time.Time, timeout time.Duration) {
	if u.Rounds == nil {
		u.Rounds = new(Rounds)
	}
	if u.Rounds.Started.IsZero() {
		u.Rounds.Started = at
	}
	if u.Rounds.Due.IsZero() && timeout > 0 {
		u.Rounds.Due = at.Add(timeout)
	}
}

// EndRound notes the answer of a round.
func (u *Unit) EndRound(e *schemas.Event) {
	if u.Rounds == nil {
		u.Rounds = new(Rounds)
	}
	r := u.Rounds
	r.Before, r.Last = r.Last, Answer{e.Output, e.OutputRef}
	r.Done++
	r.Asking, r.Partly, r.Started = true, r.Partly || e.Degraded, time.Time{}
	u.Child, u.Phase, u.UnknownAttempt, u.TotalDue = "", PhaseRun, 0, time.Time{}
}

// NextRound has the next round begin with all of its attempts. The event has what was collected in the last one: in its data, or in a
// record of its own together with what was pending.
func (u *Unit) NextRound(e *schemas.Event) {
	if u.Rounds == nil {
		u.Rounds = new(Rounds)
	}
	r := u.Rounds
	r.Asking = false
	u.Failures, u.RefusedInRow, u.SpentBefore, u.Verified, u.Fallback, u.Phase, u.Approved = 0, 0, 0, 0, 0, PhaseRun, false
	u.Kept, u.Error, u.Errors = nil, nil, nil
	switch {
	case e.DataRef != nil:
		r.Bytes += e.DataRef.Bytes - len(r.Pending)
		r.Pieces, r.Pending = append(r.Pieces, *e.DataRef), nil
	case len(e.Data) > 0:
		r.Bytes += len(e.Data)
		r.Pending = schemas.JoinLists(r.Pending, e.Data)
	}
}

// GoOn has the rounds continue by the decision of a person: those until now do not count.
func (u *Unit) GoOn() {
	if r := u.Rounds; r != nil {
		r.From, r.Due, r.Started, r.Asking = r.Done, time.Time{}, time.Time{}, false
	}
}

// EndRounds drops what only the next round needs.
func (u *Unit) EndRounds() {
	if u.Rounds != nil {
		u.Rounds = &Rounds{Done: u.Rounds.Done, Ended: u.Rounds.current()}
	}
}

// AttemptsSince is when the attempts began that the retry policy counts.
func (u *Unit) AttemptsSince() time.Time {
	if u.Rounds != nil && !u.Rounds.Started.IsZero() {
		return u.Rounds.Started
	}
	return u.First
}
