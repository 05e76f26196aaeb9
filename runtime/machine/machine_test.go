package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// catalog has one realm, r, whose tools are called after their effect: read_…, idempotent_…, once_….
type catalog struct{}

func (catalog) Realms() []string               { return []string{"r"} }
func (catalog) Tools(string) ([]string, error) { return []string{"read", "idempotent", "once"}, nil }
func (catalog) Tool(_, name string) (plan.Tool, bool) {
	effect, _, _ := strings.Cut(name, "_")
	return plan.Tool{Effect: schemas.Effect(effect), Hash: name, InputSchema: json.RawMessage(`{"type":"object"}`)}, true
}

// tester is the part of *testing.T and *rapid.T that the helpers use.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func program(t tester, source string) *plan.Program {
	t.Helper()
	p, findings := plan.Parse(context.Background(), []byte(source), plan.Limits{})
	if p == nil {
		t.Fatalf("parse: %+v", findings)
	}
	compiled, findings := plan.Compile(context.Background(), p, catalog{}, plan.Limits{})
	if compiled == nil {
		t.Fatalf("compile: %+v", findings)
	}
	return compiled
}

var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func middle() float64 { return 0.5 } // no jitter

// sim drives a State as the runtime does: it applies, keeps the log, and evaluates nodes as true.
type sim struct {
	t   tester
	s   *State
	now time.Time
	log []schemas.Event

	items int // of every for_each
}

func begin(t tester, source string) *sim {
	m := &sim{t: t, s: New(program(t, source)), now: epoch}
	m.emit(schemas.Event{Type: schemas.EventCreated, Priority: 3})
	m.emit(schemas.Event{Type: schemas.EventStarted})
	m.advance()
	return m
}

func (m *sim) emit(e schemas.Event) {
	m.t.Helper()
	e.Seq, e.At = m.s.Seq+1, m.now
	if err := m.s.Apply(&e); err != nil {
		m.t.Fatal(err)
	}
	m.log = append(m.log, e)
	m.check()
}

// advance applies what is due until nothing is.
func (m *sim) advance() {
	m.t.Helper()
	for range 10_000 {
		actions := m.s.Next(m.now)
		if len(actions) == 0 {
			return
		}
		for _, a := range actions {
			switch a.Kind {
			case Emit:
				m.emit(*a.Event)
			case Start:
				if !m.s.Failing {
					m.start(a.Unit)
				}
			case Join:
				e := m.s.Event(schemas.EventNodeSucceeded, a.Unit)
				if err := m.s.JoinError(a.Unit); err != nil {
					e = m.s.Final(a.Unit, err)
				}
				m.emit(e)
			case Undo:
				e := m.s.Event(schemas.EventNodeCompensating, a.Unit)
				e.Attempt = m.s.Units[a.Unit].Attempts + 1
				m.emit(e)
			case Finish:
				m.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusSucceeded})
			}
		}
	}
	m.t.Fatal("Next never comes to rest")
}

func (m *sim) start(unit int) {
	p, u := m.s.Node(unit), &m.s.Units[unit]
	e := m.s.Event(schemas.EventNodeStarted, unit)
	e.Attempt = u.Attempts + 1
	switch {
	case p.ForEach != nil && !m.s.IsItem(unit):
		e = m.s.Event(schemas.EventNodeExpanded, unit)
		e.Count = m.items
	case u.Fallback > 0 && p.Fallbacks[u.Fallback-1].Target == nil:
		e = m.s.Event(schemas.EventNodeSucceeded, unit)
		e.Degraded = true
	case p.Review && !u.Approved, p.Kind == plan.KindReview:
		e = m.s.Event(schemas.EventNodeHeld, unit)
		e.Reason, e.Text = schemas.ReasonReview, "?"
		if p.Expires > 0 {
			e.Due = new(m.now.Add(p.Expires.Std()))
		}
	case p.Kind == plan.KindSet:
		e = m.s.Event(schemas.EventNodeSucceeded, unit)
	case p.Kind == plan.KindWait:
		e.Due = new(m.now.Add(time.Minute))
	case p.Kind == plan.KindWaitFor && p.Expires > 0:
		e.Due = new(m.now.Add(p.Expires.Std()))
	case p.Kind == plan.KindWorkflow:
		e.Child = "child"
	}
	m.emit(e)
}

// index finds a unit by its name: id, or id[2] for an item.
func (m *sim) index(name string) int {
	m.t.Helper()
	for i := range m.s.Units {
		if m.s.Name(i) == name {
			return i
		}
	}
	m.t.Fatalf("no unit %q", name)
	return 0
}

func (m *sim) succeed(name string) {
	m.t.Helper()
	e := m.s.Event(schemas.EventNodeSucceeded, m.index(name))
	e.Output = schemas.Value(`1`)
	m.emit(e)
	m.advance()
}

func (m *sim) fail(name string, err *schemas.Error) {
	m.t.Helper()
	i := m.index(name)
	e := m.s.Failed(i, m.s.Units[i].Attempts, err, time.Millisecond, m.now, middle)
	if e == nil {
		m.t.Fatalf("%s has no attempt in flight", name)
	}
	m.emit(*e)
	m.advance()
}

func (m *sim) status(name string) schemas.NodeStatus { return m.s.Units[m.index(name)].Status }

func (m *sim) want(status schemas.Status, nodes string) {
	m.t.Helper()
	var got []string
	for i := range m.s.program.Nodes {
		got = append(got, m.s.program.Nodes[i].ID+"="+string(m.s.Units[i].Status))
	}
	if m.s.Status != status || strings.Join(got, " ") != nodes {
		m.t.Errorf("got %s: %s\nwant %s: %s", m.s.Status, strings.Join(got, " "), status, nodes)
	}
}

// check asserts that the derived part of the state follows from its units, and that the fold of the log, and a snapshot, give the
// same state.
func (m *sim) check() {
	m.t.Helper()
	folded := New(m.s.program)
	for _, e := range m.log {
		b, err := e.AppendJSON(nil)
		if err != nil {
			m.t.Fatal(err)
		}
		var read schemas.Event
		if err := json.Unmarshal(b, &read); err != nil {
			m.t.Fatal(err)
		}
		if err := folded.Apply(&read); err != nil {
			m.t.Fatalf("fold: %v", err)
		}
	}
	want := snapshot(m.t, m.s)
	if got := snapshot(m.t, folded); got != want {
		m.t.Fatalf("fold(log) differs from the state:\n%s\n%s", got, want)
	}
	restored, err := Restore(m.s.program, []byte(want))
	if err != nil {
		m.t.Fatal(err)
	}
	if got := snapshot(m.t, restored); got != want {
		m.t.Fatalf("a restored snapshot differs:\n%s\n%s", got, want)
	}
	if restored.counts != m.s.counts {
		m.t.Fatalf("counters differ: kept %+v, derived %+v", m.s.counts, restored.counts)
	}
	if a, b := describe(restored.Next(m.now)), describe(m.s.Next(m.now)); a != b {
		m.t.Fatalf("Next differs after a restore:\n%s\n%s", a, b)
	}
}

// describe prints actions without regard to their order: queues are first come, first served, and a snapshot has no queue.
// So at max_parallel other units may be first: started units count like those that are then skipped or held.
func describe(actions []Action) string {
	kinds := map[string]int{}
	for _, a := range actions {
		switch {
		case a.Kind == Start, a.Event != nil && (a.Event.Type == schemas.EventNodeSkipped || a.Event.Type == schemas.EventNodeHeld):
			kinds["offered"]++
		case a.Event != nil:
			kinds[string(a.Event.Type)]++
		default:
			kinds[fmt.Sprint(a.Kind)]++
		}
	}
	return fmt.Sprint(kinds)
}

func snapshot(t tester, s *State) string {
	t.Helper()
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const diamond = `{"plan":"v1","nodes":[
	{"id":"a","capability":"r.read"},
	{"id":"b","capability":"r.read","depends_on":["a"]},
	{"id":"c","capability":"r.once","depends_on":["a"]},
	{"id":"d","capability":"r.read","depends_on":["b","c"]}]}`

var (
	toolError      = schemas.Errorf(schemas.CodeToolError, "no").WithOutcome(schemas.RanFailed)
	unavailable    = schemas.Errorf(schemas.CodeUnavailable, "down").WithOutcome(schemas.NotRun)
	lost           = schemas.Errorf(schemas.CodeTimeout, "late").WithOutcome(schemas.Unknown)
	limited        = schemas.Errorf(schemas.CodeRateLimited, "slow down").WithOutcome(schemas.NotRun).WithRetryAfter(2 * time.Second)
	refusedByRealm = limited.With(func(e *schemas.Error) { e.RefusedBy, e.RetryAfterSeconds = schemas.RefusedByRealm, 0 })
	cancelled      = schemas.Errorf(schemas.CodeCancelled, "stopped").WithOutcome(schemas.Unknown)
)

func TestDependenciesDecideTheOrder(t *testing.T) {
	m := begin(t, diamond)
	m.want(schemas.StatusRunning, "a=running b=pending c=pending d=pending")
	m.succeed("a")
	m.want(schemas.StatusRunning, "a=succeeded b=running c=running d=pending")
	m.succeed("c")
	m.want(schemas.StatusRunning, "a=succeeded b=running c=succeeded d=pending")
	m.succeed("b")
	m.succeed("d")
	m.want(schemas.StatusSucceeded, "a=succeeded b=succeeded c=succeeded d=succeeded")
}

func TestFailureWaitsForCallsInFlightAndCancelsTheRest(t *testing.T) {
	m := begin(t, diamond)
	m.succeed("a")
	m.fail("b", toolError)
	m.want(schemas.StatusRunning, "a=succeeded b=failed c=running d=pending")
	if !m.s.Failing {
		t.Error("not failing")
	}
	m.succeed("c") // a once call's result is worth keeping
	m.want(schemas.StatusFailed, "a=succeeded b=failed c=succeeded d=cancelled")
	if m.s.Error.Code != schemas.CodeToolError {
		t.Errorf("error %v", m.s.Error)
	}
}

func TestTriggerRules(t *testing.T) {
	for _, tt := range []struct {
		rule     schemas.TriggerRule
		one, two string // how the parents end
		want     schemas.NodeStatus
		early    bool // decided by the first parent already
	}{
		{schemas.AllSuccess, "succeed", "succeed", schemas.NodeRunning, false},
		{schemas.AllSuccess, "fail", "succeed", schemas.NodeSkipped, true},
		{schemas.NoneFailed, "succeed", "succeed", schemas.NodeRunning, false},
		{schemas.NoneFailed, "fail", "succeed", schemas.NodeSkipped, true},
		{schemas.AllDone, "fail", "succeed", schemas.NodeRunning, false},
		{schemas.AllDone, "fail", "fail", schemas.NodeRunning, false},
		{schemas.OneSuccess, "succeed", "fail", schemas.NodeRunning, true},
		{schemas.OneSuccess, "fail", "succeed", schemas.NodeRunning, false},
		{schemas.OneSuccess, "fail", "fail", schemas.NodeSkipped, false},
		{schemas.OneFailed, "fail", "succeed", schemas.NodeRunning, true},
		{schemas.OneFailed, "succeed", "succeed", schemas.NodeSkipped, false},
	} {
		t.Run(fmt.Sprintf("%s after %s and %s", tt.rule, tt.one, tt.two), func(t *testing.T) {
			m := begin(t, fmt.Sprintf(`{"plan":"v1","nodes":[
				{"id":"one","capability":"r.read","on_error":"continue"},
				{"id":"two","capability":"r.read","on_error":"continue"},
				{"id":"guard","capability":"r.read"},
				{"id":"child","capability":"r.read","depends_on":["one","two"],"trigger_rule":%q}]}`, tt.rule))
			end := map[string]func(id string){"succeed": m.succeed, "fail": func(id string) { m.fail(id, toolError) }}
			end[tt.one]("one")
			if early := m.status("child") != schemas.NodePending; early != tt.early {
				t.Errorf("after the first parent the child is %s", m.status("child"))
			}
			end[tt.two]("two")
			if got := m.status("child"); got != tt.want {
				t.Errorf("child is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSkippedParentSkipsTheWholeBranch(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[
		{"id":"a","capability":"r.read","on_error":"continue"},
		{"id":"b","capability":"r.read","depends_on":["a"]},
		{"id":"c","capability":"r.read","depends_on":["b"]},
		{"id":"d","capability":"r.read","depends_on":["c"],"trigger_rule":"all_done"}]}`)
	m.fail("a", toolError)
	m.want(schemas.StatusRunning, "a=failed b=skipped c=skipped d=running")
	m.succeed("d")
	m.want(schemas.StatusSucceeded, "a=failed b=skipped c=skipped d=succeeded")
}

// TestOutcomeTable walks the effect table of DESIGN: what follows a failed attempt by effect, outcome and policy.
func TestOutcomeTable(t *testing.T) {
	for _, tt := range []struct {
		name, node string
		err        *schemas.Error
		want       schemas.EventType
	}{
		{"read, not run", `"capability":"r.read"`, unavailable, schemas.EventAttemptFailed},
		{"read, unknown", `"capability":"r.read"`, lost, schemas.EventAttemptFailed},
		{"read, ran and failed", `"capability":"r.read"`, toolError, schemas.EventNodeFailed},
		{"read, ran and failed, retries asked for", `"capability":"r.read","retry":{"max_attempts":2}`, toolError, schemas.EventAttemptFailed},
		{"idempotent, unknown", `"capability":"r.idempotent"`, lost, schemas.EventAttemptFailed},
		{"once, not run", `"capability":"r.once"`, unavailable, schemas.EventAttemptFailed},
		{"once, unknown", `"capability":"r.once"`, lost, schemas.EventNodeHeld},
		{"once, unknown, retries asked for", `"capability":"r.once","retry":{"max_attempts":5,"retry_on":["timeout"]}`, lost, schemas.EventNodeHeld},
		{"once, unknown, on_unknown fail", `"capability":"r.once","on_unknown":"fail"`, lost, schemas.EventNodeFailed},
		{"once, unknown, on_unknown retry", `"capability":"r.once","on_unknown":"retry"`, lost, schemas.EventAttemptFailed},
		{"once, ran and failed", `"capability":"r.once"`, toolError, schemas.EventNodeFailed},
		{"read made stricter by the plan, unknown", `"capability":"r.read","effect":"once"`, lost, schemas.EventNodeHeld},
		{"refused by a limit", `"capability":"r.once","retry":{"max_attempts":1}`, limited, schemas.EventNodePostponed},
		{"no attempt left", `"capability":"r.read","retry":{"max_attempts":1}`, unavailable, schemas.EventNodeFailed},
		{"code not to be retried", `"capability":"r.read","retry":{"no_retry_on":["unavailable"]}`, unavailable, schemas.EventNodeFailed},
		{"code not among those to retry", `"capability":"r.read","retry":{"retry_on":["timeout"]}`, unavailable, schemas.EventNodeFailed},
		{"backoff beyond max_elapsed", `"capability":"r.read","retry":{"max_elapsed":"100ms"}`, unavailable, schemas.EventNodeFailed},
		{"stopped by us, read", `"capability":"r.read"`, cancelled, schemas.EventAttemptLost},
		{"stopped by us, once", `"capability":"r.once"`, cancelled, schemas.EventNodeHeld},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := begin(t, `{"plan":"v1","nodes":[{"id":"n",`+tt.node+`}]}`)
			e := m.s.Failed(0, 1, tt.err, time.Millisecond, m.now, middle)
			if e.Type != tt.want {
				t.Fatalf("got %s, want %s", e.Type, tt.want)
			}
			m.emit(*e)
		})
	}
}

func TestLateResultOfAnOldAttemptDecidesNothing(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read"}]}`)
	m.fail("n", lost)
	m.now = m.now.Add(time.Second)
	m.advance()
	if e := m.s.Failed(0, 1, lost, 0, m.now, middle); e != nil {
		t.Errorf("attempt 1 is over, got %+v", e)
	}
	if !m.s.Attempt(0, 2) {
		t.Error("attempt 2 is not in flight")
	}
}

func TestRetriesBackOffAndEnd(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read"}]}`)
	for i, wait := range []time.Duration{500 * time.Millisecond, time.Second} {
		m.fail("n", unavailable)
		if got := m.s.Wake(m.now); !got.Equal(m.now.Add(wait)) {
			t.Fatalf("retry %d is due in %s, want %s", i+1, got.Sub(m.now), wait)
		}
		m.now = m.now.Add(wait - time.Microsecond)
		m.advance()
		m.want(schemas.StatusRunning, "n=backing_off")
		m.now = m.now.Add(time.Microsecond)
		m.advance()
		m.want(schemas.StatusRunning, "n=running")
	}
	m.fail("n", unavailable)
	m.want(schemas.StatusFailed, "n=failed")
	if n := m.s.Units[0]; n.Attempts != 3 {
		t.Errorf("%d attempts", n.Attempts)
	}
}

func TestRefusalSpendsNoAttempt(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","retry":{"max_attempts":1}}]}`)
	for range 5 {
		m.fail("n", limited)
		m.want(schemas.StatusRunning, "n=backing_off")
		m.now = m.now.Add(2 * time.Second)
		m.advance()
	}
	m.succeed("n")
	m.want(schemas.StatusSucceeded, "n=succeeded")
}

func TestHeldNodeSuspendsOnceNothingElseRuns(t *testing.T) {
	m := begin(t, diamond)
	m.succeed("a")
	m.fail("c", lost)
	m.want(schemas.StatusRunning, "a=succeeded b=running c=held d=pending")
	m.succeed("b")
	m.want(schemas.StatusSuspended, "a=succeeded b=succeeded c=held d=pending")
	if u := &m.s.Units[2]; u.Reason != schemas.ReasonUnknown {
		t.Errorf("held for %q", u.Reason)
	}
	for _, tt := range []struct {
		patch schemas.NodePatch
		want  string
	}{
		{schemas.NodePatch{Retry: true}, "a=succeeded b=succeeded c=running d=pending"},
		{schemas.NodePatch{Inputs: schemas.Object(`{"x":1}`)}, "a=succeeded b=succeeded c=running d=pending"},
		{schemas.NodePatch{Output: schemas.Value(`7`)}, "a=succeeded b=succeeded c=succeeded d=running"},
	} {
		again, err := Restore(m.s.program, []byte(snapshot(t, m.s)))
		if err != nil {
			t.Fatal(err)
		}
		c := &sim{t: t, s: again, now: m.now, log: append([]schemas.Event(nil), m.log...)}
		c.emit(schemas.Event{Type: schemas.EventNodePatched, Node: "c", Patch: &tt.patch})
		c.emit(schemas.Event{Type: schemas.EventResumed})
		c.advance()
		c.want(schemas.StatusRunning, tt.want)
	}
	m.emit(schemas.Event{Type: schemas.EventNodePatched, Node: "c", Patch: &schemas.NodePatch{Skip: true}})
	m.emit(schemas.Event{Type: schemas.EventResumed})
	m.advance()
	m.want(schemas.StatusSucceeded, "a=succeeded b=succeeded c=skipped d=skipped")
}

func TestRecoveryFollowsTheEffect(t *testing.T) {
	source := `{"plan":"v1","nodes":[
		{"id":"read","capability":"r.read"},{"id":"idem","capability":"r.idempotent"},{"id":"once","capability":"r.once"},
		{"id":"bold","capability":"r.once","on_unknown":"retry"},{"id":"strict","capability":"r.once","on_unknown":"fail","on_error":"continue"}]}`
	m := begin(t, source)
	events := m.s.Recover("w2", m.now, 5, nil)
	for _, e := range events {
		m.emit(e)
	}
	m.want(schemas.StatusRunning, "read=ready idem=ready once=held bold=backing_off strict=failed")
	m.advance()
	m.want(schemas.StatusRunning, "read=running idem=running once=held bold=backing_off strict=failed")
	m.elapse(2 * time.Minute) // it can no longer run
	m.want(schemas.StatusRunning, "read=running idem=running once=held bold=running strict=failed")
	for i, n := range m.s.Units[:2] {
		if n.Failures != 0 || n.Attempts != 2 {
			t.Errorf("node %d: a crash spent an attempt: %+v", i, n)
		}
	}
	if got := m.s.Units[2].Error; got.Code != schemas.CodeOutcomeUnknown {
		t.Errorf("held with %v", got)
	}
}

func TestNothingInFlightNeedsNoRecovery(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"w","wait":"1m"}]}`)
	if e := m.s.Recover("w2", m.now, 5, nil); e != nil {
		t.Errorf("got %+v", e)
	}
}

func TestPlanThatKillsItsWorkersIsSuspended(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read","depends_on":["a"]}]}`)
	for range 3 {
		m.crash()
	}
	m.want(schemas.StatusRunning, "a=running b=pending")
	m.succeed("a") // progress forgives what was before
	for range 3 {
		m.crash()
	}
	m.want(schemas.StatusRunning, "a=succeeded b=running")
	m.crash()
	m.want(schemas.StatusSuspended, "a=succeeded b=ready")
	if want := "the runtime died 4 times in a row while node b ran, which may be the cause; resume_execution tries again"; m.s.Reason != want {
		t.Errorf("reason %q", m.s.Reason)
	}
	m.emit(schemas.Event{Type: schemas.EventResumed})
	m.advance()
	m.want(schemas.StatusRunning, "a=succeeded b=running")
	m.crash()
	m.want(schemas.StatusRunning, "a=succeeded b=running")
}

// TestNodeThatKillsItsWorkersIsFoundDespiteProgress checks that such a node is found even if others end between the crashes.
func TestNodeThatKillsItsWorkersIsFoundDespiteProgress(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"poison","capability":"r.read"},
		{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read","depends_on":["a"]},{"id":"c","capability":"r.read","depends_on":["b"]},{"id":"d","capability":"r.read","depends_on":["c"]}]}`)
	for _, progress := range []string{"a", "b", "c"} {
		m.crash()
		m.succeed(progress)
	}
	m.want(schemas.StatusRunning, "poison=running a=succeeded b=succeeded c=succeeded d=running")
	m.crash()
	m.want(schemas.StatusSuspended, "poison=ready a=succeeded b=succeeded c=succeeded d=ready")
	if want := "the runtime died 4 times in a row while node poison ran, which may be the cause; resume_execution tries again"; m.s.Reason != want {
		t.Errorf("reason %q", m.s.Reason)
	}
}

func TestMaxParallelBoundsCallsAndNotTimers(t *testing.T) {
	m := begin(t, `{"plan":"v1","max_parallel":2,"nodes":[
		{"id":"w1","wait":"1m"},{"id":"w2","wait":"1m"},{"id":"w3","wait":"1m"},
		{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read"},{"id":"c","capability":"r.read"}]}`)
	m.want(schemas.StatusRunning, "w1=running w2=running w3=running a=running b=running c=ready")
	if m.s.Waiting() {
		t.Error("waiting while calls are in flight")
	}
	m.succeed("b")
	m.want(schemas.StatusRunning, "w1=running w2=running w3=running a=running b=succeeded c=running")
	m.succeed("a")
	m.succeed("c")
	if !m.s.Waiting() || !m.s.Wake(m.now).Equal(epoch.Add(time.Minute)) {
		t.Errorf("waiting %v, wake %v", m.s.Waiting(), m.s.Wake(m.now))
	}
	m.now = epoch.Add(time.Minute)
	m.advance()
	m.want(schemas.StatusSucceeded, "w1=succeeded w2=succeeded w3=succeeded a=succeeded b=succeeded c=succeeded")
}

func TestDueRetryWaitsForMaxParallelWithoutSpinning(t *testing.T) {
	m := begin(t, `{"plan":"v1","max_parallel":1,"nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read"}]}`)
	m.fail("a", unavailable)
	m.want(schemas.StatusRunning, "a=backing_off b=running")
	m.now = m.now.Add(time.Second)
	m.advance()
	if got := m.s.Next(m.now); len(got) != 0 {
		t.Errorf("Next offers %+v without room", got)
	}
	if wake := m.s.Wake(m.now); !wake.IsZero() {
		t.Errorf("wake at %s though only room is missing", wake)
	}
	m.succeed("b")
	m.want(schemas.StatusRunning, "a=running b=succeeded")
}

// A node that becomes ready again before its first entry in the queue is reached is started once.
func TestNodeThatIsReadyAgainIsStartedOnce(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read"},{"id":"c","capability":"r.read"}]}`)
	for range 3 {
		for _, id := range []string{"c", "b"} {
			i := m.index(id)
			m.emit(*m.s.Failed(i, m.s.Units[i].Attempts, cancelled, 0, m.now, middle))
		}
		m.advance()
		m.want(schemas.StatusRunning, "a=running b=running c=running")
	}
}

func TestTimeoutGivesUpCallsInFlight(t *testing.T) {
	m := &sim{t: t, s: New(program(t, `{"plan":"v1","timeout":"1m","nodes":[{"id":"a","capability":"r.once"},{"id":"b","capability":"r.read","depends_on":["a"]}]}`)), now: epoch}
	m.emit(schemas.Event{Type: schemas.EventCreated, Due: new(epoch.Add(time.Minute))})
	m.emit(schemas.Event{Type: schemas.EventStarted})
	m.advance()
	m.now = epoch.Add(time.Minute)
	m.advance()
	m.want(schemas.StatusTimedOut, "a=cancelled b=cancelled")
	if e := m.s.Units[0].Error; e == nil || e.Outcome != schemas.Unknown {
		t.Errorf("the call in flight is not listed as unknown: %v", e)
	}
}

func TestTimeoutIsStoppedWhileSuspended(t *testing.T) {
	m := &sim{t: t, s: New(program(t, `{"plan":"v1","timeout":"1m","nodes":[{"id":"a","capability":"r.read"},{"id":"b","capability":"r.read","depends_on":["a"]}]}`)), now: epoch}
	m.emit(schemas.Event{Type: schemas.EventCreated, Due: new(epoch.Add(time.Minute))})
	m.emit(schemas.Event{Type: schemas.EventStarted})
	m.advance()
	m.emit(schemas.Event{Type: schemas.EventSuspending, Name: SuspendDrain})
	m.advance()
	m.want(schemas.StatusSuspending, "a=running b=pending")
	m.succeed("a")
	m.want(schemas.StatusSuspended, "a=succeeded b=ready")
	m.now = epoch.Add(48 * time.Hour)
	m.emit(schemas.Event{Type: schemas.EventResumed})
	m.advance()
	m.want(schemas.StatusRunning, "a=succeeded b=running")
	if got := m.s.Deadline; !got.Equal(epoch.Add(48*time.Hour + time.Minute)) {
		t.Errorf("deadline %s", got)
	}
}

func TestCancelWaitsForCallsWithinTheGrace(t *testing.T) {
	m := begin(t, diamond)
	m.succeed("a")
	m.emit(schemas.Event{Type: schemas.EventCancelling, Due: new(m.now.Add(10 * time.Second))})
	m.advance()
	m.want(schemas.StatusCancelling, "a=succeeded b=running c=running d=pending")
	m.succeed("b") // it answered in time: what happened is kept
	m.now = m.now.Add(10 * time.Second)
	m.advance()
	m.want(schemas.StatusCancelled, "a=succeeded b=succeeded c=cancelled d=cancelled")
	if e := m.s.Units[2].Error; e == nil || e.Code != schemas.CodeOutcomeUnknown {
		t.Errorf("the once call without an answer is not listed as unknown: %v", e)
	}
}
