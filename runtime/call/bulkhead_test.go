package call

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
)

func crowded(wait time.Duration, rooms ...schemas.ScopedConcurrency) *Call {
	return &Call{Realm: "r", Capability: "c", Attempt: 1, Rules: &Rules{Concurrency: rooms, BulkheadWait: wait}}
}

// busy is a realm whose calls take a second, and the most calls that it had at once.
func busy() (Invoker, func() int) {
	var mu sync.Mutex
	now, most := 0, 0
	note := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		now += by
		most = max(most, now)
	}
	return Func(func(context.Context, *Call) (*Result, error) {
		note(1)
		defer note(-1)
		time.Sleep(time.Second)
		return &Result{}, nil
	}), func() int { mu.Lock(); defer mu.Unlock(); return most }
}

func TestBulkheadsLimitCallsInFlight(t *testing.T) {
	for _, tt := range []struct {
		name   string
		wait   time.Duration
		passed int
	}{
		{"all find room in time", 3500 * time.Millisecond, 8},
		{"half of them do", 1500 * time.Millisecond, 4},
		{"no call waits", 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				realm, most := busy()
				var rooms Bulkheads
				chain := rooms.Wrap(realm)
				var wg sync.WaitGroup
				var mu sync.Mutex
				passed := 0
				for range 8 {
					wg.Go(func() {
						_, err := chain.Invoke(t.Context(), crowded(tt.wait, schemas.ScopedConcurrency{Scope: "r.c", Calls: 2}, schemas.ScopedConcurrency{Scope: "r", Calls: 5}))
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							passed++
						} else if e := schemas.AsError(err); e.Code != schemas.CodeRateLimited || !e.Refused() {
							t.Errorf("%+v", e)
						}
					})
				}
				wg.Wait()
				if passed != tt.passed || most() != 2 {
					t.Errorf("%d passed, %d at once", passed, most())
				}
			})
		})
	}
}

func TestCallThatStopsWaitingTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		realm, _ := busy()
		var rooms Bulkheads
		chain := rooms.Wrap(realm)
		one := schemas.ScopedConcurrency{Scope: "r", Calls: 1}
		go func() { _, _ = chain.Invoke(t.Context(), crowded(time.Hour, one)) }()
		synctest.Wait()
		gone := schemas.Errorf(schemas.CodeCancelled, "gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { time.Sleep(time.Millisecond); cancel(gone) }()
		if _, err := chain.Invoke(ctx, crowded(time.Hour, one)); !errors.Is(err, gone) || schemas.AsError(err).Outcome != schemas.NotRun {
			t.Errorf("%v", err)
		}
		began := time.Now()
		if _, err := chain.Invoke(t.Context(), crowded(time.Hour, one)); err != nil || time.Since(began) > 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
