package runtime

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A principal keeps a limited number of states and sessions; what is deleted, has ended or expired makes room, and another principal has room
// of its own.
func TestPrincipalsKeepALimitedNumber(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		most := func(c *Config) { c.States.Max, c.Sessions.Max = 3, 3 }
		p, replica := run(w, s, most), run(w, s, most)
		defer p.stop()
		defer replica.stop()
		for name, tt := range map[string]struct {
			make   func(p *process, principal string, n int, ttl time.Duration) error
			remove func(n int) error
		}{
			"states": {
				func(p *process, principal string, n int, ttl time.Duration) error {
					return errOf(p.States.Set(as(t, principal), state.Write{Ref: state.Ref{Type: fmt.Sprint("t", n%2), Key: fmt.Sprint(n)}, Data: schemas.Value(`1`), TTL: ttl}))
				},
				func(n int) error {
					return errOf(p.States.Delete(as(t, "ada"), state.Ref{Type: fmt.Sprint("t", n%2), Key: fmt.Sprint(n)}, nil))
				},
			},
			"sessions": {
				func(p *process, principal string, n int, ttl time.Duration) error {
					id := fmt.Sprint(n)
					u := schemas.SessionUpdates{AgentID: &id}
					if ttl > 0 {
						seconds := int64(ttl / time.Second)
						u.TTLSeconds = &seconds
					}
					return errOf(p.Sessions.Create(as(t, principal), u))
				},
				func(n int) error {
					list, err := p.Sessions.List(as(t, "ada"), session.Query{AgentID: fmt.Sprint(n)})
					if err != nil {
						return err
					}
					return errOf(p.Sessions.Delete(as(t, "ada"), list.Sessions[0].SessionID))
				},
			},
		} {
			full := func(p *process, n int) {
				t.Helper()
				err := tt.make(p, "ada", n, 0)
				if e := schemas.AsError(err); codeOf(err) != schemas.CodeQuotaExceeded || !strings.Contains(e.Message, "3 "+name) || !strings.Contains(e.Hint, "limits.max_"+name) {
					t.Errorf("%s: one too many: %v", name, err)
				}
			}
			for n := range 3 {
				if err := tt.make(p, "ada", n, map[int]time.Duration{2: time.Hour}[n]); err != nil {
					t.Fatalf("%s %d: %v", name, n, err)
				}
			}
			full(p, 3)
			full(replica, 3)
			if err := tt.make(p, "bob", 0, 0); err != nil {
				t.Errorf("%s of another: %v", name, err)
			}
			if name == "states" {
				if err := tt.make(p, "ada", 1, 0); err != nil {
					t.Errorf("writing one that exists: %v", err)
				}
			}
			if err := tt.remove(0); err != nil {
				t.Fatal(err)
			}
			if err := tt.make(p, "ada", 4, 0); err != nil {
				t.Errorf("%s: what was deleted makes no room: %v", name, err)
			}
			full(p, 5)
			time.Sleep(time.Hour + records.UsageAge + time.Second)
			if err := tt.make(replica, "ada", 5, 0); err != nil {
				t.Errorf("%s: what expired makes no room: %v", name, err)
			}
			time.Sleep(records.UsageAge + time.Second)
			full(p, 6)
		}
	})
}

// A session's quota of executions counts those that were submitted for it, not those within them, and comes back over time.
func TestQuotaOfExecutions(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) {
			c.Quotas = call.QuotaRules{Session: schemas.Quota{Executions: 2, Per: schemas.Duration(time.Hour)}}
		})
		defer p.stop()
		session, err := p.Sessions.Create(t.Context(), schemas.SessionUpdates{})
		if err != nil {
			t.Fatal(err)
		}
		submit := func(id, key string) (schemas.Execution, error) {
			return p.Executions.Execute(t.Context(), engine.Submit{SessionID: id, IdempotencyKey: key, Plan: []byte(
				`{"plan":"v1","nodes":[{"id":"w","for_each":[1,2,3],"workflow":{"definition":{"nodes":[{"id":"a","set":1}]}}}]}`)})
		}
		for _, key := range []string{"a", "b", "a"} {
			e, err := submit(session.SessionID, key)
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "w=succeeded")
		}
		_, err = submit(session.SessionID, "c")
		if e := schemas.AsError(err); codeOf(err) != schemas.CodeQuotaExceeded || !strings.Contains(e.Message, "the session has used up its 2 executions in 1h") || e.RetryAfterSeconds <= 0 {
			t.Errorf("the third: %v", err)
		}
		if _, err := submit("", ""); err != nil {
			t.Errorf("without the session: %v", err)
		}
		time.Sleep(30 * time.Minute)
		if _, err := submit(session.SessionID, "c"); err != nil {
			t.Errorf("half an hour later: %v", err)
		}
	})
}
