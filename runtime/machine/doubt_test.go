package machine

import (
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// denied has the verification of a unit answer that the call did not happen, until that is believed. It returns how often it was asked.
func (m *sim) denied(name string) (asked int) {
	m.t.Helper()
	for u := &m.s.Units[m.index(name)]; u.Phase == units.PhaseVerify && !u.Status.Ended(); {
		if u.Status == schemas.NodeRunning {
			asked++
			m.notDone(name)
			continue
		}
		if asked > 100 {
			m.t.Fatalf("%s is asked without end", name)
		}
		m.elapse(m.s.Wake(m.now).Sub(m.now))
	}
	return asked
}

// settling are rules by which calls may run for another 30 s.
func settling(*plan.Target) UnknownRules { return UnknownRules{Settle: 30 * time.Second} }

// TestNoIsBelievedWhenTheCallCanNoLongerRun has a once call of 20 s end in each way in which its outcome is unknown, and a verification
// that says no whenever it is asked: the next call starts when the first can no longer run, and not before.
func TestNoIsBelievedWhenTheCallCanNoLongerRun(t *testing.T) {
	late := func(m *sim, err *schemas.Error) {
		for _, e := range m.s.LateFailure(0, m.s.Units[0].UnknownAttempt, err, 0, "w", m.now) {
			m.emit(e)
		}
		m.advance()
	}
	never := UnknownRules{}
	for name, tt := range map[string]struct {
		timeout string
		rules   *UnknownRules
		end     func(m *sim) // 5 s after the start
		again   time.Duration
		status  schemas.NodeStatus // then
	}{
		"no answer within the timeout": {end: func(m *sim) { m.elapse(15 * time.Second); m.fail("n", lost) }, again: 50 * time.Second},
		"the connection was lost":      {end: func(m *sim) { m.fail("n", lost) }, again: 50 * time.Second},
		"it was sent late":             {end: func(m *sim) { m.elapse(25 * time.Second); m.fail("n", lost) }, again: 60 * time.Second},
		"a crash":                      {end: func(m *sim) { m.crash() }, again: 50 * time.Second},
		"a crash, noticed later":       {end: func(m *sim) { m.elapse(time.Hour); m.crash() }, again: time.Hour + 5*time.Second},
		"a crash, after a queue": {
			end: func(m *sim) { m.crash() }, rules: &UnknownRules{Settle: time.Second, Queue: 7 * time.Second}, again: 28 * time.Second,
		},
		"a crash, and calls that settle at once": {end: func(m *sim) { m.crash() }, rules: &never, again: 20 * time.Second},
		"the process of the realm has ended":     {end: func(m *sim) { m.fail("n", ended) }, again: 5 * time.Second},
		"it ends later": {
			end: func(m *sim) { m.fail("n", lost); m.notDone("n"); m.elapse(3 * time.Second); late(m, ended) }, again: 8 * time.Second,
		},
		"it ends while the verification is asked": {
			end: func(m *sim) { m.fail("n", lost); m.elapse(3 * time.Second); late(m, ended) }, again: 8 * time.Second,
		},
		"a verification that lasts until it can no longer run": {
			end: func(m *sim) { m.fail("n", lost); m.elapse(time.Minute) }, again: 65 * time.Second,
		},
		"it failed late, and such failures are retried": {
			end: func(m *sim) { m.fail("n", lost); late(m, unavailable.WithOutcome(schemas.RanFailed)) }, again: 5 * time.Second,
		},
		"it failed late": {
			end: func(m *sim) {
				m.fail("n", lost)
				late(m, schemas.Errorf(schemas.CodeDenied, "no").WithOutcome(schemas.RanFailed))
			}, again: 5 * time.Second, status: schemas.NodeFailed,
		},
		"it was never sent, as is known late": {
			end: func(m *sim) { m.fail("n", lost); late(m, limited) }, again: 5 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"20s",
				"retry":{"max_attempts":2,"initial_interval":"1ms","jitter":0},`+verified+`}]}`)
			m.s.SetUnknownRules(settling)
			if tt.rules != nil {
				m.s.SetUnknownRules(func(*plan.Target) UnknownRules { return *tt.rules })
			}
			m.elapse(5 * time.Second)
			tt.end(m)
			asked := m.denied("n")
			if u := &m.s.Units[0]; u.Status == schemas.NodeBackingOff {
				m.elapse(u.Due.Sub(m.now))
			}
			u, want := &m.s.Units[0], tt.status
			if want == "" {
				want = schemas.NodeRunning
			}
			if took := m.now.Sub(epoch).Truncate(10 * time.Millisecond); took != tt.again || u.Status != want || u.Phase != units.PhaseRun && !u.Status.Ended() {
				t.Errorf("%s in phase %q after %s, want %s after %s", u.Status, u.Phase, took, want, tt.again)
			}
			if asked > 8 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// A call without a timeout may run for ever: no "no" counts, and a person decides.
func TestCallWithoutATimeoutIsDecidedByAPerson(t *testing.T) {
	p := program(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once",`+verified+`}]}`)
	p.Nodes[0].Timeout = 0
	m := &sim{t: t, s: New(p), now: epoch}
	m.emit(schemas.Event{Type: schemas.EventCreated, Priority: 3})
	m.emit(schemas.Event{Type: schemas.EventStarted})
	m.advance()
	m.crash()
	m.notDone("n")
	m.want(schemas.StatusSuspended, "n=held")
	if u := &m.s.Units[0]; u.Reason != schemas.ReasonUnknown || !u.MayRunUntil.Equal(Forever) {
		t.Errorf("%+v", u)
	}
}

// A call that the plan repeats though its outcome is unknown is repeated when it can no longer run, however it was lost, and a late
// answer decides before that.
func TestRetryOfAnUnknownCallWaitsForItsEnd(t *testing.T) {
	source := `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"20s","on_unknown":"retry"}]}`
	for name, end := range map[string]func(m *sim){
		"timeout":  func(m *sim) { m.fail("n", lost) },
		"crash":    func(m *sim) { m.crash() },
		"shutdown": func(m *sim) { m.fail("n", cancelled) },
	} {
		t.Run(name, func(t *testing.T) {
			m := begin(t, source)
			m.s.SetUnknownRules(settling)
			end(m)
			m.elapse(50*time.Second - 1)
			m.want(schemas.StatusRunning, "n=backing_off")
			if u := &m.s.Units[0]; !u.MayRunUntil.Equal(epoch.Add(50 * time.Second)) {
				t.Errorf("%+v", u)
			}
			m.elapse(1)
			m.want(schemas.StatusRunning, "n=running")
		})
		t.Run(name+", and it ends", func(t *testing.T) {
			m := begin(t, source)
			m.s.SetUnknownRules(settling)
			end(m)
			m.elapse(10 * time.Second)
			m.emit(m.s.LateFailure(0, 1, ended, 0, "w", m.now)[0])
			m.advance()
			m.want(schemas.StatusRunning, "n=running")
		})
		t.Run(name+", and it succeeds", func(t *testing.T) {
			m := begin(t, source)
			end(m)
			m.emit(m.s.LateSuccess(0, 1, 0, "w")[0])
			m.advance()
			m.want(schemas.StatusSucceeded, "n=succeeded")
		})
	}
}

// Logs of earlier versions do not say until when a call may run. It is as long as by the defaults.
func TestDoubtInLogsOfEarlierVersions(t *testing.T) {
	for name, source := range map[string]string{
		"held":     `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"20s"}]}`,
		"verified": `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"20s",` + verified + `}]}`,
	} {
		m := begin(t, source)
		m.now = m.now.Add(20 * time.Second)
		e := *m.s.Failed(0, 1, lost, 0, m.now, middle)
		e.MayRunUntil = nil
		m.emit(e)
		if got := m.s.Units[0].MayRunUntil; !got.Equal(epoch.Add(80 * time.Second)) {
			t.Errorf("%s: may run until %s", name, got)
		}
	}
}

// The end of the doubt about a held call is noted, and nothing else follows from it.
func TestHeldCallThatEnds(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","timeout":"20s"}]}`)
	m.elapse(20 * time.Second)
	m.fail("n", lost)
	m.want(schemas.StatusSuspended, "n=held")
	if u := &m.s.Units[0]; !u.MayRunUntil.Equal(epoch.Add(80 * time.Second)) {
		t.Errorf("%+v", u)
	}
	for range 2 {
		for _, e := range m.s.LateFailure(0, 1, ended, 0, "w", m.now) {
			m.emit(e)
		}
		m.want(schemas.StatusSuspended, "n=held")
		if !m.s.MayRunUntil(0).IsZero() {
			t.Errorf("it may run until %s", m.s.MayRunUntil(0))
		}
	}
	m.emit(m.s.LateSuccess(0, 1, 0, "w")[0]) // its answer still counts
	m.advance()
}
