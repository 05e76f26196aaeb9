package call

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func TestQuotasOfCallsBytesAndTime(t *testing.T) {
	hour := schemas.Duration(time.Hour)
	for _, tt := range []struct {
		name    string
		quota   schemas.Quota
		passes  int           // before the first refusal
		wait    time.Duration // that it names
		message string
	}{
		{"calls", schemas.Quota{Calls: 6, Per: hour}, 6, 10 * time.Minute, "has used up its 6 calls in 1h"},
		{"one call", schemas.Quota{Calls: 1}, 1, time.Hour, "its one call in 1h"},
		{"bytes", schemas.Quota{Bytes: 200, Per: hour}, 3, 30 * time.Minute, "its 200 bytes"}, // the third owes what 100 bytes too many cost
		{"time", schemas.Quota{Time: schemas.Duration(25 * time.Second), Per: hour}, 3, 12 * time.Minute, "its 25s in calls"},
		{"the smallest counts", schemas.Quota{Calls: 100, Bytes: 200, Per: hour}, 3, 30 * time.Minute, "bytes"},
		{"none", schemas.Quota{}, 50, 0, ""},
	} {
		for _, whose := range []string{"principal", "session"} {
			t.Run(tt.name+" of a "+whose, func(t *testing.T) {
				withStore(t, func(t *testing.T, s store.Store) {
					q := NewQuotas(NewTokens(s, hclog.NewNullLogger()))
					rules := QuotaRules{Principal: tt.quota}
					if whose == "session" {
						rules = QuotaRules{Session: tt.quota}
					}
					q.Set(rules)
					chain := q.Wrap(Func(func(context.Context, *Call) (*Result, error) {
						time.Sleep(10 * time.Second)
						return &Result{Output: []byte(strings.Repeat("x", 90))}, nil
					}))
					ask := func(principal, session string) error {
						_, err := chain.Invoke(t.Context(), &Call{Realm: "r", Capability: "c", Inputs: []byte(`{"a":"xyz"}`[:10]), Principal: principal, SessionID: session})
						return err
					}
					passed := 0
					var e *schemas.Error
					for passed < 50 {
						if err := ask("ada", "s"); err != nil {
							e = schemas.AsError(err)
							break
						}
						passed++
					}
					if passed != tt.passes {
						t.Fatalf("%d calls passed, then %v", passed, e)
					}
					if e == nil {
						return
					}
					wait := time.Duration(e.RetryAfterSeconds * float64(time.Second))
					earlier := time.Duration(passed) * 10 * time.Second // what came back while the calls took their time
					named := strings.Contains(e.Message, whose) && strings.Contains(e.Message, tt.message)
					if e.Code != schemas.CodeQuotaExceeded || !e.Refused() || wait > tt.wait || wait < tt.wait-earlier || !named {
						t.Errorf("waits %s: %+v", wait, e)
					}
					if err := ask("bob", "s"); err != nil {
						t.Errorf("another principal, in a session of the same name: %v", err)
					}
					time.Sleep(wait)
					if err := ask("ada", "s"); err != nil {
						t.Errorf("after the wait: %v", err)
					}
				})
			})
		}
	}
}

// A debt larger than the quota is paid in parts, and a failed call costs its time too.
func TestQuotaDebtIsPaidOff(t *testing.T) {
	withStore(t, func(t *testing.T, s store.Store) {
		q := NewQuotas(NewTokens(s, hclog.NewNullLogger()))
		q.Set(QuotaRules{Principal: schemas.Quota{Time: schemas.Duration(time.Minute), Per: schemas.Duration(time.Hour)}})
		took := 150 * time.Second
		chain := q.Wrap(Func(func(context.Context, *Call) (*Result, error) { time.Sleep(took); return nil, down }))
		c := &Call{Principal: "ada"}
		_, err := chain.Invoke(t.Context(), c)
		if !errors.Is(err, down) {
			t.Fatal(err)
		}
		took = 0
		began := time.Now()
		for {
			_, err := chain.Invoke(t.Context(), c)
			if errors.Is(err, down) {
				break
			}
			time.Sleep(time.Duration(schemas.AsError(err).RetryAfterSeconds * float64(time.Second)))
		}
		if waited := time.Since(began); waited < 80*time.Minute || waited > 91*time.Minute {
			t.Errorf("90 s too many at one minute an hour are paid after %s", waited)
		}
	})
}

// A session that keeps calling beyond its quota does not use up the quota of its principal.
func TestSessionBeyondItsQuotaDoesNotUseUpItsPrincipals(t *testing.T) {
	withStore(t, func(t *testing.T, s store.Store) {
		q := NewQuotas(NewTokens(s, hclog.NewNullLogger()))
		q.Set(QuotaRules{Principal: schemas.Quota{Calls: 6}, Session: schemas.Quota{Calls: 1}})
		realm, _ := answers()
		chain := Chain(realm, q.Early, q.Wrap)
		ask := func(session string) schemas.Code {
			_, err := chain.Invoke(t.Context(), &Call{Principal: "ada", SessionID: session})
			if err == nil {
				return ""
			}
			return schemas.AsError(err).Code
		}
		if code := ask("noisy"); code != "" {
			t.Fatal(code)
		}
		for range 20 {
			if code := ask("noisy"); code != schemas.CodeQuotaExceeded { // what the first costs its principal is all
				t.Fatal(code)
			}
		}
		for _, session := range []string{"a", "b", "c", "d"} {
			if code := ask(session); code != "" {
				t.Errorf("session %s: %s", session, code)
			}
		}
		if code := ask("e"); code != schemas.CodeQuotaExceeded {
			t.Errorf("beyond the principal's: %q", code)
		}
		q.Set(QuotaRules{Session: schemas.Quota{Calls: 100}})
		if code := ask("e"); code != "" {
			t.Errorf("after the operator raised it: %s", code)
		}
		q.Set(QuotaRules{Session: schemas.Quota{Calls: 1}})
		_, _ = ask("z"), ask("z") // now it is known
		time.Sleep(time.Hour)
		if code := ask("z"); code != "" {
			t.Errorf("an hour later: %s", code)
		}
	})
}
