package runtime

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// A policy against repeating calls of unknown outcome holds for plans that were accepted before it, however the next call would have come
// about: at once, after a backoff that had begun, or after a crash. Where the policy is of another capability, or the call is not a once
// call, on_unknown: retry of the plan still holds.
func TestPolicyAgainstRetryOfUnknownHoldsForAcceptedPlans(t *testing.T) {
	of := func(capability string, allowed bool) schemas.Policies {
		return schemas.Policies{Realms: map[string]schemas.RealmPolicy{"r": {Capabilities: map[string]schemas.Policy{capability: {RetryUnknown: &allowed}}}}}
	}
	everywhere := schemas.Policies{Default: schemas.Policy{RetryUnknown: new(false)}}
	for name, tt := range map[string]struct {
		tool   string
		rule   schemas.Policies
		when   time.Duration // the first attempt ends after 10s, its backoff after 40s, and it can no longer run after 70s
		crash  bool
		calls  int
		status schemas.Status
	}{
		"before it ends":        {"once", everywhere, 5 * time.Second, false, 1, schemas.StatusSuspended},
		"while it backs off":    {"once", everywhere, 20 * time.Second, false, 1, schemas.StatusSuspended},
		"after the backoff":     {"once", everywhere, 75 * time.Second, false, 2, schemas.StatusSuspended},
		"crash":                 {"once", everywhere, 5 * time.Second, true, 1, schemas.StatusSuspended},
		"of the capability":     {"once", of("once", false), 5 * time.Second, false, 1, schemas.StatusSuspended},
		"none":                  {"once", schemas.Policies{}, 5 * time.Second, false, 3, schemas.StatusFailed},
		"none, crash":           {"once", schemas.Policies{}, 5 * time.Second, true, 4, schemas.StatusFailed},
		"of another capability": {"once", of("read", false), 5 * time.Second, false, 3, schemas.StatusFailed},
		"another effect":        {"idempotent", everywhere, 5 * time.Second, false, 3, schemas.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				first := s
				if tt.crash {
					first = storetest.Crash(s, 2, storetest.CrashBefore) // what comes after the start is not committed
				}
				p := run(w, first)
				id := p.submit(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.`+tt.tool+`","inputs":{"mute":true},"timeout":"10s","on_unknown":"retry",
					"retry":{"max_attempts":3,"initial_interval":"30s","backoff_coefficient":1,"jitter":0}}]}`)
				time.Sleep(tt.when)
				if tt.crash {
					p.stop()
					p = run(w, s, func(c *Config) { c.Policies = tt.rule })
				} else {
					p.Capabilities.SetPolicies(tt.rule)
				}
				defer p.stop()
				p.rest(t, id)
				time.Sleep(time.Hour)
				synctest.Wait()
				e := p.rest(t, id)
				if e.Status != tt.status || w.calls(tt.tool, "n") != tt.calls {
					t.Errorf("%s %v after %d calls, want %s after %d", e.Status, e.Nodes[0].Error, w.calls(tt.tool, "n"), tt.status, tt.calls)
				}
				if tt.status == schemas.StatusSuspended && (e.WaitingFor[0].Reason != schemas.ReasonUnknown || !strings.Contains(e.Nodes[0].Error.Message, "may have happened")) {
					t.Errorf("%+v %v", e.WaitingFor, e.Nodes[0].Error)
				}
			})
		})
	}
}
