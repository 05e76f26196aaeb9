package expr

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
)

// An evaluation ends with its context, and does not count as a result.
func TestEvaluationIsInterrupted(t *testing.T) {
	lim := Limits{}.WithDefaults()
	template, bad := NewTemplate(json.RawMessage(`"${lists.range(1000).map(a, lists.range(20).map(b, a + b)).size()}"`), NewEvaluator(lim), lim)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the runtime stops")
	cancel(stop)
	if out, err := template.Render(ctx, sampleScope(), lim); !errors.Is(err, ErrInterrupted) || !errors.Is(err, stop) {
		t.Errorf("got %s, %v", out, err)
	}
	s := sampleScope()
	if out, err := template.Render(t.Context(), s, lim); err != nil || string(out) != "1000" {
		t.Errorf("again: got %s, %v", out, err)
	}
	if n := s.steps.Load(); n < 20_000 {
		t.Errorf("it took %d steps, want at least one for each element", n)
	}
}
