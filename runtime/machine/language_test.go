package machine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// crash ends the worker with all its calls.
func (m *sim) crash() {
	m.t.Helper()
	for _, e := range m.s.Recover("w", m.now, 3, nil) {
		m.emit(e)
	}
	m.advance()
}

// elapse lets time pass.
func (m *sim) elapse(d time.Duration) {
	m.t.Helper()
	m.now = m.now.Add(d)
	m.advance()
}

// compensated ends the compensation of a unit.
func (m *sim) compensated(name string) {
	m.t.Helper()
	m.emit(m.s.Event(schemas.EventNodeCompensated, m.index(name)))
	m.advance()
}

// notDone is the answer of a verification that the call did not happen.
func (m *sim) notDone(name string) {
	m.t.Helper()
	i := m.index(name)
	e := m.s.NotDone(i, m.s.Units[i].Attempts, 0, m.now, middle)
	if e == nil {
		m.t.Fatalf("%s is not verified", name)
	}
	m.emit(*e)
	m.advance()
}

const verified = `"on_unknown":{"verify":{"capability":"r.read_v","happened":"${output.yes}"}}`

func TestVerifyAsksWhetherItHappened(t *testing.T) {
	source := `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","fallback":[{"value":0}],` + verified + `%s}]}`
	for name, unknown := range map[string]func(m *sim){
		"a call without an answer": func(m *sim) { m.fail("n", lost) },
		"a crash":                  func(m *sim) { m.crash() },
	} {
		t.Run(name, func(t *testing.T) {
			m := begin(t, fmt.Sprintf(source, ""))
			unknown(m)
			if got := m.s.Target(0).Name(); got != "r.read_v" || m.s.Units[0].Phase != units.PhaseVerify {
				t.Fatalf("calls %s in phase %q", got, m.s.Units[0].Phase)
			}
			m.crash() // a verification may be repeated
			m.succeed("n")
			m.want(schemas.StatusSucceeded, "n=succeeded")
		})
	}
	t.Run("a verification that fails holds the node", func(t *testing.T) {
		m := begin(t, fmt.Sprintf(source, ""))
		m.fail("n", lost)
		m.fail("n", toolError)
		m.want(schemas.StatusSuspended, "n=held")
		if e := m.s.Units[0].Error; e.Code != schemas.CodeOutcomeUnknown {
			t.Errorf("%v", e)
		}
	})
	t.Run("a verification that denies the call counts as a failed attempt", func(t *testing.T) {
		m := begin(t, fmt.Sprintf(source, `,"retry":{"max_attempts":2,"initial_interval":"1s","jitter":0}`))
		m.fail("n", lost)
		m.denied("n")
		m.want(schemas.StatusRunning, "n=backing_off")
		m.elapse(time.Second)
		m.fail("n", lost)
		m.denied("n") // no attempt is left, and it is certain that nothing happened: the fallback may serve
		m.want(schemas.StatusSucceeded, "n=succeeded")
		if m.s.Units[0].Fallback != 1 {
			t.Errorf("%+v", m.s.Units[0])
		}
	})
	t.Run("total_timeout does not end a verification", func(t *testing.T) {
		m := begin(t, fmt.Sprintf(source, `,"total_timeout":"10s"`))
		m.elapse(10 * time.Second)
		m.want(schemas.StatusRunning, "n=running")
		if m.s.Units[0].Phase != units.PhaseVerify || m.s.Units[0].Fallback != 0 {
			t.Errorf("%+v", m.s.Units[0])
		}
		m.elapse(time.Minute)
		m.succeed("n")
		m.want(schemas.StatusSucceeded, "n=succeeded")
	})
}

func TestTotalTimeoutBoundsTheAttemptsAndNotTheDecision(t *testing.T) {
	t.Run("a hold stands", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","total_timeout":"10s","on_error":"suspend"},{"id":"w","wait_for":"x"}]}`)
		m.elapse(10 * time.Second)
		m.elapse(time.Hour)
		m.want(schemas.StatusRunning, "n=held w=running")
	})
	t.Run("a fallback has its own", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","total_timeout":"10s","fallback":[{"capability":"r.read_b"}]}]}`)
		m.elapse(10 * time.Second)
		m.elapse(9 * time.Second)
		m.want(schemas.StatusRunning, "n=running")
		m.elapse(time.Second)
		m.want(schemas.StatusFailed, "n=failed")
	})
	t.Run("it begins when a review is over", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","total_timeout":"10s","safety_level":"review"}]}`)
		m.elapse(time.Hour)
		m.emit(schemas.Event{Type: schemas.EventReviewDecided, Node: "n", Name: Approve})
		m.advance()
		m.elapse(9 * time.Second)
		m.want(schemas.StatusRunning, "n=running")
		m.elapse(time.Second)
		m.want(schemas.StatusFailed, "n=failed")
	})
	t.Run("nothing starts that is over", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","total_timeout":"10s"}]}`)
		m.now = m.now.Add(time.Minute)
		m.crash()
		m.want(schemas.StatusFailed, "n=failed")
		if m.s.Units[0].Attempts != 1 {
			t.Errorf("%d attempts", m.s.Units[0].Attempts)
		}
	})
}

// on_unknown: fail counts as a failure for on_error, but not for the fallbacks: the call may have had its effect.
func TestUnknownOutcomeThatFailsObeysOnError(t *testing.T) {
	for onError, want := range map[string]struct {
		execution schemas.Status
		node      schemas.NodeStatus
	}{"fail": {schemas.StatusFailed, schemas.NodeFailed}, "continue": {schemas.StatusSucceeded, schemas.NodeFailed}, "suspend": {schemas.StatusSuspended, schemas.NodeHeld}} {
		for _, ends := range []string{"lost", "crash"} {
			m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","on_unknown":"fail","fallback":[{"value":1}],"on_error":"`+onError+`"}]}`)
			if ends == "lost" {
				m.fail("a", lost)
			} else {
				for _, e := range m.s.Recover("w", m.now, DefaultMaxRecoveries, nil) {
					m.emit(e)
				}
				m.advance()
			}
			u := &m.s.Units[0]
			if m.s.Status != want.execution || u.Status != want.node || u.Error == nil || u.Error.Code != schemas.CodeOutcomeUnknown {
				t.Errorf("on_error %s, %s: %s, %s with %v", onError, ends, m.s.Status, u.Status, u.Error)
			}
			if want.node == schemas.NodeHeld && u.Reason != schemas.ReasonError {
				t.Errorf("held for %q", u.Reason)
			}
		}
	}
}

func TestQueueTimeoutEndsAWaitToStart(t *testing.T) {
	m := begin(t, `{"plan":"v1","max_parallel":1,"nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read","queue_timeout":"10s","on_error":"continue"}]}`)
	m.elapse(10 * time.Second)
	m.want(schemas.StatusRunning, "a=running b=failed")
	if e := m.s.Units[1].Error; e.Code != schemas.CodeQueueTimeout || e.Outcome != schemas.NotRun {
		t.Errorf("%v", e)
	}
}

func TestRetryThatWaitsDelaysNoTimer(t *testing.T) {
	m := begin(t, `{"plan":"v1","max_parallel":1,"nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read"},{"id":"w","wait_for":{"event":"x","timeout":"1m"},"on_error":"continue"}]}`)
	m.fail("a", unavailable)
	m.want(schemas.StatusRunning, "a=backing_off b=running w=running")
	m.elapse(time.Second)
	if got := m.s.Wake(m.now); !got.Equal(epoch.Add(time.Minute)) {
		t.Errorf("wake at %s", got)
	}
	m.elapse(time.Minute)
	m.want(schemas.StatusRunning, "a=backing_off b=running w=failed")
}

func TestSignals(t *testing.T) {
	signal := func(m *sim, name string) {
		m.emit(schemas.Event{Type: schemas.EventSignal, Name: name, Data: schemas.Value(`7`)})
		m.advance()
	}
	t.Run("before the node waits", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"},{"id":"w","wait_for":"paid","depends_on":["a"]}]}`)
		signal(m, "paid")
		m.succeed("a")
		m.want(schemas.StatusSucceeded, "a=succeeded w=succeeded")
		if string(m.s.Units[1].Output) != "7" {
			t.Errorf("%s", m.s.Units[1].Output)
		}
	})
	t.Run("to every node that waits, and then to no other", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"a","wait_for":"paid"},{"id":"b","wait_for":"paid"},{"id":"c","wait_for":"paid","depends_on":["a"]}]}`)
		signal(m, "paid")
		m.want(schemas.StatusRunning, "a=succeeded b=succeeded c=running")
	})
	t.Run("not to one that has given up", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"a","wait_for":{"event":"paid","timeout":"1m"},"on_error":"continue"},{"id":"b","wait":"1h"},
			{"id":"c","wait_for":"paid","depends_on":["b"]}]}`)
		m.now = m.now.Add(time.Minute) // a wait of the sim takes a minute: b and a end together
		signal(m, "other")
		m.want(schemas.StatusRunning, "a=failed b=succeeded c=running")
		signal(m, "paid")
		m.want(schemas.StatusSucceeded, "a=failed b=succeeded c=succeeded")
	})
	t.Run("once to one that was tried again", func(t *testing.T) {
		m := begin(t, `{"plan":"v1","nodes":[{"id":"a","wait_for":{"event":"paid","timeout":"1m"},"on_error":"suspend"}]}`)
		m.elapse(time.Minute)
		m.want(schemas.StatusSuspended, "a=held")
		m.emit(schemas.Event{Type: schemas.EventNodePatched, Node: "a", Patch: &schemas.NodePatch{Retry: true}})
		m.emit(schemas.Event{Type: schemas.EventResumed})
		m.advance()
		signal(m, "paid")
		m.want(schemas.StatusSucceeded, "a=succeeded")
	})
}

func TestDependencyThatEndsLaterIsNotAnItem(t *testing.T) {
	m := &sim{t: t, s: New(program(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read"},
		{"id":"m","capability":"r.read","for_each":[1,2],"depends_on":["a","b"],"trigger_rule":"one_success"}]}`)), now: epoch, items: 2}
	m.emit(schemas.Event{Type: schemas.EventCreated})
	m.emit(schemas.Event{Type: schemas.EventStarted})
	m.advance()
	m.succeed("a")
	m.succeed("b")
	m.succeed("m[0]")
	m.want(schemas.StatusRunning, "a=succeeded b=succeeded m=running")
	m.succeed("m[1]")
	m.want(schemas.StatusSucceeded, "a=succeeded b=succeeded m=succeeded")
}

func TestCompensationHasItsOwnRetry(t *testing.T) {
	source := `{"plan":"v1","nodes":[
		{"id":"a","capability":"r.read","retry":{"max_attempts":3},"compensate":{"capability":"r.%s","retry":{"max_attempts":2}}},
		{"id":"b","capability":"r.once","depends_on":["a"],"on_error":"compensate"}]}`
	undoing := func(t *testing.T, effect string) *sim {
		m := begin(t, fmt.Sprintf(source, effect))
		for range 2 {
			m.fail("a", unavailable)
			m.elapse(time.Minute)
		}
		m.succeed("a")
		m.fail("b", toolError)
		m.want(schemas.StatusCompensating, "a=compensating b=failed")
		return m
	}
	t.Run("what the node spent is not counted", func(t *testing.T) {
		m := undoing(t, "idempotent")
		m.fail("a", unavailable)
		m.elapse(time.Minute)
		m.compensated("a")
		m.want(schemas.StatusFailed, "a=compensated b=failed")
	})
	t.Run("a crash and a refusal spend nothing", func(t *testing.T) {
		m := undoing(t, "idempotent")
		for range 2 {
			m.crash()
			m.fail("a", limited)
			m.elapse(time.Minute)
		}
		m.fail("a", unavailable)
		m.elapse(time.Minute)
		m.compensated("a")
		m.want(schemas.StatusFailed, "a=compensated b=failed")
	})
	t.Run("one that kills its workers is given up and listed", func(t *testing.T) {
		m := undoing(t, "idempotent")
		for range 4 {
			m.crash()
		}
		m.want(schemas.StatusFailed, "a=succeeded b=failed")
		if !strings.Contains(m.s.Error.Message, "not undone: a") {
			t.Errorf("%v", m.s.Error)
		}
	})
	t.Run("a once call of unknown outcome is not repeated", func(t *testing.T) {
		m := undoing(t, "once")
		m.crash()
		m.want(schemas.StatusFailed, "a=succeeded b=failed")
	})
}

func TestFallbackValueIsNotCompensated(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[
		{"id":"a","capability":"r.once","fallback":[{"value":0}],"compensate":{"capability":"r.read"}},
		{"id":"b","capability":"r.once","depends_on":["a"],"on_error":"compensate"}]}`)
	m.fail("a", toolError)
	m.fail("b", toolError)
	m.want(schemas.StatusFailed, "a=succeeded b=failed")
}
