package machine

import (
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// attempt emits an event if it is legal now, as the runtime does when it decides again after a conflict.
func (m *sim) attempt(e schemas.Event) {
	var status schemas.NodeStatus
	if AboutNode(e.Type) {
		unit, _ := m.s.Unit(e.Node, e.Item)
		status = m.s.Units[unit].Status
	}
	if Legal(e.Type, m.s.Status, status) {
		m.emit(e)
	}
}

// answer ends all calls and waits until the execution has ended.
func (m *sim) answer() {
	m.t.Helper()
	for range 100 {
		m.advance()
		if m.s.Status.Terminal() {
			return
		}
		m.attempt(schemas.Event{Type: schemas.EventResumed})
		for i := range m.s.Units {
			u := &m.s.Units[i]
			e := m.s.Event(schemas.EventNodeSucceeded, i)
			switch {
			case u.Calling && u.Phase == units.PhaseUndo:
				e.Type = schemas.EventNodeCompensated
			case u.Calling, u.Status == schemas.NodeRunning && u.Child != "":
			case u.Status == schemas.NodeHeld:
				e.Type, e.Name = schemas.EventReviewDecided, Approve
			case u.Status == schemas.NodeRunning && m.s.Node(i).Kind == plan.KindWaitFor:
				e = schemas.Event{Type: schemas.EventSignal, Name: m.s.Node(i).Event}
			default:
				continue
			}
			m.attempt(e)
		}
	}
	m.t.Fatal("the execution never ends")
}

// TestEachRaceHasOneTerminalStatus applies two events in both orders, in one commit and in two, and asserts that exactly one
// end is committed, that it is the one of the order, and that nothing changes it.
func TestEachRaceHasOneTerminalStatus(t *testing.T) {
	suspend := func(m *sim) { m.attempt(schemas.Event{Type: schemas.EventSuspending, Name: SuspendDrain}) }
	cancel := func(name string) func(m *sim) {
		return func(m *sim) {
			m.attempt(schemas.Event{Type: schemas.EventCancelling, Name: name, Due: new(m.now.Add(time.Minute))})
		}
	}
	result := func(m *sim) {
		if m.s.Attempt(m.index("last"), 1) {
			m.attempt(m.s.Event(schemas.EventNodeSucceeded, m.index("last")))
		}
	}
	failure := func(m *sim) {
		if e := m.s.Failed(m.index("last"), 1, toolError, 0, m.now, middle); e != nil {
			m.emit(*e)
		}
	}
	later := func(m *sim) { m.now = m.now.Add(time.Minute); m.advance() }
	signal := func(m *sim) { m.attempt(schemas.Event{Type: schemas.EventSignal, Name: "paid"}) }
	decide := func(name string) func(m *sim) {
		return func(m *sim) {
			e := m.s.Event(schemas.EventReviewDecided, m.index("last"))
			e.Name, e.Error = name, schemas.Errorf(schemas.CodeDenied, "no")
			m.attempt(e)
		}
	}
	child := func(m *sim) {
		if u := m.s.Units[m.index("last")]; u.Status == schemas.NodeRunning && u.Child == "child" {
			m.attempt(m.s.Event(schemas.EventNodeSucceeded, m.index("last")))
		}
	}
	childFails := func(m *sim) {
		if e := m.s.ChildFailed(m.index("last"), "child", toolError, m.now, middle); e != nil {
			m.emit(*e)
		}
	}
	const call = `"capability":"r.once"`
	for _, tt := range []struct {
		name, node string
		a, b       func(m *sim)
		ab, ba     string // how it ends, by the order
		together   string // how it ends if one commit takes both, where that is another end: a cancel comes first then
	}{
		{"suspend, finish", call, suspend, result, "succeeded last=succeeded", "succeeded last=succeeded", ""},
		{"suspend, failure", call, suspend, failure, "failed last=failed", "failed last=failed", ""},
		{"cancel, result", call, cancel(""), result, "cancelled last=succeeded", "succeeded last=succeeded", "cancelled last=succeeded"},
		{"cancel, failure", call, cancel(""), failure, "cancelled last=cancelled", "failed last=failed", "cancelled last=failed"},
		{"suspend, cancel", call, suspend, cancel(""), "cancelled last=succeeded", "cancelled last=succeeded", ""},
		{"two cancels", call, cancel(""), cancel(CancelUndo), "cancelled last=succeeded", "cancelled last=compensated", ""},
		{"cancel, timeout", call + `,"total_timeout":"1m"`, cancel(""), later, "cancelled last=cancelled", "cancelled last=cancelled", ""},
		{"result, total_timeout", call + `,"total_timeout":"1m"`, result, later, "succeeded last=succeeded", "succeeded last=succeeded", ""},
		{"signal, timeout", `"wait_for":{"event":"paid","timeout":"1m"}`, signal, later, "succeeded last=succeeded", "failed last=failed", ""},
		{"signal, cancel", `"wait_for":{"event":"paid","timeout":"1m"}`, signal, cancel(""), "succeeded last=succeeded", "cancelled last=cancelled", "cancelled last=cancelled"},
		{"signal, suspend", `"wait_for":"paid"`, signal, suspend, "succeeded last=succeeded", "succeeded last=succeeded", ""},
		{"two signals", `"wait_for":"paid"`, signal, signal, "succeeded last=succeeded", "succeeded last=succeeded", ""},
		{"approval, expiry", `"review":{"question":"?","expires":"1m"}`, decide(Approve), later, "succeeded last=succeeded", "failed last=failed", ""},
		{"rejection, expiry", `"review":{"question":"?","expires":"1m"}`, decide(Reject), later, "failed last=failed", "failed last=failed", ""},
		{"approval, rejection", `"review":"?"`, decide(Approve), decide(Reject), "succeeded last=succeeded", "failed last=failed", ""},
		{"approval, cancel", `"review":"?"`, decide(Approve), cancel(""), "succeeded last=succeeded", "cancelled last=cancelled", "cancelled last=succeeded"},
		{"approval, suspend", `"review":"?"`, decide(Approve), suspend, "succeeded last=succeeded", "succeeded last=succeeded", ""},
		{"workflow, suspend", `"workflow":{"definition":{"nodes":[{"id":"x","set":1}]}}`, child, suspend, "succeeded last=succeeded", "succeeded last=succeeded", ""},
		{"workflow fails, suspend", `"workflow":{"definition":{"nodes":[{"id":"x","set":1}]}}`, childFails, suspend, "failed last=failed", "failed last=failed", ""},
		{"workflow, cancel", `"workflow":{"definition":{"nodes":[{"id":"x","set":1}]}}`, child, cancel(""), "succeeded last=succeeded", "cancelled last=succeeded", "cancelled last=succeeded"},
		{"workflow, total_timeout", `"total_timeout":"1m","workflow":{"definition":{"nodes":[{"id":"x","set":1}]}}`, child, later, "succeeded last=succeeded", "failed last=failed", ""},
	} {
		if strings.HasPrefix(tt.node, call) {
			tt.node += `,"compensate":{"capability":"r.read"}`
		}
		for _, apart := range []bool{false, true} {
			for _, reverse := range []bool{false, true} {
				first, second, want, name := tt.a, tt.b, tt.ab, tt.name
				if reverse {
					first, second, want, name = tt.b, tt.a, tt.ba, tt.name+", the other way round"
				}
				switch {
				case apart:
					name += ", apart"
				case tt.together != "" && !strings.HasPrefix(want, "cancelled"):
					want = tt.together
				}
				t.Run(name, func(t *testing.T) {
					m := begin(t, `{"plan":"v1","nodes":[{"id":"last",`+tt.node+`}]}`)
					first(m)
					if apart {
						m.advance()
					}
					second(m)
					m.answer()
					if got := string(m.s.Status) + " last=" + string(m.status("last")); got != want {
						t.Errorf("%s, want %s", got, want)
					}
					ends := 0
					for _, e := range m.log {
						if e.Type == schemas.EventFinished {
							ends++
						}
					}
					if ends != 1 {
						t.Errorf("%d ends", ends)
					}
				})
			}
		}
	}
}
