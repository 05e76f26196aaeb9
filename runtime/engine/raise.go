package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
)

const sayRaise = `give the new value in all, as in patch: {"limits":{"calls":200}} or {"limits":{"time":"2h"}}`

// raised reads the limits of a patch, each of which has to be higher than that of the execution. It is zero if the patch has none.
func raised(s *machine.State, patch *schemas.Patch) (to schemas.PlanLimits, err error) {
	if patch == nil || len(patch.Limits) == 0 {
		return to, nil
	}
	refused := func(field, format string, args ...any) error {
		return schemas.Errorf(schemas.CodeInvalidArgument, format, args...).WithField(field).WithHint(sayRaise)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal([]byte(patch.Limits), &given); err != nil || len(given) == 0 {
		return to, refused("patch.limits", "limits has none of calls, time and bytes")
	}
	now := s.PlanLimits()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field := "patch.limits." + name
		one, _ := json.Marshal(map[string]json.RawMessage{name: given[name]})
		if err := json.Unmarshal(one, &to); err != nil {
			return to, refused(field, "limits.%s cannot be read: calls and bytes are whole numbers, time is a text such as \"2h\"", name)
		}
		var has, gets int64
		switch name {
		case "calls":
			has, gets = int64(now.Calls), int64(to.Calls)
		case "time":
			has, gets = int64(now.Time), int64(to.Time)
		case "bytes":
			has, gets = int64(now.Bytes), int64(to.Bytes)
		default:
			return to, refused(field, "a plan has no limits.%s; it has calls, time and bytes", name)
		}
		switch {
		case has == 0:
			return to, refused(field, "the plan has no limits.%s to raise", name)
		case gets <= has:
			return to, refused(field, "limits.%s is %s already: raise it to more than that, not to %s", name, shown(name, has), shown(name, gets))
		case name == "time" && to.Time > schemas.MaxPlanTime:
			return to, refused(field, "limits.time %s is longer than the longest allowed, %s", to.Time, schemas.MaxPlanTime)
		}
	}
	return to, nil
}

// shown is a limit as people write it.
func shown(name string, n int64) string {
	if name == "time" {
		return schemas.Duration(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// raiseEvents returns the event of a patch that raises limits of the plan; none if it raises none.
func raiseEvents(s *machine.State, patch *schemas.Patch, by string) ([]schemas.Event, error) {
	to, err := raised(s, patch)
	if err != nil || to == (schemas.PlanLimits{}) {
		return nil, err
	}
	return []schemas.Event{{Type: schemas.EventLimitsRaised, Limits: &to, By: by}}, nil
}

// stillReached returns an error if an execution is to be resumed that has reached a limit, and the patch leaves it reached and decides
// nothing else: it would be suspended again at once.
func stillReached(s *machine.State, patch *schemas.Patch, now time.Time) error {
	if s.Limit == nil || patch != nil && len(patch.Nodes) > 0 {
		return nil
	}
	to, err := raised(s, patch)
	if err != nil {
		return err
	}
	reached := s.PlanLimits().With(to).Reached(s.PlanUsed(now), true, s.Limit.Limit == "calls")
	if reached == nil {
		return nil
	}
	return schemas.Errorf(schemas.CodeConflict, "%s, and nothing more can start", reached.Reason()).WithField("patch.limits."+reached.Limit).
		WithHint("%s", reached.Hint())
}
