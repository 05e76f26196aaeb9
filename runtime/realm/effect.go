package realm

import (
	"encoding/json"

	"github.com/runplane/runplane/schemas"
)

// What decided an effect.
const (
	fromConfig      = "config"
	fromAnnotations = "annotations"
	fromDefault     = "default"
)

// hints are the annotations that speak of repetition. MCP's defaults are: not read-only, not idempotent.
type hints struct {
	ReadOnly    *bool `json:"readOnlyHint"`
	Idempotent  *bool `json:"idempotentHint"`
	Destructive *bool `json:"destructiveHint"`
}

// effectOf decides what repeating a capability would do: the operator's word first, then the tool's own, else once.
func effectOf(policy schemas.Policy, annotations json.RawMessage) (effect schemas.Effect, from string) {
	var h hints
	if json.Unmarshal(annotations, &h) != nil {
		h = hints{} // hints of the wrong type are no hints
	}
	said := func(hint *bool) bool { return hint != nil && *hint }
	switch {
	case policy.Effect != "":
		return policy.Effect, fromConfig
	case policy.IdempotencyArg != "":
		return schemas.EffectIdempotent, fromConfig
	case said(h.ReadOnly):
		return schemas.EffectRead, fromAnnotations
	case said(h.Idempotent):
		return schemas.EffectIdempotent, fromAnnotations
	case h.ReadOnly != nil || h.Idempotent != nil || h.Destructive != nil:
		return schemas.EffectOnce, fromAnnotations
	}
	return schemas.EffectOnce, fromDefault
}
