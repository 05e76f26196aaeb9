package machine

import (
	"encoding/json"
	"time"

	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// rolledBack: the store lost commits that it had acknowledged. The data names `once` calls that were started in lost commits:
// the unit of each is held before it would be called again.
func rolledBack(s *State, _ int, e *schemas.Event) {
	var data struct {
		Unknown map[string]int `json:"unknown"`
	}
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &data) != nil {
		return
	}
	s.UnknownBefore = e.At
	for name, attempt := range data.Unknown {
		if s.UnknownAttempts == nil {
			s.UnknownAttempts = map[string]int{}
		}
		s.UnknownAttempts[name] = attempt
	}
}

// holdUnknown holds a unit, instead of starting it, if its `once` call may have happened in commits that the store lost; nil: it
// may start.
func (s *State) holdUnknown(unit int, now time.Time) *Action {
	if len(s.UnknownAttempts) == 0 || s.Units[unit].Phase != units.PhaseRun {
		return nil
	}
	attempt, ok := s.UnknownAttempts[s.Name(unit)]
	target := s.Target(unit)
	if !ok || target == nil || target.Effect.Rank() < schemas.EffectOnce.Rank() {
		return nil
	}
	e := s.event(schemas.EventNodeHeld, unit)
	e.Attempt, e.Reason = attempt, schemas.ReasonUnknown
	e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown,
		"%s may have happened: it was called in commits that the store acknowledged and then lost", target.Name()).
		WithOutcome(schemas.Unknown)
	e.MayRunUntil = &Forever
	if target.Timeout > 0 {
		started, rules := now, s.unknownRules(target)
		if !s.UnknownBefore.IsZero() { // snapshots of earlier versions do not have it
			started = s.UnknownBefore
		}
		e.MayRunUntil = new(started.Add(rules.Queue + target.Timeout.Std() + rules.Settle))
	}
	return &Action{Kind: Emit, Unit: unit, Event: &e}
}
