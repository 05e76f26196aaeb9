package plan

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// world is a small catalog: realm → tool → what is known of it. A realm without tools is down.
type world map[string]map[string]Tool

func (w world) Realms() []string {
	var names []string
	for name := range w {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (w world) Tools(realm string) ([]string, error) {
	if w[realm] == nil {
		return nil, schemas.Errorf(schemas.CodeUnavailable, "command not found: shopd").WithHint("install it or correct command in the config")
	}
	var names []string
	for name := range w[realm] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (w world) Tool(realm, name string) (Tool, bool) {
	t, ok := w[realm][name]
	return t, ok
}

// sampleWorld has a shop with a read, an idempotent and a once capability, mail with an open schema, and a realm that is down.
func sampleWorld() world {
	return world{
		"shop": {
			"get_order": {
				InputSchema: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"},"depth":{"type":"integer"},"order_by":{"enum":["newest","oldest"]},
					"filter":{"type":"object","properties":{"tag":{"type":"string"}},"additionalProperties":false}},"required":["id"],"additionalProperties":false}`),
				OutputSchema: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"},"total":{"type":"integer"},"paid":{"type":"boolean"},
					"items":{"type":"array","items":{"$ref":"#/$defs/item"}}},"additionalProperties":false,
					"$defs":{"item":{"type":"object","properties":{"sku":{"type":"string"},"count":{"type":"integer"}}}}}`),
				Effect: schemas.EffectRead, Hash: "h1",
			},
			"reserve": {InputSchema: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}`), Effect: schemas.EffectIdempotent, Hash: "h2"},
			"charge": {
				InputSchema: json.RawMessage(`{"type":"object","properties":{"order":{"type":"string"},"cents":{"type":"integer","minimum":1}},"required":["order","cents"],"additionalProperties":false}`),
				Effect:      schemas.EffectOnce, Hash: "h3",
				Policy: schemas.Policy{Timeout: new(schemas.Duration(7e9)), Retry: &schemas.Retry{MaxAttempts: 9}},
			},
			"find": {
				InputSchema: json.RawMessage(`{"type":"object","properties":{"order":{"type":"string"}},"required":["order"],"additionalProperties":false}`),
				OutputSchema: json.RawMessage(`{"type":"object","properties":{"found":{"type":"boolean"},"items":{"type":"array","items":{"type":"object",
					"properties":{"id":{"type":"string"}},"additionalProperties":false}}},"additionalProperties":false}`),
				Effect: schemas.EffectRead, Hash: "h5",
			},
			"void": {
				InputSchema: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}},"required":["id"],"additionalProperties":false}`),
				Effect:      schemas.EffectIdempotent, Hash: "h6", Policy: schemas.Policy{IdempotencyArg: "key"},
			},
			"wire": {Effect: schemas.EffectOnce, Hash: "h8", Policy: schemas.Policy{RetryUnknown: new(false), RetryUnknownFrom: "realm's policy"}},
			"pay":  {Effect: schemas.EffectOnce, Hash: "h9", Policy: schemas.Policy{Safety: schemas.SafetyReviewed}},
			"odd":  {InputSchema: json.RawMessage(`{"$ref":"https://example.com/x.json"}`), Effect: schemas.EffectOnce},
		},
		"mail": {"send": {Effect: schemas.EffectOnce, Hash: "h4"}, "recall": {Effect: schemas.EffectIdempotent, Hash: "h7"}},
		"down": nil,
	}
}

func mustProgram(t testing.TB, source string) *Program {
	t.Helper()
	p, found := Parse(context.Background(), []byte(source), Limits{})
	if p == nil {
		t.Fatalf("parse: %+v", found)
	}
	prog, more := Compile(context.Background(), p, sampleWorld(), Limits{})
	if prog == nil {
		t.Fatalf("compile: %+v", append(found, more...))
	}
	return prog
}

// fixed is a scope of inputs and nodes alone.
type fixed struct {
	expr.Scope
	inputs *expr.Value
	nodes  map[string]expr.NodeValue
}

func (s fixed) Inputs() *expr.Value { return s.inputs }

func (s fixed) Spent(uint64) {}

func (s fixed) Node(id string) (expr.NodeValue, error) { return s.nodes[id], nil }
