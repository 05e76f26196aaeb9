package engine

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// companion is what an execution has to do with the world beyond its own log: its children and parent, the states that it waits for, its
// place in the queue, a store that loses commits. The kernel (decide, turn, owner) names none of them; it calls each at these
// moments. One that does nothing at some of them embeds idle.
//
//	begin ─▶ applying, for each event ─▶ prepare ─▶ the commit ─▶ committed ─▶ tend, where this process owns the execution
//
// A commit that conflicts is followed by another begin. Companions are called by one goroutine at a time.
type companion interface {
	// begin starts a turn, before anything is decided. What was gathered for a turn that was not committed is forgotten.
	begin(t *turn)
	// applying sees an event before it is applied; applied, which may be nil, is called after that.
	applying(t *turn, e *schemas.Event) (applied func())
	// prepare adds to the batch and to the head what belongs into the commit, and says when an owner is needed.
	prepare(t *turn)
	// committed follows a commit. It must not block: what has to be waited for goes on by [turn.pass].
	committed(t *turn)
	// claimed decides what a claim by this owner means; nil: nothing.
	claimed(o *owner) Decision
	// tend looks after what is beyond the execution, after the owner has made a step. again is when the owner is to come back for it
	// if nothing happens before; zero: never.
	stepped(o *owner, s *stepResult) (again time.Time)
	// lost follows the loss of the lease: another worker may have the execution.
	lost(o *owner)
}

// companionsOf are the companions of an execution, in the order in which they are called.
func companionsOf(x *execution) []companion {
	return []companion{x.family, x.waits, overdue{}, x.rollbacks}
}

// idle does nothing.
type idle struct{}

func (idle) begin(*turn)                                   {}
func (idle) applying(*turn, *schemas.Event) func()         { return nil }
func (idle) prepare(*turn)                                 {}
func (idle) committed(*turn)                               {}
func (idle) claimed(*owner) Decision                       { return nil }
func (idle) lost(*owner)                                   {}
func (idle) stepped(*owner, *stepResult) (again time.Time) { return time.Time{} }

// earliest is the first of two times that is not zero.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
