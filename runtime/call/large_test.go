package call

import (
	"context"
	"errors"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestLargeInputsInFlightAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		others  []int // MiB of calls in flight
		bytes   int
		refused bool
	}{
		{"small beside many", []int{64, 64}, 10, false},
		{"as much as there may be", []int{64}, 64 << 20, false},
		{"too much together", []int{64, 63}, 2 << 20, true},
		{"one alone, whatever its size", nil, 200 << 20, false},
		{"large beside small ones", []int{0, 0}, 128 << 20, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l Large
			entered, end := make(chan struct{}), make(chan struct{})
			made := 0
			invoke := l.Wrap(Func(func(_ context.Context, c *Call) (*Result, error) {
				if c.NodeID == "other" {
					entered <- struct{}{}
					<-end
				} else {
					made++
				}
				return &Result{}, nil
			}))
			done := make(chan struct{})
			for _, mib := range tt.others {
				go func() {
					_, _ = invoke.Invoke(t.Context(), &Call{NodeID: "other", Inputs: make([]byte, mib<<20)})
					done <- struct{}{}
				}()
				<-entered
			}
			_, err := invoke.Invoke(t.Context(), &Call{Inputs: make([]byte, tt.bytes)})
			if refused := errors.Is(err, &schemas.Error{Code: schemas.CodeRateLimited}); refused != tt.refused || (made == 1) == tt.refused {
				t.Errorf("%v, made %d", err, made)
			}
			if e := schemas.AsError(err); err != nil && (!e.Refused() || e.RetryAfterSeconds == 0) {
				t.Errorf("%+v is no refusal", e)
			}
			close(end)
			for range tt.others {
				<-done
			}
			if held := l.held.Load(); held != 0 {
				t.Errorf("%d bytes are still counted", held)
			}
		})
	}
}
