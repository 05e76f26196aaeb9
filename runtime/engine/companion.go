package engine

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// companion connects an execution to the world beyond its own log: to its children and parent, to the states and times that it waits for, to
// its time limit in the queue, to a store that loses commits. The kernel (decide, step, turn, owner) names none of them; it calls each of them
// at these moments. A companion embeds idle and implements only what it needs.
//
//	begin ─▶ applying, for each event ─▶ prepare ─▶ the commit ─▶ committed ─▶ stepped, if this process owns the execution
//
// After a commit that conflicts, begin is called again. The companions of an execution are called by one goroutine at a time.
type companion interface {
	// begin starts a turn, before anything is decided. It drops what was gathered for a turn that was not committed.
	begin(t *turn)
	// applying sees an event before it is applied. The func that it returns, if not nil, is called after that.
	applying(t *turn, e *schemas.Event) (applied func())
	// prepare adds to the batch and to the head, and says whether and when an owner is needed.
	prepare(t *turn)
	// committed follows a commit. It must not block: what has to wait runs in [turn.Background].
	committed(t *turn)
	// claimed returns what is decided when the owner has claimed the execution; nil: nothing. It is called before the first turn after that.
	claimed(o *owner) Decision
	// stepped follows a step of the owner. The owner makes another step at again, if nothing happens before; zero: it need not.
	stepped(o *owner, s *stepResult) (again time.Time)
	// lost follows the loss of the owner's lease: another worker may have the execution.
	lost(o *owner)
}

// companionsOf returns the companions of an execution in the order in which they are called.
func companionsOf(x *execution) []companion {
	return []companion{x.family, x.waits, overdue{}, x.rollbacks, x.allowance, new(alarms)}
}

// idle is a companion that does nothing.
type idle struct{}

func (idle) begin(*turn)                                   {}
func (idle) applying(*turn, *schemas.Event) func()         { return nil }
func (idle) prepare(*turn)                                 {}
func (idle) committed(*turn)                               {}
func (idle) claimed(*owner) Decision                       { return nil }
func (idle) stepped(*owner, *stepResult) (again time.Time) { return time.Time{} }
func (idle) lost(*owner)                                   {}

// earliest returns the earlier of two times; a zero time is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
