package units

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// Unit is one node of an execution, or one item of a for_each node.
type Unit struct {
	Status         schemas.NodeStatus  `json:"s"`
	Node           int                 `json:"n,omitempty"`  // of an item: its node
	Item           int                 `json:"i,omitempty"`  // of an item: its index
	Calling        bool                `json:"c,omitempty"`  // a call is in flight
	Attempts       int                 `json:"a,omitempty"`  // started, in all
	Refused        int                 `json:"rf,omitempty"` // of those, refused before they were sent
	RefusedInRow   int                 `json:"rr,omitempty"` // refusals of the current call by its realm since anything else happened to it
	Failures       int                 `json:"f,omitempty"`  // failed attempts of the current call
	SpentBefore    int                 `json:"fs,omitempty"` // while it is verified: failed attempts of its own call, including the unknown one
	UnknownAttempt int                 `json:"d,omitempty"`  // the attempt of unknown outcome without a decision; 0: none
	UnknownSince   time.Time           `json:"du,omitzero"`  // when that attempt started; zero in snapshots of earlier versions
	MayRunUntil    time.Time           `json:"mr,omitzero"`  // until when that attempt, or the last one of unknown outcome, may still run
	Verified       int                 `json:"vf,omitempty"` // how often its verification found that it did not happen, while it may have been running
	Deaths         int                 `json:"dd,omitempty"` // how many workers in a row died while its call was in flight
	Phase          Phase               `json:"p,omitempty"`
	Fallback       int                 `json:"fb,omitempty"` // entry of the fallback list that is called, from 1
	Approved       bool                `json:"ok,omitempty"` // a person approved the call
	First          time.Time           `json:"t0,omitzero"`  // first start
	Since          time.Time           `json:"t,omitzero"`   // last change of status
	Ended          time.Time           `json:"t1,omitzero"`
	EndSeq         int64               `json:"q,omitempty"`    // event that ended it
	Due            time.Time           `json:"due,omitzero"`   // of a timer, a review, a wait for an event, a backoff
	TotalDue       time.Time           `json:"total,omitzero"` // when total_timeout is over
	QueueDue       time.Time           `json:"queue,omitzero"` // when queue_timeout is over
	Queued         time.Time           `json:"tq,omitzero"`    // since when it has waited to be called, including refusals
	Reason         string              `json:"r,omitempty"`    // why it is held or was skipped
	Question       string              `json:"ask,omitempty"`
	Dropped        int                 `json:"dr,omitempty"`  // it is not needed any more since this node started, from 1; see cancel_others
	Asked          int64               `json:"aq,omitempty"`  // while a review holds it: the event that asked
	Signal         int                 `json:"sig,omitempty"` // of a wait_for: its signal, from 1
	Awaits         *schemas.StateName  `json:"aw,omitempty"`  // of a wait_for: the state
	Child          string              `json:"x,omitempty"`   // of a workflow: the execution that runs it
	ChildSuspended bool                `json:"z,omitempty"`   // and that execution is known to be suspended because this one is to be
	Grant          *schemas.Budget     `json:"g,omitempty"`   // what it is granted, while it is open
	Places         int                 `json:"pl,omitempty"`  // the places that it holds
	Kept           []Kept              `json:"in,omitempty"`  // inputs that its calls send instead of evaluating the expressions again
	Definition     string              `json:"def,omitempty"` // hash of the definition of its own capability that a person accepted
	Effect         schemas.Effect      `json:"eff,omitempty"` // of that definition
	Output         schemas.Value       `json:"out,omitempty"`
	Text           string              `json:"txt,omitempty"`
	TextRef        *schemas.OutputRef  `json:"txr,omitempty"`
	OutputRef      *schemas.OutputRef  `json:"ref,omitempty"`
	Content        schemas.Value       `json:"ct,omitempty"` // content blocks of the answer that do not follow from output and text
	ContentRef     *schemas.OutputRef  `json:"ctr,omitempty"`
	Blocks         bool                `json:"bl,omitempty"` // the output is the list of content blocks
	Error          *schemas.Error      `json:"err,omitempty"`
	Errors         []schemas.UnitError `json:"es,omitempty"` // why it fell back; of a node from another execution: what failed there
	ServedBy       string              `json:"by,omitempty"`
	Degraded       bool                `json:"deg,omitempty"`
	Age            float64             `json:"age,omitempty"` // of an answer that was kept, in seconds
	Notes          []string            `json:"nt,omitempty"`  // what was repaired in the answer
	CallMS         float64             `json:"ms,omitempty"`

	// Of a for_each node that was expanded: it has Count items in Units, starting at FirstItem.
	Expanded  bool `json:"e,omitempty"`
	FirstItem int  `json:"e0,omitempty"`
	Count     int  `json:"en,omitempty"`

	// The list of a for_each node, if evaluating it again could give another one; ListRef if it is large.
	List    schemas.Value      `json:"l,omitempty"`
	ListRef *schemas.OutputRef `json:"lr,omitempty"`

	TurnedAway map[schemas.Code]int `json:"ta,omitempty"` // number of refused calls, by code

	Rounds *Rounds `json:"rd,omitempty"` // of a node with repeat, once it has started

	// What follows is derived from the other units and from the queues.
	Tally       Tally `json:"-"`
	Unstartable bool  `json:"-"` // is in the queue of units whose trigger rule cannot be met
	InQueue     bool  `json:"-"` // is in a queue of ready units, perhaps from an earlier attempt
	Joined      bool  `json:"-"` // is in the queue of for_each nodes whose outcome is decided
}

// Phase is what a unit's calls are for.
type Phase string

const (
	// PhaseRun: the node's own call, or a fallback's. It is the zero value.
	PhaseRun Phase = ""
	// PhaseVerify: the call that determines whether a once call of unknown outcome happened.
	PhaseVerify Phase = "verify"
	// PhaseUndo: the compensation.
	PhaseUndo Phase = "undo"
	// PhaseUndone: the compensation has ended, with or without success.
	PhaseUndone Phase = "undone"
)

// Patched is the reason of a unit that a person ended.
const Patched = "patched"

// ByPerson reports whether a person gave the output of the unit, or skipped it.
func (u *Unit) ByPerson() bool { return u.Reason == Patched && u.Status.Ended() }

// CallsMade is the number of attempts that were sent to a realm.
func (u *Unit) CallsMade() int { return u.Attempts - u.Refused }

// Bytes is the size of the unit's output.
func (u *Unit) Bytes() int64 {
	if u.OutputRef != nil {
		return int64(u.OutputRef.Bytes)
	}
	return int64(len(u.Output))
}

// ContentBytes is the size of the content blocks that are kept beside the unit's output.
func (u *Unit) ContentBytes() int64 {
	if u.ContentRef != nil {
		return int64(u.ContentRef.Bytes)
	}
	return int64(len(u.Content))
}

// Reset has a unit start over, with its own call and all of its retries.
func (u *Unit) Reset() {
	u.Approved = u.Approved && u.Fallback == 0
	u.Failures, u.RefusedInRow, u.Fallback, u.Phase, u.TotalDue, u.First, u.UnknownAttempt = 0, 0, 0, PhaseRun, time.Time{}, time.Time{}, 0
	u.Errors = nil
}

// Reviewed reports whether the unit is held for a review; a rejection ends it.
func (u *Unit) Reviewed() bool {
	return u.Status == schemas.NodeHeld && u.Reason == schemas.ReasonReview
}

// AnyReviewed reports whether a unit is held for a review, which continues by itself while the execution waits.
func AnyReviewed(list []Unit) bool {
	for i := range list {
		if list[i].Reviewed() {
			return true
		}
	}
	return false
}

// HoldsChild reports whether the unit runs a child.
func (u *Unit) HoldsChild() bool { return u.Child != "" && u.Status == schemas.NodeRunning }
