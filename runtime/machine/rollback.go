package machine

import (
	"encoding/json"

	"github.com/runplane/runplane/schemas"
)

// rolledBack: the store had lost commits that it had acknowledged. The data names `once` calls that were started in what was
// lost for good: the unit of each is held before it would be called.
func rolledBack(s *State, _ int, e *schemas.Event) {
	var data struct {
		Unknown map[string]int `json:"unknown"`
	}
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &data) != nil {
		return
	}
	for name, attempt := range data.Unknown {
		if s.Doubts == nil {
			s.Doubts = map[string]int{}
		}
		s.Doubts[name] = attempt
	}
}

// doubted holds a unit, instead of starting it, whose `once` call may have happened in a history that is lost.
func (s *State) doubted(unit int) *Action {
	if len(s.Doubts) == 0 || s.Units[unit].Phase != PhaseRun {
		return nil
	}
	attempt, ok := s.Doubts[s.Name(unit)]
	target := s.Target(unit)
	if !ok || target == nil || target.Effect.Rank() < schemas.EffectOnce.Rank() {
		return nil
	}
	e := s.event(schemas.EventNodeHeld, unit)
	e.Attempt, e.Reason = attempt, schemas.ReasonUnknown
	e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "%s may have happened: it was called before the store lost what it had acknowledged", target.Name()).
		WithOutcome(schemas.Unknown)
	return &Action{Kind: Emit, Unit: unit, Event: &e}
}
