package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
)

func asking(ttl, stale time.Duration) *Call {
	return &Call{
		Realm: "r", Capability: "c", Inputs: []byte(`{"a":1,"b":[2]}`), Effect: schemas.EffectRead, Attempt: 1, Principal: "ada", Hash: "h",
		Rules: &Rules{CacheTTL: ttl, StaleIfError: stale},
	}
}

// numbered answers each call with its number.
func numbered() (Invoker, *int) {
	n := new(int)
	return Func(func(_ context.Context, c *Call) (*Result, error) {
		*n++
		return &Result{Output: fmt.Appendf(nil, `%d`, *n), ServedBy: c.Name()}, nil
	}), n
}

func TestCacheIsUsedForTheSameCallOnly(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Call)
		hit  bool
	}{
		{"the same", func(*Call) {}, true},
		{"other spaces and order", func(c *Call) { c.Inputs = []byte(` { "b": [ 2 ], "a": 1 } `) }, true},
		{"another session", func(c *Call) { c.SessionID = "s" }, true},
		{"other inputs", func(c *Call) { c.Inputs = []byte(`{"a":1,"b":[3]}`) }, false},
		{"a number that floats cannot tell apart", func(c *Call) { c.Inputs = []byte(`{"a":9007199254740993}`) }, false},
		{"another principal", func(c *Call) { c.Principal = "bob" }, false},
		{"another realm", func(c *Call) { c.Realm = "q" }, false},
		{"names that run together", func(c *Call) { c.Realm, c.Capability = "r.c", "" }, false},
		{"another definition of the tool", func(c *Call) { c.Hash = "i" }, false},
		{"no known definition", func(c *Call) { c.Hash = "" }, false},
		{"not a read", func(c *Call) { c.Effect = schemas.EffectIdempotent }, false},
		{"no cache_ttl", func(c *Call) { c.Rules = &Rules{} }, false},
		{"with a secret", func(c *Call) { c.Secrets = []string{"token"} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			realm, calls := numbered()
			chain := NewCache(1 << 20).Wrap(realm)
			for _, inputs := range []string{`{"a":1,"b":[2]}`, `{"a":9007199254740992}`} {
				c := asking(time.Minute, 0)
				c.Inputs = []byte(inputs)
				if _, err := chain.Invoke(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			c := asking(time.Minute, 0)
			tt.edit(c)
			res, err := chain.Invoke(t.Context(), c)
			if err != nil || (*calls == 2) != tt.hit || tt.hit && string(res.Output) != "1" {
				t.Errorf("%d calls, %+v %v", *calls, res, err)
			}
		})
	}
}

func TestStaleResultsAreUsedWhileTheRealmIsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails error
		calls := 0
		chain := NewCache(1 << 20).Wrap(Func(func(context.Context, *Call) (*Result, error) {
			calls++
			return &Result{Output: []byte(`"x"`)}, fails
		}))
		for _, tt := range []struct {
			name     string
			after    time.Duration
			fails    error
			calls    int
			age      time.Duration
			degraded bool
			err      error
		}{
			{"first", 0, nil, 1, 0, false, nil},
			{"fresh, and the realm is unreachable", 59 * time.Second, down, 1, 59 * time.Second, false, nil},
			{"stale", time.Second, down, 2, time.Minute, true, nil},
			{"the breaker is open", time.Second, schemas.Errorf(schemas.CodeCircuitOpen, "x").WithOutcome(schemas.NotRun), 3, 61 * time.Second, true, nil},
			{"the tool refuses", 0, refusing, 4, 0, false, refusing},
			{"refused", 0, tooFast, 5, 0, false, tooFast},
			{"nearly too old", 9*time.Minute + 58*time.Second, late, 6, 10*time.Minute + 59*time.Second, true, nil},
			{"too old", time.Second, down, 7, 0, false, down},
			{"back again", 0, nil, 8, 0, false, nil},
		} {
			time.Sleep(tt.after)
			fails = tt.fails
			res, err := chain.Invoke(t.Context(), asking(time.Minute, 10*time.Minute))
			if !errors.Is(err, tt.err) || calls != tt.calls {
				t.Errorf("%s: %d calls, %v", tt.name, calls, err)
			}
			if err == nil && (res.Age != tt.age || res.Degraded != tt.degraded || string(res.Output) != `"x"`) {
				t.Errorf("%s: %+v", tt.name, res)
			}
		}
	})
}

// A change of the secrets, or of what the policies allow, is a change of what a call with a secret asks for, also if it was in flight meanwhile.
func TestCacheKnowsSecrets(t *testing.T) {
	realm, calls := numbered()
	a := NewCache(1 << 20)
	during := func() {}
	chain := a.Wrap(Func(func(ctx context.Context, c *Call) (*Result, error) {
		during()
		return realm.Invoke(ctx, c)
	}))
	for i, step := range []struct {
		name   string
		during func()
		edit   func(*Call)
		calls  int // so far
	}{
		{"a change while it is in flight", a.Clear, func(*Call) {}, 1},
		{"after that", nil, func(*Call) {}, 2},
		{"again", nil, func(*Call) {}, 2},
		{"no longer allowed", nil, func(c *Call) { c.Rules.Policy.Secrets = nil }, 3},
	} {
		if during = step.during; during == nil {
			during = func() {}
		}
		c := asking(time.Minute, 0)
		c.Secrets, c.Rules.Policy.Secrets = []string{"token"}, []string{"token"}
		step.edit(c)
		if _, err := chain.Invoke(t.Context(), c); err != nil || *calls != step.calls {
			t.Errorf("%d, %s: %v, %d calls, want %d", i, step.name, err, *calls, step.calls)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	const size, room = 1000, 10 * (1000 + entryOverhead)
	calls := 0
	a := NewCache(room)
	chain := a.Wrap(Func(func(_ context.Context, c *Call) (*Result, error) {
		calls++
		if strings.Contains(string(c.Inputs), "huge") {
			return &Result{Output: []byte(strings.Repeat("x", room/2))}, nil
		}
		return &Result{Output: []byte(strings.Repeat("x", size))}, nil
	}))
	ask := func(what string) {
		c := asking(time.Hour, 0)
		c.Inputs = fmt.Appendf(nil, `{"what":%q}`, what)
		if _, err := chain.Invoke(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		ask(fmt.Sprint(i))
	}
	ask("0") // asked again: not the next to go
	for i := 10; i < 14; i++ {
		ask(fmt.Sprint(i))
	}
	ask("huge")
	if calls != 15 || len(a.byKey) != 10 || a.recent.Len() != 10 || a.used > room {
		t.Errorf("%d calls, %d answers of %d bytes", calls, len(a.byKey), a.used)
	}
	ask("0")
	ask("huge")
	ask("1")
	if calls != 17 {
		t.Errorf("%d calls: the one that was used last was evicted, or the huge one stored", calls)
	}
}

// Ten concurrent identical calls are made once.
func TestIdenticalCallsAreMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		realm, calls := progressing()
		chain := NewCache(1 << 20).Wrap(realm)
		var wg sync.WaitGroup
		received := make([]int, 10)
		for i := range 10 {
			wg.Go(func() {
				c := asking(time.Minute, 0)
				c.Progress = func(Progress) { received[i]++ }
				res, err := chain.Invoke(t.Context(), c)
				if err != nil || string(res.Output) != `"x"` || res.Degraded {
					t.Errorf("%+v %v", res, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if calls() != 1 || slices.Min(received) != 5 || slices.Max(received) != 5 {
			t.Errorf("%d calls, %v received", calls(), received)
		}
	})
}

// progressing takes five seconds and reports progress in each.
func progressing() (Invoker, func() int) {
	var calls atomic.Int64
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		calls.Add(1)
		for i := range 5 {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			if c.Progress != nil {
				c.Progress(Progress{Done: float64(i)})
			}
		}
		return &Result{Output: []byte(`"x"`)}, nil
	}), func() int { return int(calls.Load()) }
}

// A caller that cancels gets its own error at once, and the others get the result. If it was the one that made the call, the
// others make it again, once for all.
func TestCancelOfOneCallerDoesNotFailOthers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		leaves func(i int) bool
		calls  int
		took   time.Duration
	}{
		{"the first", func(i int) bool { return i == 0 }, 2, 7500 * time.Millisecond},
		{"another", func(i int) bool { return i == 5 }, 1, 5 * time.Second},
		{"all but one", func(i int) bool { return i != 5 }, 2, 7500 * time.Millisecond},
		{"all", func(int) bool { return true }, 1, 2500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				realm, calls := progressing()
				chain := NewCache(1 << 20).Wrap(realm)
				gone := schemas.Errorf(schemas.CodeCancelled, "gone")
				began := time.Now()
				var wg sync.WaitGroup
				for i := range 10 {
					ctx, cancel := context.WithCancelCause(t.Context())
					if tt.leaves(i) {
						after := 2500 * time.Millisecond
						if i > 0 {
							after -= time.Microsecond // the others leave before the first does
						}
						time.AfterFunc(after, func() { cancel(gone) })
					}
					wg.Go(func() {
						defer cancel(nil)
						res, err := chain.Invoke(ctx, asking(time.Minute, 0))
						switch {
						case tt.leaves(i) && (!errors.Is(err, gone) || time.Since(began) > 2500*time.Millisecond):
							t.Errorf("%d left after %s: %v", i, time.Since(began), err)
						case !tt.leaves(i) && (err != nil || string(res.Output) != `"x"`):
							t.Errorf("%d stayed: %+v %v", i, res, err)
						}
					})
					synctest.Wait()
				}
				wg.Wait()
				if calls() != tt.calls || time.Since(began) != tt.took {
					t.Errorf("%d calls in %s", calls(), time.Since(began))
				}
			})
		})
	}
}

// Calls with different timeouts do not share one, so no call is cut by the timeout of another one.
func TestCallsWithOtherTimeoutsAreSeparate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		realm, most := busy()
		chain := NewCache(1 << 20).Wrap(realm)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				c := asking(time.Minute, 0)
				c.Timeout = time.Duration(i/2+1) * time.Minute
				if _, err := chain.Invoke(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most() != 2 {
			t.Errorf("%d calls at once", most())
		}
	})
}
