package call

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

var (
	down     = schemas.Errorf(schemas.CodeUnavailable, "down").WithOutcome(schemas.NotRun)
	refusing = schemas.Errorf(schemas.CodeToolError, "no").WithOutcome(schemas.RanFailed)
	garbled  = schemas.Errorf(schemas.CodeToolError, "no JSON").WithOutcome(schemas.Unknown)
	tooFast  = schemas.Errorf(schemas.CodeRateLimited, "HTTP 429").WithOutcome(schemas.NotRun)
	wrong    = schemas.Errorf(schemas.CodeInvalidArgument, "wrong").WithOutcome(schemas.NotRun)
	late     = schemas.Errorf(schemas.CodeTimeout, "late").WithOutcome(schemas.Unknown)
)

func guarded(rule BreakerRule) *Call {
	return &Call{Realm: "r", Capability: "c", Attempt: 1, Rules: &Rules{Breaker: rule}}
}

func TestBreakerCountsOnlyFailuresOfTheRealm(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		opens bool
	}{
		{"unavailable", down, true}, {"timeout", late, true}, {"garbled answer", garbled, true},
		{"tool error", refusing, false}, {"invalid argument", wrong, false}, {"limit of the realm", tooFast, false},
		{"a failure that is known", Known{down}, false},
		{"unclassified", errors.New("defect"), false}, {"cancelled", schemas.Errorf(schemas.CodeCancelled, "x"), false}, {"answer", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			breakers := NewBreakers(hclog.NewNullLogger())
			rule := BreakerRule{Failures: 3, OpenFor: time.Minute}
			chain := breakers.Wrap(Func(func(context.Context, *Call) (*Result, error) {
				if tt.err != nil {
					return nil, tt.err
				}
				return &Result{}, nil
			}))
			for range 3 {
				if _, err := chain.Invoke(t.Context(), guarded(rule)); !errors.Is(err, tt.err) {
					t.Fatal(err)
				}
			}
			want := schemas.CircuitClosed
			if tt.opens {
				want = schemas.CircuitOpen
			}
			if got := breakers.State("r.c", rule); got.State != want {
				t.Errorf("got %+v, want %s", got, want)
			}
		})
	}
}

func TestBreakerCountsNoCallThatItsCallerEnded(t *testing.T) {
	breakers := NewBreakers(hclog.NewNullLogger())
	rule := BreakerRule{Failures: 1, OpenFor: time.Minute}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := breakers.Wrap(Func(func(context.Context, *Call) (*Result, error) { cancel(); return nil, late })).Invoke(ctx, guarded(rule))
	if s := breakers.State("r.c", rule); !errors.Is(err, late) || s.State != schemas.CircuitClosed || s.Failures != 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

// An open breaker refuses with the time that is left, lets one call try then, and its fault opens it again.
func TestBreakerOpensTriesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breakers := NewBreakers(hclog.NewNullLogger())
		rule := BreakerRule{Failures: 2, OpenFor: 10 * time.Second}
		realm, calls := answers(down, refusing, down, down, late)
		slow := Func(func(ctx context.Context, c *Call) (*Result, error) {
			time.Sleep(time.Second)
			return realm.Invoke(ctx, c)
		})
		chain := breakers.Wrap(slow)
		invoke := func() *schemas.Error {
			_, err := chain.Invoke(t.Context(), guarded(rule))
			return schemas.AsError(err)
		}
		refused := func(step string, e *schemas.Error, wait float64) {
			t.Helper()
			if e == nil || e.Code != schemas.CodeCircuitOpen || !e.Refused() || e.RetryAfterSeconds < wait || e.RetryAfterSeconds > wait+0.01 {
				t.Errorf("%s: %+v", step, e)
			}
		}
		for range 4 { // an answer in between: two faults in a row are needed
			invoke()
		}
		refused("just opened", invoke(), 10)
		time.Sleep(4 * time.Second)
		refused("later", invoke(), 6)
		if s := breakers.State("r.c", rule); s.State != schemas.CircuitOpen || s.Opened != 1 || s.RetryAfterSeconds != 6 || !errors.Is(s.LastError, down) {
			t.Errorf("%+v", s)
		}
		time.Sleep(6*time.Second + time.Millisecond)
		probe := make(chan *schemas.Error)
		go func() { probe <- invoke() }()
		synctest.Wait()
		refused("while one tries", invoke(), 1)
		if s := breakers.State("r.c", rule); s.State != schemas.CircuitHalfOpen {
			t.Errorf("%+v", s)
		}
		if e := <-probe; !errors.Is(e, late) {
			t.Errorf("the try: %v", e)
		}
		refused("the try failed", invoke(), 10)
		time.Sleep(10*time.Second + time.Millisecond)
		if e := invoke(); e != nil {
			t.Errorf("works again: %v", e)
		}
		if s := breakers.State("r.c", rule); s.State != schemas.CircuitClosed || s.Opened != 2 || s.LastError != nil || *calls != 6 {
			t.Errorf("%d calls, %+v", *calls, s)
		}
	})
}

// A try that is ignored is followed by the next try.
func TestBreakerIsNotStuckByAnIgnoredTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breakers := NewBreakers(hclog.NewNullLogger())
		rule := BreakerRule{Failures: 1, OpenFor: time.Second}
		realm, calls := answers(down, tooFast, tooFast)
		for range 4 {
			_, _ = breakers.Wrap(realm).Invoke(t.Context(), guarded(rule)) // the counts are what matters
			time.Sleep(2 * time.Second)
		}
		if s := breakers.State("r.c", rule); s.State != schemas.CircuitClosed || *calls != 4 {
			t.Errorf("%d calls, %+v", *calls, s)
		}
	})
}

func TestCapabilitiesHaveSeparateBreakers(t *testing.T) {
	breakers := NewBreakers(hclog.NewNullLogger())
	rule := BreakerRule{Failures: 1, OpenFor: time.Minute}
	realm, _ := answers(down)
	chain := breakers.Wrap(realm)
	_, _ = chain.Invoke(t.Context(), guarded(rule)) // opens r.c
	other := guarded(rule)
	other.Capability = "d"
	if _, err := chain.Invoke(t.Context(), other); err != nil {
		t.Error(err)
	}
	off := guarded(BreakerRule{})
	if _, err := chain.Invoke(t.Context(), off); err != nil || breakers.State("r.c", BreakerRule{}) != nil {
		t.Errorf("switched off: %v", err)
	}
	if n := len(breakers.Names()); n != 2 {
		t.Errorf("%d breakers", n)
	}
	breakers.Forget("")
	breakers.Forget("r.c")
	if s := breakers.State("r.c", rule); s.State != schemas.CircuitOpen {
		t.Errorf("another realm was forgotten, and %+v", s)
	}
	breakers.Forget("r")
	if s := breakers.State("r.c", rule); s.State != schemas.CircuitClosed || len(breakers.Names()) != 0 {
		t.Errorf("forgotten: %+v", s)
	}
}
