package machine

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// refuse answers each call of node a with the error until the execution ends, or 1,000 times; it returns the waits between the calls.
func (m *sim) refuse(err *schemas.Error, random func() float64) (waits []time.Duration) {
	m.t.Helper()
	i := m.index("a")
	for u := &m.s.Units[i]; m.s.Status == schemas.StatusRunning && len(waits) < 1000; {
		m.emit(*m.s.Failed(i, u.Attempts, err, time.Millisecond, m.now, random))
		m.advance()
		if m.s.Units[i].Status == schemas.NodeBackingOff {
			due := m.s.Units[i].Due
			if limit := m.s.Units[i].TotalDue; !limit.IsZero() && limit.Before(due) {
				due = limit
			}
			waits = append(waits, due.Sub(m.now))
			m.now = due
			m.advance()
		}
	}
	return waits
}

// A realm that always refuses is called ever less often, whatever it says about the time, and not for ever.
func TestRefusalsOfARealmBackOffAndEnd(t *testing.T) {
	const most = 3 * schemas.DefaultMaxRefusals // attempts × refusals
	for name, seconds := range map[string]float64{
		"missing": 0, "negative": -5, "tiny": 1e-9, "one second": 1, "an hour": 3600, "huge": 99999999999, "beyond a float": math.Inf(1),
		"no number": math.NaN(), "negative infinity": math.Inf(-1),
	} {
		for _, outcome := range []schemas.Outcome{schemas.NotRun, schemas.RanFailed} {
			t.Run(name+", "+string(outcome), func(t *testing.T) {
				m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once"}]}`)
				err := schemas.Errorf(schemas.CodeRateLimited, "slow down").WithOutcome(outcome)
				err.RefusedBy, err.RetryAfterSeconds = schemas.RefusedByRealm, seconds
				if math.IsNaN(seconds) || math.IsInf(seconds, 0) { // an event cannot have it
					if d := err.RetryAfter(); d < 0 || seconds > 0 && d == 0 {
						t.Errorf("RetryAfter is %s", d)
					}
					return
				}
				waits := m.refuse(err, middle)
				if m.s.Status != schemas.StatusFailed || len(waits) != most-1 {
					t.Fatalf("%s after %d waits: %v", m.s.Status, len(waits), waits)
				}
				if e := m.s.Error; e.Code != schemas.CodeRateLimited || !strings.Contains(e.Message, "refused 30 times in a row") || !strings.Contains(e.Message, "each 10") {
					t.Errorf("ended with %v", e)
				}
				for i := range waits {
					if waits[i] < 500*time.Millisecond || i > 0 && waits[i] < min(waits[i-1], time.Hour) || waits[i] < time.Duration(min(seconds, 3600)*float64(time.Second)) {
						t.Fatalf("the waits are not backed off: %v", waits)
					}
				}
				if last := waits[len(waits)-1]; last < 30*time.Second {
					t.Errorf("at last it is called every %s", last)
				}
				if u := &m.s.Units[0]; u.Refused != most-3 || u.Failures != 2 || u.TurnedAway[schemas.CodeRateLimited] != most-3 {
					t.Errorf("counted %d refused, %d failed attempts, %v", u.Refused, u.Failures, u.TurnedAway)
				}
			})
		}
	}
}

// What bounds a node bounds its refusals.
func TestRefusalsOfARealmAreBounded(t *testing.T) {
	refusal := schemas.Errorf(schemas.CodeRateLimited, "slow down").WithOutcome(schemas.NotRun).With(func(e *schemas.Error) { e.RefusedBy = schemas.RefusedByRealm })
	for _, tt := range []struct {
		name, node string
		retryAfter time.Duration
		set        func(*plan.Target)
		calls      int
		code       schemas.Code
	}{
		{"three in a row", `"retry":{"max_attempts":1}`, 0, func(t *plan.Target) { t.MaxRefusals = 3 }, 3, schemas.CodeRateLimited},
		{"each is an attempt", `"retry":{"max_attempts":4}`, 0, func(t *plan.Target) { t.MaxRefusals = 1 }, 4, schemas.CodeRateLimited},
		{"no limit but total_timeout", `"total_timeout":"10m"`, time.Minute, func(t *plan.Target) { t.MaxRefusals = 0 }, 10, schemas.CodeTimeout},
		{"max_elapsed", `"retry":{"max_elapsed":"3m","max_attempts":50}`, time.Minute, func(*plan.Target) {}, 3, schemas.CodeRateLimited},
		{"not to be retried", `"retry":{"no_retry_on":["rate_limited"]}`, 0, func(*plan.Target) {}, 10, schemas.CodeRateLimited},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read",`+tt.node+`}]}`)
			tt.set(&m.s.program.Nodes[0].Target)
			waits := m.refuse(refusal.WithRetryAfter(tt.retryAfter), func() float64 { return 0.5 })
			calls := len(waits) + 1
			if tt.code == schemas.CodeTimeout {
				calls-- // the last wait ended with the timeout
			}
			if m.s.Status != schemas.StatusFailed || calls != tt.calls || m.s.Error.Code != tt.code {
				t.Errorf("%s after %d calls: %v; waits %v", m.s.Status, calls, m.s.Error, waits)
			}
		})
	}
}

// Anything but a refusal begins the count again; a refusal by a limit of the runtime leaves it, and is repeated at its time.
func TestRefusalsInARowAreCounted(t *testing.T) {
	refusal := limited.With(func(e *schemas.Error) { e.RefusedBy, e.RetryAfterSeconds = schemas.RefusedByRealm, 0 })
	m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","retry":{"max_attempts":9}}]}`)
	u := &m.s.Units[0]
	for i, step := range []struct {
		err     *schemas.Error
		inARow  int
		waits   time.Duration
		attempt bool
	}{
		{refusal, 1, 500 * time.Millisecond, false},
		{refusal, 2, time.Second, false},
		{limited, 2, 2 * time.Second, false},
		{refusal, 3, 2 * time.Second, false},
		{unavailable, 0, 500 * time.Millisecond, true},
		{refusal, 1, 500 * time.Millisecond, false},
	} {
		failures := u.Failures
		m.fail("a", step.err)
		if u.RefusedInRow != step.inARow || u.Due.Sub(m.now) != step.waits || (u.Failures > failures) != step.attempt {
			t.Errorf("step %d: %d in a row, waits %s, %d failures", i, u.RefusedInRow, u.Due.Sub(m.now), u.Failures)
		}
		m.now = u.Due
		m.advance()
	}
}

// A compensation that its realm refuses is repeated like a node, and does not last for ever either.
func TestRefusedCompensationEnds(t *testing.T) {
	refusal := limited.With(func(e *schemas.Error) { e.RefusedBy, e.RetryAfterSeconds = schemas.RefusedByRealm, 0 })
	m := begin(t, `{"plan":"v1","nodes":[
		{"id":"a","capability":"r.once","compensate":{"capability":"r.once"}},
		{"id":"b","capability":"r.read","depends_on":["a"],"on_error":"compensate"}]}`)
	m.succeed("a")
	m.fail("b", toolError)
	calls := 0
	for ; m.s.Status == schemas.StatusCompensating && calls < 1000; calls++ {
		m.fail("a", refusal)
		if due := m.s.Units[0].Due; due.After(m.now) {
			m.now = due
		}
		m.advance()
	}
	if m.s.Status != schemas.StatusFailed || calls != 3*schemas.DefaultMaxRefusals || m.s.Units[0].Error.Code != schemas.CodeRateLimited {
		t.Errorf("%s after %d calls: %v", m.s.Status, calls, m.s.Units[0].Error)
	}
}

// max_elapsed of a compensation has nothing to do with how long ago the node itself started.
func TestMaxElapsedDoesNotEndALateCompensation(t *testing.T) {
	for name, err := range map[string]*schemas.Error{
		"refused":     limited.With(func(e *schemas.Error) { e.RefusedBy, e.RetryAfterSeconds = schemas.RefusedByRealm, 0 }),
		"unavailable": unavailable,
	} {
		t.Run(name, func(t *testing.T) {
			m := begin(t, `{"plan":"v1","nodes":[
				{"id":"a","capability":"r.once","compensate":{"capability":"r.read","retry":{"max_attempts":3,"max_elapsed":"1m"}}},
				{"id":"b","capability":"r.read","depends_on":["a"],"on_error":"compensate"}]}`)
			m.succeed("a")
			m.now = m.now.Add(time.Hour)
			m.fail("b", toolError)
			m.fail("a", err)
			if u := &m.s.Units[0]; m.s.Status != schemas.StatusCompensating || !u.Due.After(m.now) {
				t.Fatalf("%s after one failure: %v", m.s.Status, u.Error)
			}
		})
	}
}

// Calls that were refused together are not repeated together.
func TestRefusalsAreJittered(t *testing.T) {
	refusal := limited.With(func(e *schemas.Error) { e.RefusedBy, e.RetryAfterSeconds = schemas.RefusedByRealm, 60 })
	seen := map[time.Time]bool{}
	for _, r := range []float64{0, 0.3, 0.7, 0.999} {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"}]}`)
		e := m.s.Failed(0, 1, refusal, 0, m.now, func() float64 { return r })
		if wait := e.Due.Sub(m.now); wait < time.Minute || wait > 66*time.Second {
			t.Errorf("waits %s", wait)
		}
		seen[*e.Due] = true
	}
	if len(seen) != 4 {
		t.Errorf("all are due at %v", seen)
	}
}
