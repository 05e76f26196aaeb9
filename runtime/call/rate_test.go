package call

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

func limited(rates ...schemas.ScopedRateLimit) *Call {
	return &Call{Realm: "r", Capability: "c", Attempt: 1, Rules: &Rules{Rates: rates}}
}

func bound(scope string, rate int, per time.Duration, burst int) schemas.ScopedRateLimit {
	return schemas.ScopedRateLimit{Scope: scope, RateLimit: schemas.RateLimit{Rate: rate, Per: schemas.Duration(per), Burst: burst}}
}

func withStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := bolt.Open(bolt.Options{Mem: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		test(t, s)
	})
}

func TestRateLimitRefusesWithTheTimeToWait(t *testing.T) {
	withStore(t, func(t *testing.T, s store.Store) {
		realm, calls := answers()
		chain := NewRates(NewTokens(s, hclog.NewNullLogger())).Wrap(realm)
		c := limited(bound("r", 2, time.Second, 2))
		for range 2 {
			if _, err := chain.Invoke(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			_, err := chain.Invoke(t.Context(), c)
			if e := schemas.AsError(err); e == nil || e.Code != schemas.CodeRateLimited || !e.Refused() || math.Abs(e.RetryAfterSeconds-0.5) > 0.01 {
				t.Errorf("%+v", e)
			}
		}
		time.Sleep(500 * time.Millisecond)
		if _, err := chain.Invoke(t.Context(), c); err != nil || *calls != 3 {
			t.Errorf("%d calls, %v", *calls, err)
		}
	})
}

// The limits of capability and realm both apply, and an empty one takes no token of the other.
func TestRateLimitsOfRealmAndCapability(t *testing.T) {
	withStore(t, func(t *testing.T, s store.Store) {
		realm, calls := answers()
		chain := NewRates(NewTokens(s, hclog.NewNullLogger())).Wrap(realm)
		all := bound("r", 10, time.Second, 10)
		dear := limited(bound("r.c", 1, time.Hour, 1), all)
		for range 8 {
			_, _ = chain.Invoke(t.Context(), dear) // the first passes
		}
		if *calls != 1 {
			t.Errorf("%d calls of the dear one", *calls)
		}
		for range 10 {
			_, _ = chain.Invoke(t.Context(), limited(all)) // as many as there are tokens
		}
		if *calls < 9 {
			t.Errorf("%d calls: refusals by the one limit have emptied the other", *calls)
		}
	})
}

// Refused calls of executions are repeated by the runtime: each gets a time at which there is a token for it.
func TestRefusedNodesGetATimeEach(t *testing.T) {
	withStore(t, func(t *testing.T, s store.Store) {
		realm, calls := answers()
		chain := NewRates(NewTokens(s, hclog.NewNullLogger())).Wrap(realm)
		c := limited(bound("r", 1, time.Second, 1))
		c.ExecutionID = "x"
		waits := []time.Duration{0}
		for n := range 6 {
			_, err := chain.Invoke(t.Context(), c)
			if n == 0 {
				continue
			}
			wait := time.Duration(schemas.AsError(err).RetryAfterSeconds * float64(time.Second)).Round(time.Millisecond)
			if want := time.Duration(n) * time.Second; wait != want {
				t.Errorf("refusal %d waits %s, want %s", n, wait, want)
			}
			waits = append(waits, wait)
		}
		began := time.Now()
		for _, wait := range waits[1:] {
			time.Sleep(time.Until(began.Add(wait)))
			if _, err := chain.Invoke(t.Context(), c); err != nil {
				t.Errorf("after %s: %v", wait, err)
			}
		}
		if *calls != 6 {
			t.Errorf("%d calls", *calls)
		}
	})
}

type deaf struct{}

func (deaf) Take(context.Context, store.Limit) (time.Duration, error) {
	return 0, errors.New("connection refused")
}

// Without the store the process counts by itself: the limit holds, and calls continue.
func TestRateLimitHoldsWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		realm, calls := answers()
		chain := NewRates(NewTokens(deaf{}, hclog.NewNullLogger())).Wrap(realm)
		for range 10 {
			_, _ = chain.Invoke(t.Context(), limited(bound("r", 3, time.Second, 3)))
		}
		if *calls != 3 {
			t.Errorf("%d calls", *calls)
		}
		time.Sleep(time.Second)
		if _, err := chain.Invoke(t.Context(), limited(bound("r", 3, time.Second, 3))); err != nil {
			t.Error(err)
		}
	})
}

// mute is a store that does not answer before ctx ends; asked counts the calls.
type mute struct{ asked int }

func (m *mute) Take(ctx context.Context, _ store.Limit) (time.Duration, error) {
	m.asked++
	<-ctx.Done()
	return 0, ctx.Err()
}

// A store that does not answer delays one call every storeRetry, not each call for each of its limits.
func TestStoreThatDoesNotAnswerDelaysFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		realm, calls := answers()
		m := &mute{}
		chain := NewRates(NewTokens(m, hclog.NewNullLogger())).Wrap(realm)
		c := limited(bound("r.c", 100, time.Second, 100), bound("r", 100, time.Second, 100))
		began := time.Now()
		for range 50 {
			if _, err := chain.Invoke(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != storeTimeout || m.asked != 1 {
			t.Errorf("fifty calls took %s and asked %d times", took, m.asked)
		}
		time.Sleep(storeRetry)
		for range 50 {
			if _, err := chain.Invoke(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if m.asked != 2 || *calls != 100 {
			t.Errorf("later: it was asked %d times for %d calls", m.asked, *calls)
		}
	})
}

// A call that its caller cancels does not count as an unanswered one.
func TestCancelledCallDoesNotCountAgainstTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		realm, _ := answers()
		m := &mute{}
		chain := NewRates(NewTokens(m, hclog.NewNullLogger())).Wrap(realm)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = chain.Invoke(ctx, limited(bound("r", 9, time.Second, 9))) // it leaves
			cancel()
		}
		if m.asked != 3 {
			t.Errorf("it was asked %d times", m.asked)
		}
	})
}
