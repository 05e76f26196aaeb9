package call

import (
	"context"
	"errors"

	"github.com/runplane/runplane/schemas"
)

// Prepare makes the call of a fallback: another capability, with the inputs of the failed call. An error means that this
// fallback cannot be used.
type Prepare func(ctx context.Context, failed *Call, capability string) (*Call, error)

// Fallback tries the entries of the policy's fallback list, in order, after a direct call failed for good; the result is
// flagged degraded. A fallback that a person has to allow counts as failed. If all fail, the error is that of the call itself. A `once` call
// that may have happened, or one that its caller ended, does not fall back. Calls of executions do not use this wrapper: their fallbacks are
// events.
func Fallback(prepare Prepare) Wrapper {
	return func(next Invoker) Invoker {
		return Func(func(ctx context.Context, c *Call) (*Result, error) {
			res, err := next.Invoke(ctx, c)
			if err == nil {
				return res, nil
			}
			if errors.Is(err, &schemas.Error{Code: schemas.CodeNeedsReview}) {
				return nil, err // it did not fail: a person has not allowed it
			}
			last := c
			failure := err
			for _, f := range c.rules().Policy.Fallback {
				if e, ok := errors.AsType[*schemas.Error](failure); ctx.Err() != nil || !ok || e.Code == schemas.CodeCancelled || unknownOnce(last, e) {
					return nil, failure
				}
				if f.Capability == "" {
					out := []byte(f.Value)
					if len(out) == 0 {
						out = []byte("null")
					}
					return &Result{Output: out, ServedBy: "fallback value", Degraded: true}, nil
				}
				other, cannot := prepare(ctx, c, f.Capability)
				if cannot != nil {
					continue
				}
				if res, failure = next.Invoke(ctx, other); failure == nil {
					res.Degraded = true
					return res, nil
				}
				last = other
			}
			if e, ok := errors.AsType[*schemas.Error](failure); ok && unknownOnce(last, e) {
				return nil, failure // the fallback may have happened
			}
			return nil, err
		})
	}
}
