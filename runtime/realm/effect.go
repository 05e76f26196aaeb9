package realm

import (
	"encoding/json"

	"github.com/runplane/runplane/schemas"
)

// Where an effect comes from.
const (
	fromConfig      = "config"
	fromAnnotations = "annotations"
	fromDefault     = "default"
)

// hints are the annotations about repetition. MCP's defaults are: not read-only, not idempotent.
type hints struct {
	ReadOnly    *bool `json:"readOnlyHint"`
	Idempotent  *bool `json:"idempotentHint"`
	Destructive *bool `json:"destructiveHint"`
}

// effectOf returns the effect of a capability: that of the operator's policy, else of the tool's annotations, else once.
func effectOf(policy schemas.Policy, annotations json.RawMessage) (effect schemas.Effect, from string) {
	var h hints
	if json.Unmarshal(annotations, &h) != nil {
		h = hints{} // ignore hints of the wrong type
	}
	isSet := func(hint *bool) bool { return hint != nil && *hint }
	switch {
	case policy.Effect != "":
		return policy.Effect, fromConfig
	case policy.IdempotencyArg != "":
		return schemas.EffectIdempotent, fromConfig
	case isSet(h.ReadOnly):
		return schemas.EffectRead, fromAnnotations
	case isSet(h.Idempotent):
		return schemas.EffectIdempotent, fromAnnotations
	case h.ReadOnly != nil || h.Idempotent != nil || h.Destructive != nil:
		return schemas.EffectOnce, fromAnnotations
	}
	return schemas.EffectOnce, fromDefault
}
