package engine

import (
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

// Where a store's durability is a choice, every commit that a caller gets an answer for asks for the strict one, and so does
// every one without which a `once` call might be made again. Of an execution those are the commits with a vital event.
//
// Such a commit may happen and yet end without its confirmation. Whoever reads it back must not act on it: the next commit of the
// same execution asks again, also where it has nothing else to say (execution.unconfirmed), and what is confirmed by it is
// everything before.

// mustSync tells whether an event must outlive the loss of a machine: without it a `once` call might be made again, or an answer that
// somebody has seen be taken back.
func mustSync(s *machine.State, e *schemas.Event) bool {
	switch e.Type {
	case schemas.EventCreated, schemas.EventFinished, schemas.EventSuspending, schemas.EventSuspended, schemas.EventResumed,
		schemas.EventCancelling, schemas.EventPriority, schemas.EventSignal, schemas.EventNodePatched, schemas.EventReviewDecided:
		return true
	}
	unit, ok := s.Unit(e.Node, e.Item)
	if !ok || !machine.AboutNode(e.Type) {
		return false
	}
	if e.Type == schemas.EventNodeCompensating {
		return s.Node(unit).Compensate.Effect.Rank() >= schemas.EffectOnce.Rank()
	}
	_, effect, _ := s.Goes(unit)
	return s.Target(unit) != nil && effect.Rank() >= schemas.EffectOnce.Rank()
}
