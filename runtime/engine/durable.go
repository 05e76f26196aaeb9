package engine

import (
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

// If durability is a choice of the store, strict durability is asked for by every commit that a caller gets an answer for, and by every
// commit without which a `once` call might be made again. Of an execution those are the commits with an event that mustSync.
//
// Such a commit may happen and yet end without its confirmation. A process that reads it back must not act on it: the next commit of the
// same execution asks for strict durability too, even if it has nothing else to write (execution.unconfirmed), and its confirmation covers
// everything before.

// mustSync reports whether an event must survive the loss of a machine: without it a `once` call might be made again, or an answer that a
// caller has seen might be taken back.
func mustSync(s *machine.State, e *schemas.Event) bool {
	switch e.Type {
	case schemas.EventCreated, schemas.EventFinished, schemas.EventSuspending, schemas.EventSuspended, schemas.EventResumed,
		schemas.EventCancelling, schemas.EventPriority, schemas.EventSignal, schemas.EventNodePatched, schemas.EventLimitsRaised, schemas.EventReviewDecided:
		return true
	}
	unit, ok := s.Unit(e.Node, e.Item)
	if !ok || !machine.AboutNode(e.Type) {
		return false
	}
	if e.Type == schemas.EventNodeCompensating {
		return s.Node(unit).Compensate.Effect.Rank() >= schemas.EffectOnce.Rank()
	}
	_, effect, _ := s.CallDefinition(unit)
	return s.Target(unit) != nil && effect.Rank() >= schemas.EffectOnce.Rank()
}
