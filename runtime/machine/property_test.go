package machine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// TestWhateverHappens drives random plans through random faults, cancels, suspends, patches and crashes, and asserts after
// every event what the package promises. At last everything is answered, and the execution has to end.
func TestWhateverHappens(t *testing.T) {
	for range 8 { // a hundred walks take a twentieth of a second
		rapid.Check(t, func(t *rapid.T) {
			w := newWalk(t)
			for range rapid.IntRange(0, 80).Draw(t, "length") {
				if w.s.Status.Terminal() {
					break
				}
				w.something()
			}
			w.answerAll()
		})
	}
}

// drawPlan writes a plan of 3 to 15 nodes.
func drawPlan(t *rapid.T) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	var nodes []string
	for i := range rapid.IntRange(3, 15).Draw(t, "nodes") {
		var deps []string
		for d := max(0, i-6); d < i; d++ {
			if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
				deps = append(deps, fmt.Sprintf(`"n%d"`, d))
			}
		}
		n := fmt.Sprintf(`"id":"n%d","depends_on":[%s]`, i, strings.Join(deps, ","))
		n += pick("rule", ``, ``, `,"trigger_rule":"none_failed"`, `,"trigger_rule":"all_done"`, `,"trigger_rule":"one_success"`, `,"trigger_rule":"one_failed"`)
		n += pick("on_error", ``, `,"on_error":"continue"`, `,"on_error":"continue"`)
		switch kind := pick("kind", "read", "read", "idempotent", "once", "once", "once", "set", "wait"); kind {
		case "set":
			n += `,"set":1`
		case "wait":
			n += `,"wait":"1m"`
		default:
			n += `,"capability":"r.` + kind + `"`
			n += pick("retry", ``, `,"retry":{"max_attempts":1}`, `,"retry":{"max_attempts":2}`, `,"retry":{"max_attempts":4,"max_elapsed":"5s"}`, `,"retry":{"max_attempts":3,"retry_on":["timeout"]}`)
			if kind == "once" {
				n += pick("on_unknown", ``, ``, `,"on_unknown":"retry"`, `,"on_unknown":"fail"`)
			}
		}
		nodes = append(nodes, "{"+n+"}")
	}
	return fmt.Sprintf(`{"plan":"v1","max_parallel":%d%s,"nodes":[%s]}`,
		rapid.IntRange(1, 4).Draw(t, "max_parallel"), pick("timeout", ``, ``, `,"timeout":"3m"`), strings.Join(nodes, ",\n"))
}

// walk is a sim that knows, of its own, what must hold.
type walk struct {
	*sim
	t         *rapid.T
	ended     map[int]Node
	undecided map[int]bool // `once` nodes whose last call may have happened, and about which nobody has decided
	spent     map[int]int  // failed attempts since the last decision
	finished  int
}

func newWalk(t *rapid.T) *walk {
	source := drawPlan(t)
	p := program(t, source)
	w := &walk{sim: &sim{t: t, s: New(p), now: epoch}, t: t, ended: map[int]Node{}, undecided: map[int]bool{}, spent: map[int]int{}}
	created := schemas.Event{Type: schemas.EventCreated, Priority: 3}
	if d := p.Definition.Plan.Timeout.Std(); d > 0 {
		created.Due = new(w.now.Add(d))
	}
	w.apply(created)
	if rapid.IntRange(0, 9).Draw(t, "suspend before the start") > 0 {
		w.apply(schemas.Event{Type: schemas.EventStarted})
	} else {
		w.apply(schemas.Event{Type: schemas.EventSuspended})
	}
	w.work(true)
	return w
}

// something is one thing that may happen, and what the runtime does about it.
func (w *walk) something() {
	switch rapid.IntRange(0, 19).Draw(w.t, "what") {
	default:
		w.endCall(w.drawError())
	case 8, 9:
		w.now = w.now.Add(time.Duration(rapid.IntRange(1, 90_000).Draw(w.t, "ms")) * time.Millisecond)
	case 10, 11:
		w.crash()
	case 12:
		if Legal(schemas.EventSuspending, w.s.Status, "") {
			w.apply(schemas.Event{Type: schemas.EventSuspending, Name: rapid.SampledFrom([]string{SuspendDrain, SuspendNow}).Draw(w.t, "mode")})
		}
	case 13, 14, 15:
		w.decide()
	case 16:
		if rapid.IntRange(0, 3).Draw(w.t, "really") == 0 && Legal(schemas.EventCancelling, w.s.Status, "") {
			w.apply(schemas.Event{Type: schemas.EventCancelling, Due: new(w.now.Add(10 * time.Second))})
		}
	case 17:
		if Legal(schemas.EventSignal, w.s.Status, "") {
			w.apply(schemas.Event{Type: schemas.EventSignal, Name: "ping", Data: schemas.Value(`1`)})
		}
	case 18: // another process folds it
		w.check()
		s, err := Restore(w.s.program, []byte(snapshot(w.t, w.s)))
		if err != nil {
			w.t.Fatal(err)
		}
		w.s = s
	case 19:
		w.late()
	}
	w.work(rapid.IntRange(0, 4).Draw(w.t, "owner") > 0)
}

func (w *walk) drawError() *schemas.Error {
	return rapid.SampledFrom([]*schemas.Error{
		nil, nil, nil, toolError, unavailable, lost, lost, limited, cancelled, cancelled.WithOutcome(schemas.NotRun),
		schemas.Errorf(schemas.CodeTimeout, "read timed out at the tool").WithOutcome(schemas.RanFailed),
	}).Draw(w.t, "error")
}

func (w *walk) calls() (nodes []int) {
	for i := range w.s.Nodes {
		if w.s.calling(i) {
			nodes = append(nodes, i)
		}
	}
	return nodes
}

// guarded tells whether repeating an unknown call of the node needs a decision.
func (w *walk) guarded(node int) bool {
	p := &w.s.program.Nodes[node]
	return p.Effect == schemas.EffectOnce && p.OnUnknown != schemas.OnUnknownRetry
}

// endCall ends one of the calls in flight.
func (w *walk) endCall(err *schemas.Error) {
	calls := w.calls()
	if len(calls) == 0 {
		return
	}
	node := rapid.SampledFrom(calls).Draw(w.t, "node")
	attempt := w.s.Nodes[node].Attempts
	if err == nil {
		w.apply(schemas.Event{Type: schemas.EventNodeSucceeded, Node: w.s.program.Nodes[node].ID, Attempt: attempt, Output: schemas.Value(fmt.Sprint(attempt))})
		return
	}
	e := w.s.Failed(node, attempt, err, time.Millisecond, w.now, middle)
	if e == nil {
		w.t.Fatalf("attempt %d of node %d is in flight and its failure decides nothing", attempt, node)
	}
	if err.Outcome == schemas.Unknown && w.guarded(node) {
		w.undecided[node] = true
	}
	w.apply(*e)
}

// late brings the end of an attempt that is over.
func (w *walk) late() {
	node := rapid.IntRange(0, len(w.s.Nodes)-1).Draw(w.t, "late node")
	n := &w.s.Nodes[node]
	last := n.Attempts
	if w.s.calling(node) {
		last--
	}
	for attempt := 1; attempt <= last; attempt++ {
		if e := w.s.Failed(node, attempt, lost, 0, w.now, middle); e != nil || w.s.Attempt(node, attempt) {
			w.t.Fatalf("attempt %d of node %d is over and still decides %+v", attempt, node, e)
		}
	}
}

// crash: the worker is gone, with all calls or all but some, which the next one makes itself.
func (w *walk) crash() {
	dead := map[int]bool{}
	for _, node := range w.calls() {
		dead[node] = rapid.IntRange(0, 3).Draw(w.t, "dead") > 0
		if dead[node] && w.guarded(node) {
			w.undecided[node] = true
		}
	}
	for _, e := range w.s.Recover("w", DefaultMaxRecoveries, func(node, _ int) bool { return !dead[node] }) {
		w.apply(e)
	}
	for node := range dead {
		if dead[node] && w.s.calling(node) {
			w.t.Fatalf("node %d still waits for a call that nobody makes", node)
		}
	}
}

// decide is a person who patches held nodes, and resumes.
func (w *walk) decide() {
	for i := range w.s.Nodes {
		if Legal(schemas.EventNodePatched, w.s.Status, w.s.Nodes[i].Status) && rapid.Bool().Draw(w.t, "patch") {
			patch := rapid.SampledFrom([]schemas.NodePatch{{Retry: true}, {Inputs: schemas.Object(`{"x":1}`)}, {Skip: true}, {Output: schemas.Value(`7`)}}).Draw(w.t, "decision")
			w.undecided[i], w.spent[i] = false, 0
			w.apply(schemas.Event{Type: schemas.EventNodePatched, Node: w.s.program.Nodes[i].ID, Patch: &patch})
		}
	}
	if Legal(schemas.EventResumed, w.s.Status, "") {
		w.apply(schemas.Event{Type: schemas.EventResumed})
	}
}

// work does what is due: all of it as an owner does, or what a visitor may.
func (w *walk) work(owner bool) {
	for range 1000 {
		seq := w.s.Seq
		actions := w.s.Next(w.now)
		if a, b := describe(actions), describe(w.s.Next(w.now)); a != b {
			w.t.Fatalf("Next says %s, and %s when asked again", a, b)
		}
		for _, a := range actions {
			switch a.Kind {
			case Emit:
				w.apply(*a.Event)
			case Start:
				if owner && !w.s.Failing {
					w.startOne(a.Node)
				}
			case Finish:
				w.apply(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusSucceeded})
			}
		}
		if w.s.Seq == seq {
			if owner {
				w.atRest(actions)
			}
			return
		}
	}
	w.t.Fatal("Next never comes to rest")
}

// atRest: an owner that has nothing to do waits for a call, a time or a person.
func (w *walk) atRest(actions []Action) {
	switch {
	case len(actions) > 0:
		w.t.Fatalf("%d actions are due and change nothing", len(actions))
	case w.s.Status == schemas.StatusPending, w.s.Status == schemas.StatusSuspended, w.s.Status.Terminal():
	case w.s.inFlight == 0 && w.s.Wake(w.now).IsZero():
		w.t.Fatalf("stuck: %s", snapshot(w.t, w.s))
	case !w.s.Wake(w.now).IsZero() && !w.s.Wake(w.now).After(w.now):
		w.t.Fatalf("busy: wake at %s, now %s", w.s.Wake(w.now), w.now)
	}
}

func (w *walk) startOne(node int) {
	p, n := &w.s.program.Nodes[node], &w.s.Nodes[node]
	fate := rapid.IntRange(0, 19).Draw(w.t, "fate")
	switch {
	case fate == 0 && n.Attempts == 0:
		w.apply(schemas.Event{Type: schemas.EventNodeSkipped, Node: p.ID, Reason: "when is false"})
	case fate == 1:
		w.apply(schemas.Event{Type: schemas.EventNodeFailed, Node: p.ID, Error: schemas.Errorf(schemas.CodeExpressionError, "no").WithOutcome(schemas.NotRun)})
	case p.Kind == plan.KindSet:
		w.apply(schemas.Event{Type: schemas.EventNodeSucceeded, Node: p.ID, Output: schemas.Value(`1`)})
	case p.Kind == plan.KindWait:
		due := w.now.Add(time.Duration(rapid.IntRange(-1, 120).Draw(w.t, "seconds")) * time.Second)
		w.apply(schemas.Event{Type: schemas.EventNodeStarted, Node: p.ID, Attempt: 1, Due: &due})
	default:
		w.apply(schemas.Event{Type: schemas.EventNodeStarted, Node: p.ID, Attempt: n.Attempts + 1})
	}
}

// apply applies one event and looks at everything that must hold behind it.
func (w *walk) apply(e schemas.Event) {
	w.t.Helper()
	before := -1
	node, about := w.s.program.Index(e.Node)
	if about {
		before = w.s.Nodes[node].Attempts
	}
	e.Seq, e.At = w.s.Seq+1, w.now
	if err := w.s.Apply(e); err != nil {
		w.t.Fatal(err)
	}
	w.log = append(w.log, e)
	switch e.Type {
	case schemas.EventNodeStarted:
		if !w.allowed(node) {
			w.t.Fatalf("%s of %s starts against its trigger rule", e.Node, snapshot(w.t, w.s))
		}
		if w.undecided[node] {
			w.t.Fatalf("the once call of %s may have happened and is called again without a decision", e.Node)
		}
		if w.s.Nodes[node].Attempts != before+1 {
			w.t.Fatalf("attempt %d of %s follows attempt %d", w.s.Nodes[node].Attempts, e.Node, before)
		}
	case schemas.EventNodeSucceeded:
		if !w.allowed(node) {
			w.t.Fatalf("%s of %s succeeds against its trigger rule", e.Node, snapshot(w.t, w.s))
		}
	case schemas.EventAttemptFailed:
		w.spent[node]++
		if w.spent[node] >= w.s.program.Nodes[node].Retry.MaxAttempts {
			w.t.Fatalf("%d attempts of %s failed, and another is planned", w.spent[node], e.Node)
		}
	case schemas.EventFinished:
		w.finished++
	}
	if w.finished > 1 || (w.finished == 1) != w.s.Status.Terminal() {
		w.t.Fatalf("%s after %d ends", w.s.Status, w.finished)
	}
	if len(w.calls()) > w.s.limit || w.s.inFlight != len(w.calls()) {
		w.t.Fatalf("%d calls in flight, counted %d, at most %d", len(w.calls()), w.s.inFlight, w.s.limit)
	}
	if w.s.Status == schemas.StatusSuspended && w.s.inFlight > 0 {
		w.t.Fatal("suspended with calls in flight")
	}
	for i := range w.s.Nodes {
		n := w.s.Nodes[i]
		if was, ok := w.ended[i]; ok {
			if was.Status != n.Status || string(was.Output) != string(n.Output) || was.Ended != n.Ended || was.Attempts != n.Attempts {
				w.t.Fatalf("%s ended as %+v and is %+v", w.s.program.Nodes[i].ID, was, n)
			}
		} else if n.Status.Ended() {
			w.ended[i] = n
		} else if w.s.Status.Terminal() {
			w.t.Fatalf("%s is %s in an execution that is %s", w.s.program.Nodes[i].ID, n.Status, w.s.Status)
		}
	}
}

// allowed is the trigger rule in its own words.
func (w *walk) allowed(node int) bool {
	p := &w.s.program.Nodes[node]
	var open, succeeded, failed, skipped int
	for _, d := range p.Deps {
		switch w.s.Nodes[d].Status {
		case schemas.NodeSucceeded:
			succeeded++
		case schemas.NodeFailed, schemas.NodeCancelled:
			failed++
		case schemas.NodeSkipped:
			skipped++
		default:
			open++
		}
	}
	switch p.Rule {
	case schemas.NoneFailed:
		return open+failed == 0
	case schemas.AllDone:
		return open == 0
	case schemas.OneSuccess:
		return succeeded > 0 || len(p.Deps) == 0
	case schemas.OneFailed:
		return failed > 0 || len(p.Deps) == 0
	}
	return open+failed+skipped == 0
}

// answerAll answers every call, lets the time of every timer come and decides about everything held: the execution ends.
func (w *walk) answerAll() {
	for range 1000 {
		if w.s.Status.Terminal() {
			w.check()
			for typ := range rules {
				e := schemas.Event{Seq: w.s.Seq + 1, At: w.now, Type: typ, Node: w.s.program.Nodes[0].ID}
				if err := w.s.Apply(e); err == nil {
					w.t.Fatalf("%s changes an execution that is %s", typ, w.s.Status)
				}
			}
			return
		}
		switch wake := w.s.Wake(w.now); {
		case w.s.Status == schemas.StatusPending:
			w.apply(schemas.Event{Type: schemas.EventStarted})
		case w.s.inFlight > 0:
			w.endCall(nil)
		case w.s.Status == schemas.StatusSuspended:
			w.decide()
		case !wake.IsZero():
			w.now = wake
		}
		w.work(true)
	}
	w.t.Fatalf("the execution never ends: %s", snapshot(w.t, w.s))
}
