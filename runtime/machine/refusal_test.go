package machine

import (
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// A refused call has not started: its queue_timeout continues over any number of refusals.
func TestQueueTimeoutContinuesOverRefusals(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","queue_timeout":"5s","on_error":"continue"},
		{"id":"b","capability":"r.once","queue_timeout":"5s","retry":{"max_attempts":3,"initial_interval":"4s","jitter":0},"on_error":"continue"}]}`)
	for range 2 {
		m.fail("a", limited)
		m.now = m.now.Add(2 * time.Second)
		m.advance()
	}
	m.fail("b", unavailable) // it was called: what it waits for now is its retry
	m.fail("a", limited)
	m.now = m.now.Add(time.Second)
	m.advance()
	m.want(schemas.StatusRunning, "a=failed b=backing_off")
	u := &m.s.Units[0]
	if u.Error.Code != schemas.CodeQueueTimeout || !strings.Contains(u.Error.Message, "slow down") || u.CallsMade() != 0 || m.s.Calls != 1 {
		t.Errorf("%v, %d attempts, %d calls", u.Error, u.CallsMade(), m.s.Calls)
	}
	m.now = m.now.Add(4 * time.Second)
	m.advance()
	for range 3 {
		m.fail("b", limited)
		m.now = m.now.Add(2 * time.Second)
		m.advance()
	}
	m.want(schemas.StatusSucceeded, "a=failed b=failed")
	if got := m.s.Units[1].CallsMade(); got != 1 {
		t.Errorf("shows %d attempts", got)
	}
}

func TestQueueTimeoutIsStoppedWhileSuspended(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","queue_timeout":"5s"}]}`)
	m.fail("a", limited)
	m.emit(schemas.Event{Type: schemas.EventSuspending})
	m.advance()
	m.now = m.now.Add(time.Hour)
	m.emit(schemas.Event{Type: schemas.EventResumed})
	m.advance()
	m.want(schemas.StatusRunning, "a=running")
}
