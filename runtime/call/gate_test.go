package call

import (
	"context"
	"errors"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestGateRefusesWhatNoPersonHasAllowed(t *testing.T) {
	for _, tt := range []struct {
		safety  schemas.Safety
		allowed bool
		made    bool
	}{{"", false, true}, {schemas.SafetyApproved, false, true}, {schemas.SafetyReviewed, false, false}, {schemas.SafetyReviewed, true, true}} {
		made := false
		gated := Gate(Func(func(context.Context, *Call) (*Result, error) { made = true; return &Result{}, nil }))
		_, err := gated.Invoke(t.Context(), &Call{Realm: "r", Capability: "c", Allowed: tt.allowed, Rules: &Rules{Policy: schemas.Policy{Safety: tt.safety}}})
		if made != tt.made || (err == nil) != tt.made || err != nil && !errors.Is(err, &schemas.Error{Code: schemas.CodeNeedsReview}) {
			t.Errorf("%+v: made %v, %v", tt, made, err)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	gated := Gate(Func(func(context.Context, *Call) (*Result, error) { return nil, nil }))
	c := &Call{Realm: "r", Capability: "c", Rules: &DefaultRules}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = gated.Invoke(b.Context(), c)
	}
}
