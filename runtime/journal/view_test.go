package journal

import (
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// oneTool is a catalog with the tool r.once.
type oneTool struct{}

func (oneTool) Realms() []string               { return []string{"r"} }
func (oneTool) Tools(string) ([]string, error) { return []string{"once"}, nil }
func (oneTool) Tool(realm, name string) (plan.Tool, bool) {
	return plan.Tool{Effect: schemas.EffectOnce, Hash: "h", InputSchema: []byte(`{"type":"object"}`)}, realm == "r" && name == "once"
}

// What an execution of one once call waits for after its call has ended in some way at the given time.
func TestWaitingForSaysWhatACallWaitsFor(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		err     *schemas.Error
		reason  string
		until   time.Duration // may_still_run_until, after the start; 0: absent
		expires time.Duration
	}{
		"a quota that is used up": {
			err:    schemas.Errorf(schemas.CodeQuotaExceeded, "used up").WithOutcome(schemas.NotRun).WithRetryAfter(time.Minute),
			reason: schemas.ReasonBudget, expires: time.Minute,
		},
		"no answer": {err: schemas.Errorf(schemas.CodeTimeout, "late").WithOutcome(schemas.Unknown), reason: schemas.ReasonUnknown,
			until: 80 * time.Second},
		"a process that has ended": {err: &schemas.Error{Code: schemas.CodeUnavailable, Outcome: schemas.Unknown, Ended: true},
			reason: schemas.ReasonUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := plan.Parse(t.Context(), []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"20s"}]}`), plan.Limits{})
			program, findings := plan.Compile(t.Context(), p, oneTool{}, plan.Limits{})
			if program == nil {
				t.Fatal(findings)
			}
			s, now := machine.New(program), start
			apply := func(e schemas.Event) {
				e.Seq, e.At = s.Seq+1, now
				if err := s.Apply(&e); err != nil {
					t.Fatal(err)
				}
			}
			apply(schemas.Event{Type: schemas.EventCreated})
			apply(schemas.Event{Type: schemas.EventStarted})
			apply(schemas.Event{Type: schemas.EventNodeStarted, Node: "n", Attempt: 1})
			apply(*s.Failed(0, 1, tt.err, 0, now, func() float64 { return 0.5 }))
			w := View(s).WaitingFor
			if len(w) != 1 || w[0].Reason != tt.reason || w[0].NodeID != "n" {
				t.Fatalf("%+v", w)
			}
			for _, at := range []struct {
				got  *time.Time
				want time.Duration
			}{{w[0].MayRunUntil, tt.until}, {w[0].ExpiresAt, tt.expires}} {
				if (at.got == nil) != (at.want == 0) || at.got != nil && !at.got.Equal(start.Add(at.want)) {
					t.Errorf("%s, want %s after the start", at.got, at.want)
				}
			}
		})
	}
}
