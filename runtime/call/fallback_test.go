package call

import (
	"context"
	"errors"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestFallbackServesWhatFailedForGood(t *testing.T) {
	value := schemas.PolicyFallback{Value: schemas.Value(`{"n":0}`)}
	other, third := schemas.PolicyFallback{Capability: "s.d"}, schemas.PolicyFallback{Capability: "s.e"}
	stopped := schemas.Errorf(schemas.CodeCancelled, "stopped").WithOutcome(schemas.NotRun)
	for _, tt := range []struct {
		name   string
		effect schemas.Effect
		fails  map[string]error
		list   []schemas.PolicyFallback
		by     string // empty: it fails
		err    error
		calls  int
	}{
		{"not needed", schemas.EffectRead, nil, []schemas.PolicyFallback{other}, "r.c", nil, 1},
		{"another capability", schemas.EffectRead, map[string]error{"r.c": down}, []schemas.PolicyFallback{other, value}, "s.d", nil, 2},
		{"a value", schemas.EffectOnce, map[string]error{"r.c": refusing}, []schemas.PolicyFallback{value}, "fallback value", nil, 1},
		{"the second", schemas.EffectRead, map[string]error{"r.c": down, "s.d": down}, []schemas.PolicyFallback{other, third}, "s.e", nil, 3},
		{"one that cannot be called", schemas.EffectRead, map[string]error{"r.c": down}, []schemas.PolicyFallback{{Capability: "s.none"}, value}, "fallback value", nil, 1},
		{"none serves", schemas.EffectRead, map[string]error{"r.c": late, "s.d": down}, []schemas.PolicyFallback{other}, "", late, 2},
		{"a read that may have happened", schemas.EffectRead, map[string]error{"r.c": late}, []schemas.PolicyFallback{value}, "fallback value", nil, 1},
		{"a once call that may have happened", schemas.EffectOnce, map[string]error{"r.c": late}, []schemas.PolicyFallback{value}, "", late, 1},
		{"a fallback that may have happened", schemas.EffectOnce, map[string]error{"r.c": down, "s.d": late}, []schemas.PolicyFallback{other, value}, "", late, 2},
		{"cancelled", schemas.EffectRead, map[string]error{"r.c": stopped}, []schemas.PolicyFallback{value}, "", stopped, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			realm := Func(func(_ context.Context, c *Call) (*Result, error) {
				calls++
				if err := tt.fails[c.Name()]; err != nil {
					return nil, err
				}
				return &Result{Output: c.Inputs, ServedBy: c.Name()}, nil
			})
			prepare := func(_ context.Context, failed *Call, capability string) (*Call, error) {
				if capability == "s.none" {
					return nil, errors.New("no such capability")
				}
				return &Call{Realm: capability[:1], Capability: capability[2:], Inputs: failed.Inputs, Effect: failed.Effect}, nil
			}
			res, err := Fallback(prepare)(realm).Invoke(t.Context(), &Call{Realm: "r", Capability: "c", Effect: tt.effect, Inputs: []byte(`1`), Rules: &Rules{Policy: schemas.Policy{Fallback: tt.list}}})
			if !errors.Is(err, tt.err) || calls != tt.calls {
				t.Fatalf("%d calls, %v", calls, err)
			}
			if err == nil && (res.ServedBy != tt.by || res.Degraded != (tt.by != "r.c")) {
				t.Errorf("%+v", res)
			}
		})
	}
}
