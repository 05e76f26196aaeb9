package call

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/sethvargo/go-retry"

	"github.com/runplane/runplane/schemas"
)

// answers gives one error after another, then a result.
func answers(errs ...error) (Invoker, *int) {
	n := new(int)
	return Func(func(_ context.Context, c *Call) (*Result, error) {
		*n++
		if *n <= len(errs) && errs[*n-1] != nil {
			return nil, errs[*n-1]
		}
		return &Result{Output: []byte(`1`), Attempts: c.Attempt}, nil
	}), n
}

func policy(attempts uint64) func(*Call) Policy {
	return func(*Call) Policy {
		return Policy{
			Waits:     retry.WithMaxRetries(attempts-1, retry.NewConstant(time.Second)),
			Refusals:  retry.WithMaxRetries(9, retry.NewExponential(time.Second)),
			Retryable: func(e *schemas.Error) bool { return e.Retryable },
		}
	}
}

func TestChainPutsTheFirstOutermost(t *testing.T) {
	var order []string
	named := func(name string) Wrapper {
		return func(next Invoker) Invoker {
			return Func(func(ctx context.Context, c *Call) (*Result, error) {
				order = append(order, name)
				return next.Invoke(ctx, c)
			})
		}
	}
	inner, _ := answers()
	if _, err := Chain(inner, named("a"), named("b"), named("c")).Invoke(t.Context(), &Call{}); err != nil || strings.Join(order, "") != "abc" {
		t.Errorf("%v %v", order, err)
	}
}

func TestRetryOfDirectCalls(t *testing.T) {
	busy := schemas.Errorf(schemas.CodeRateLimited, "busy").WithOutcome(schemas.NotRun).WithRetryAfter(30 * time.Second)
	soon := busy.WithRetryAfter(time.Second)
	byRealm := func(seconds float64) error {
		return busy.With(func(e *schemas.Error) { e.RefusedBy, e.RetryAfterSeconds = schemas.RefusedByRealm, seconds })
	}
	always := func(err error) []error { return slices.Repeat([]error{err}, 1000) }
	for _, tt := range []struct {
		name   string
		effect schemas.Effect
		errs   []error
		calls  int
		fails  bool
		took   time.Duration
	}{
		{"works at once", schemas.EffectOnce, nil, 1, false, 0},
		{"works at the third", schemas.EffectOnce, []error{down, down}, 3, false, 2 * time.Second},
		{"never works", schemas.EffectRead, []error{down, down, down, down}, 3, true, 2 * time.Second},
		{"is wrong", schemas.EffectRead, []error{wrong}, 1, true, 0},
		{"read, unknown", schemas.EffectRead, []error{late}, 2, false, time.Second},
		{"once, unknown", schemas.EffectOnce, []error{late}, 1, true, 0},
		{"unknown effect, unknown", "", []error{late}, 1, true, 0},
		{"has a retry_after of an hour", schemas.EffectOnce, []error{busy.WithRetryAfter(time.Hour)}, 1, true, 0},
		{"has a retry_after", schemas.EffectOnce, []error{busy, down}, 3, false, 31 * time.Second},
		{"refused more often than there are attempts", schemas.EffectOnce, []error{soon, soon, soon, soon, down, down}, 7, false, 6 * time.Second},
		{"refused for too long", schemas.EffectOnce, []error{busy, busy, busy}, 3, true, 60 * time.Second},
		{"refused by the realm twice", schemas.EffectOnce, []error{byRealm(0), byRealm(0)}, 3, false, 3 * time.Second},
		{"refused by the realm for ever", schemas.EffectRead, always(byRealm(0)), 6, true, 31 * time.Second},
		{"with a time in the past", schemas.EffectRead, always(byRealm(-5)), 6, true, 31 * time.Second},
		{"with a tiny time", schemas.EffectRead, always(byRealm(0.01)), 6, true, 31 * time.Second},
		{"with a huge time", schemas.EffectRead, always(byRealm(1e300)), 1, true, 0},
		{"with a short time", schemas.EffectRead, always(byRealm(5)), 6, true, (5 + 5 + 5 + 8 + 16) * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, calls := answers(tt.errs...)
				began := time.Now()
				res, err := Retry(policy(3))(inner).Invoke(t.Context(), &Call{Effect: tt.effect, Attempt: 1})
				if (err != nil) != tt.fails || *calls != tt.calls || time.Since(began) != tt.took {
					t.Errorf("%d calls in %s, %v", *calls, time.Since(began), err)
				}
				if err != nil && !errors.Is(err, tt.errs[len(tt.errs)-1]) {
					t.Errorf("the error is not the call's: %v", err)
				}
				refused := 0
				for _, err := range tt.errs {
					if schemas.AsError(err).Refused() {
						refused++
					}
				}
				if err == nil && res.Attempts != tt.calls-refused {
					t.Errorf("got %d attempts", res.Attempts)
				}
			})
		})
	}
}

func TestEndOfTheCallerEndsTheRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, calls := answers(down, down, down)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, err := Retry(policy(10))(inner).Invoke(ctx, &Call{})
		if !errors.Is(err, down) || *calls != 2 {
			t.Errorf("%d calls, %v", *calls, err)
		}
		gone := errors.New("gone")
		dead, end := context.WithCancelCause(t.Context())
		end(gone)
		if _, err := Retry(policy(10))(inner).Invoke(dead, &Call{}); !errors.Is(err, gone) || *calls != 2 {
			t.Errorf("%d calls, %v", *calls, err)
		}
	})
}

func TestTimeoutNamesItsSetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := Func(func(ctx context.Context, _ *Call) (*Result, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		_, err := Timeout(hangs).Invoke(t.Context(), &Call{Realm: "r", Capability: "c", Timeout: 90 * time.Second, TimeoutFrom: "plan defaults"})
		if e := schemas.AsError(err); e.Code != schemas.CodeTimeout || !strings.Contains(e.Message, "r.c did not answer within 1m30s, the timeout of its plan defaults") {
			t.Errorf("%v", err)
		}
	})
}

func TestInvalidJSONIsAToolError(t *testing.T) {
	for output, good := range map[string]bool{``: true, `{"a":1}`: true, `{"a":`: false, `a`: false, `1 2`: false, "\"\x01\"": false} {
		answer := Func(func(context.Context, *Call) (*Result, error) { return &Result{Output: []byte(output)}, nil })
		_, err := Observe(hclog.NewNullLogger())(answer).Invoke(t.Context(), &Call{Realm: "r", Capability: "c"})
		if good != (err == nil) || !good && (schemas.AsError(err).Code != schemas.CodeToolError || schemas.AsError(err).Outcome != schemas.RanFailed) {
			t.Errorf("%q: %v", output, err)
		}
	}
}

func TestObserveLeavesNoErrorUnclassified(t *testing.T) {
	inner, _ := answers(errors.New("secret detail of a library"), schemas.Errorf(schemas.CodeToolError, "no").WithOutcome(schemas.RanFailed))
	observed := Observe(hclog.NewNullLogger())(inner)
	_, err := observed.Invoke(t.Context(), &Call{})
	if e, ok := errors.AsType[*schemas.Error](err); !ok || e.Code != schemas.CodeInternal || e.Outcome != schemas.Unknown || strings.Contains(e.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if _, err = observed.Invoke(t.Context(), &Call{}); schemas.AsError(err).Outcome != schemas.RanFailed {
		t.Errorf("%v", err)
	}
}
