package machine

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// TestPromisesHoldUnderRandomEvents runs random plans with random failures, cancels, suspends, patches, signals, reviews and
// crashes, and asserts after every event what the package promises. At the end everything is answered, and the execution must end.
func TestPromisesHoldUnderRandomEvents(t *testing.T) {
	for range 8 { // a hundred walks take a fraction of a second
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

// walk is a sim with a model of what must hold.
type walk struct {
	*sim
	t *rapid.T
	model
	answering bool // everything is answered, so that it ends
	died      bool // the process that made the calls has died
}

func newWalk(t *rapid.T) *walk {
	source := planner{t}.plan()
	p := program(t, source)
	w := &walk{sim: &sim{t: t, s: New(p), now: epoch}, t: t, model: newModel()}
	if p.Definition.Plan.Limits != nil { // not in the source, which is refused if it certainly fails
		p.Definition.Plan.OnLimit = rapid.SampledFrom([]string{"", schemas.OnLimitFail}).Draw(t, "on_limit")
	}
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

// something is one random event, and the reaction of the runtime.
func (w *walk) something() {
	switch rapid.IntRange(0, 27).Draw(w.t, "what") {
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
	case 13, 14:
		w.patch(false)
	case 15:
		w.cancel()
	case 16, 17:
		w.signal(rapid.SampledFrom([]string{"ping", "ping", "pong", "other"}).Draw(w.t, "signal"))
	case 18: // another process folds it
		w.check()
		s, err := Restore(w.s.program, []byte(snapshot(w.t, w.s)))
		if err != nil {
			w.t.Fatal(err)
		}
		w.s = s
	case 19:
		w.late()
	case 20, 21:
		w.review(false)
	case 22, 23:
		w.endChild(rapid.IntRange(0, 2).Draw(w.t, "child fails") == 0)
	case 24, 25:
		w.suspendChild()
	case 26, 27:
		w.endAwait(rapid.IntRange(0, 2).Draw(w.t, "until fails") == 0)
	}
	if rapid.IntRange(0, 3).Draw(w.t, "together with the next") > 0 {
		w.work(rapid.IntRange(0, 4).Draw(w.t, "owner") > 0)
	}
}

func (w *walk) drawError() *schemas.Error {
	return rapid.SampledFrom([]*schemas.Error{
		nil, nil, nil, nil, toolError, unavailable, lost, lost, ended, limited, refusedByRealm, cancelled, cancelled.WithOutcome(schemas.NotRun),
		schemas.Errorf(schemas.CodeTimeout, "read timed out at the tool").WithOutcome(schemas.RanFailed),
	}).Draw(w.t, "error")
}

// find lists the units that match.
func (w *walk) find(is func(unit int, u *units.Unit) bool) (units []int) {
	for i := range w.s.Units {
		if is(i, &w.s.Units[i]) {
			units = append(units, i)
		}
	}
	return units
}

func (w *walk) calls() []int { return w.find(func(_ int, u *units.Unit) bool { return u.Calling }) }

func (w *walk) one(label string, units []int) int { return rapid.SampledFrom(units).Draw(w.t, label) }

// endCall ends one of the calls in flight.
func (w *walk) endCall(err *schemas.Error) {
	calls := w.calls()
	if len(calls) == 0 {
		return
	}
	unit := w.one("call", calls)
	u := &w.s.Units[unit]
	if err != nil {
		e := w.s.Failed(unit, u.Attempts, err, time.Millisecond, w.now, middle)
		if e == nil {
			w.t.Fatalf("attempt %d of %s is in flight and its failure decides nothing", u.Attempts, w.s.Name(unit))
		}
		w.apply(*e, err)
		return
	}
	e := w.s.Succeeded(unit)
	e.Attempt, e.Output = u.Attempts, schemas.Value(fmt.Sprint(u.Attempts))
	switch u.Phase {
	case units.PhaseUndo:
		e.Type, e.Output = schemas.EventNodeCompensated, nil
	case units.PhaseVerify:
		e = w.verified(unit, e)
	default:
		e.Degraded = u.Fallback > 0
	}
	w.apply(e)
}

// verified is what the runtime makes of the answer of a verification: the call happened, it did not, or the answer is invalid.
func (w *walk) verified(unit int, e schemas.Event) schemas.Event {
	answer := rapid.SampledFrom([]string{"", "", "unreadable"}).Draw(w.t, "verification")
	if really := w.effects[unit]; answer == "" { // it is read when the verification starts
		answer = "not"
		if really.happens && !really.at.After(w.s.Units[unit].Since) {
			answer = "happened"
		}
	}
	if answer == "happened" {
		return e
	}
	e.Output = nil
	switch {
	case w.s.Status == schemas.StatusCancelling:
		e.Type = schemas.EventNodeCancelled
	case answer == "not":
		no := *w.s.NotDone(unit, e.Attempt, time.Millisecond, w.now, middle)
		if no.Type != schemas.EventNodeNotYet && no.Type != schemas.EventNodeCancelled { // of one that is not needed any more nothing is believed
			w.notTwice(unit, "a no is believed", false)
			w.undecided[unit] = false
		}
		return no
	default:
		e.Type, e.Reason = schemas.EventNodeHeld, schemas.ReasonUnknown
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "unreadable").WithOutcome(schemas.Unknown)
	}
	return e
}

// late ends an attempt, or a child, that was ended before.
func (w *walk) late() {
	unit := rapid.IntRange(0, len(w.s.Units)-1).Draw(w.t, "late unit")
	u := &w.s.Units[unit]
	last := u.Attempts
	if u.Calling {
		last--
	}
	for attempt := 1; attempt <= last; attempt++ {
		if w.s.OutcomeOpen(unit, attempt) {
			w.settle(unit, attempt)
			return
		}
		if e := w.s.Failed(unit, attempt, lost, 0, w.now, middle); e != nil || w.s.Attempt(unit, attempt) {
			w.t.Fatalf("attempt %d of %s is over and still decides %+v", attempt, w.s.Name(unit), e)
		}
		if e := w.s.NotDone(unit, attempt, 0, w.now, middle); e != nil {
			w.t.Fatalf("verification %d of %s is over and still decides %+v", attempt, w.s.Name(unit), e)
		}
	}
	if e := w.s.ChildFailed(unit, "another child", toolError, w.now, middle); e != nil {
		w.t.Fatalf("%s does not wait for that execution, and its end decides %+v", w.s.Name(unit), e)
	}
}

// settle ends a call of unknown outcome late.
func (w *walk) settle(unit, attempt int) {
	u, err := &w.s.Units[unit], w.drawLate(unit)
	denied := u.Phase == units.PhaseRun && (u.Status == schemas.NodeBackingOff || u.Status == schemas.NodeReady) // by a verification
	if !w.undecided[unit] && !denied {
		w.t.Fatalf("attempt %d of %s passes for unknown: %s", attempt, w.s.Name(unit), snapshot(w.t, w.s))
	}
	var events []schemas.Event
	if err == nil {
		events = w.s.LateSuccess(unit, attempt, time.Millisecond, "w")
		events[0].Output = schemas.Value("1")
	} else {
		settles := err.Outcome != schemas.Unknown && (u.Status == schemas.NodeHeld || u.Phase == units.PhaseVerify)
		ends := (err.Outcome != schemas.Unknown || err.Ended) && u.MayRunUntil.After(w.now)
		events = w.s.LateFailure(unit, attempt, err, time.Millisecond, "w", w.now)
		if (settles || ends) != (len(events) > 0) {
			w.t.Fatalf("%s, which is %s, ended late with %v: %v", w.s.Name(unit), u.Status, err, events)
		}
	}
	for i, e := range events {
		if i == 0 && e.Type != schemas.EventNodeCallEnded {
			w.undecided[unit] = false
		}
		w.apply(e)
	}
	if len(events) > 0 && events[0].Type != schemas.EventNodeCallEnded && w.s.OutcomeOpen(unit, attempt) {
		w.t.Fatalf("attempt %d of %s is decided and still passes for unknown", attempt, w.s.Name(unit))
	}
}

// crash: the worker dies, with all calls or all but some, which the next worker makes itself.
func (w *walk) crash() {
	dead := map[int]bool{}
	for _, unit := range w.calls() {
		dead[unit] = rapid.IntRange(0, 3).Draw(w.t, "dead") > 0
	}
	w.died = true
	defer func() { w.died = false }()
	for _, e := range w.s.Recover("w", w.now, DefaultMaxRecoveries, func(unit, _ int) bool { return !dead[unit] }) {
		w.apply(e, lost)
	}
	for unit := range dead {
		if dead[unit] && w.s.Units[unit].Calling {
			w.t.Fatalf("%s still waits for a call that is not made", w.s.Name(unit))
		}
	}
}

// patch decides about held units, all or some, and resumes.
func (w *walk) patch(all bool) {
	for _, unit := range w.find(func(_ int, u *units.Unit) bool {
		return u.Status == schemas.NodeHeld && u.Reason != schemas.ReasonReview
	}) {
		if Legal(schemas.EventNodePatched, w.s.Status, schemas.NodeHeld) && (all || rapid.Bool().Draw(w.t, "patch")) {
			patch := rapid.SampledFrom([]schemas.NodePatch{{Retry: true}, {Inputs: schemas.Object(`{"x":1}`)}, {Skip: true}, {Output: schemas.Value(`7`)}}).Draw(w.t, "decision")
			if (patch.Retry || len(patch.Inputs) > 0) && !w.mayRetry(unit) {
				patch = schemas.NodePatch{Skip: true}
			}
			e := w.s.Event(schemas.EventNodePatched, unit)
			e.Patch = &patch
			w.apply(e)
		}
	}
	if used := w.s.PlanUsed(w.now); w.s.Limit != nil && (all || rapid.Bool().Draw(w.t, "raise")) {
		more := schemas.PlanLimits{Calls: used.Calls + 2, Bytes: used.Bytes + 5, Time: used.Time + schemas.Duration(time.Minute)}
		if all { // so that it does not reach its time before what it waits for comes
			more.Time = used.Time + schemas.Duration(10000*time.Hour)
		}
		w.apply(schemas.Event{Type: schemas.EventLimitsRaised, Limits: &more})
	}
	if Legal(schemas.EventResumed, w.s.Status, "") {
		w.apply(schemas.Event{Type: schemas.EventResumed})
	}
}

// review decides all open reviews, or one.
func (w *walk) review(all bool) {
	for _, unit := range w.find(func(_ int, u *units.Unit) bool {
		return u.Status == schemas.NodeHeld && u.Reason == schemas.ReasonReview
	}) {
		if !Legal(schemas.EventReviewDecided, w.s.Status, schemas.NodeHeld) {
			return
		}
		e := w.s.Event(schemas.EventReviewDecided, unit)
		e.Name = Approve
		if !all && rapid.IntRange(0, 3).Draw(w.t, "reject") == 0 {
			e.Name, e.Error = Reject, schemas.Errorf(schemas.CodeDenied, "no").WithOutcome(schemas.NotRun)
		}
		if e.Name == Approve && w.s.Node(unit).Kind == plan.KindReview {
			e.Output = schemas.Value(`{"decision":"approve"}`)
		}
		w.apply(e)
		if !all {
			return
		}
	}
}

func (w *walk) signal(name string) {
	if Legal(schemas.EventSignal, w.s.Status, "") {
		w.apply(schemas.Event{Type: schemas.EventSignal, Name: name, Data: schemas.Value(fmt.Sprint(len(w.s.Signals) + 1))})
	}
}

func (w *walk) cancel() {
	if rapid.IntRange(0, 2).Draw(w.t, "really") == 0 && Legal(schemas.EventCancelling, w.s.Status, "") {
		w.apply(schemas.Event{
			Type: schemas.EventCancelling, Due: new(w.now.Add(10 * time.Second)),
			Name: rapid.SampledFrom([]string{"", CancelUndo}).Draw(w.t, "compensate"),
		})
	}
}

func (w *walk) children() []int {
	return w.find(func(_ int, u *units.Unit) bool { return u.Status == schemas.NodeRunning && u.Child != "" })
}

// endChild ends the execution of a workflow unit.
func (w *walk) endChild(fails bool) {
	units := w.children()
	if len(units) == 0 {
		return
	}
	unit := w.one("child", units)
	e := w.s.Succeeded(unit)
	e.Attempt, e.Output = w.s.Units[unit].Attempts, schemas.Value(`1`)
	if fails {
		failed := w.s.ChildFailed(unit, w.s.Units[unit].Child, toolError, w.now, middle)
		if failed == nil {
			w.t.Fatalf("%s waits for its child, and its failure decides nothing", w.s.Name(unit))
		}
		e = *failed
	}
	w.apply(e)
}

// endAwait ends the wait for a state: its condition holds, or cannot be evaluated.
func (w *walk) endAwait(fails bool) {
	awaiting := w.s.Awaiting()
	if len(awaiting) == 0 {
		return
	}
	unit := rapid.SampledFrom(awaiting).Draw(w.t, "await").Unit
	e := w.s.Event(schemas.EventNodeSucceeded, unit)
	e.Output = schemas.Value(`{"found":true}`)
	if fails {
		e = w.s.Final(unit, schemas.Errorf(schemas.CodeExpressionError, "no").WithOutcome(schemas.NotRun))
	}
	e.Attempt = w.s.Units[unit].Attempts
	w.apply(e)
}

// suspendChild suspends the execution of a workflow unit with this one.
func (w *walk) suspendChild() {
	if units := w.children(); len(units) > 0 && w.s.Status == schemas.StatusSuspending {
		w.apply(w.s.Event(schemas.EventNodeSuspended, w.one("child", units)))
	}
}

// work does what is due: everything, as an owner does, or what a guest may.
func (w *walk) work(owner bool) {
	for range 1000 {
		seq := w.s.Seq
		actions := w.s.Next(w.now)
		if a, b := describe(actions), describe(w.s.Next(w.now)); a != b {
			w.t.Fatalf("Next returns %s, and %s when called again", a, b)
		}
		for _, a := range actions {
			switch a.Kind {
			case Emit:
				if unit, ok := w.s.Unit(a.Event.Node, a.Event.Item); !ok || !w.s.Dropped(unit) || !w.s.Units[unit].Status.Ended() {
					w.apply(*a.Event)
				}
			case Start:
				if owner && !w.s.Failing && w.s.Limit == nil && !w.s.Dropped(a.Unit) {
					w.startOne(a.Unit)
				}
			case Undo:
				if owner {
					w.undoOne(a.Unit)
				}
			case Ask:
				w.ask(a.Unit)
			case Join:
				e := w.s.Event(schemas.EventNodeSucceeded, a.Unit)
				e.Output = schemas.Value(`[]`)
				if err := w.s.JoinError(a.Unit); err != nil {
					e = w.s.Final(a.Unit, err)
				}
				w.apply(e)
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
	w.t.Fatalf("Next never comes to rest: %s", snapshot(w.t, w.s))
}

// startOne starts a unit as the runtime does.
func (w *walk) startOne(unit int) {
	n, u := w.s.Node(unit), &w.s.Units[unit]
	fate := rapid.IntRange(0, 24).Draw(w.t, "fate")
	e := w.s.Event(schemas.EventNodeStarted, unit)
	e.Attempt = u.Attempts + 1
	switch {
	case u.BetweenRounds() && w.s.Exhausted(unit, w.now) != nil:
		e = w.s.RepeatFailed(unit, w.s.Exhausted(unit, w.now))
	case fate == 0 && u.Attempts == 0 && u.First.IsZero() && !w.s.IsItem(unit):
		e = w.s.Event(schemas.EventNodeSkipped, unit)
		e.Reason = "when is false"
	case w.s.ReachedBy(unit, w.now) != nil:
		e = *w.s.ReachedBy(unit, w.now)
	case fate == 1 && u.Phase == units.PhaseVerify:
		e = w.s.Event(schemas.EventNodeHeld, unit)
		e.Reason, e.Error = schemas.ReasonUnknown, schemas.Errorf(schemas.CodeExpressionError, "no").WithOutcome(schemas.Unknown)
	case fate == 1:
		e = w.s.Final(unit, schemas.Errorf(schemas.CodeExpressionError, "no").WithOutcome(schemas.NotRun))
	case n.ForEach != nil && !w.s.IsItem(unit):
		e = w.s.Event(schemas.EventNodeExpanded, unit)
		e.Count = rapid.IntRange(0, 5).Draw(w.t, "items")
	case w.s.Target(unit) != nil && n.Review && !u.Approved && u.Phase == units.PhaseRun, n.Kind == plan.KindReview:
		e = w.s.Event(schemas.EventNodeHeld, unit)
		e.Reason, e.Text = schemas.ReasonReview, "?"
		if n.Expires > 0 {
			e.Due = new(w.now.Add(n.Expires.Std()))
		}
	case w.s.Target(unit) != nil:
	case u.Fallback > 0:
		e = w.s.Succeeded(unit)
		e.Output, e.Degraded = schemas.Value(`0`), true
	case n.Kind == plan.KindSet:
		e = w.s.Event(schemas.EventNodeSucceeded, unit)
		e.Output = schemas.Value(`1`)
	case n.Kind == plan.KindWait:
		e.Due = new(w.now.Add(time.Duration(rapid.IntRange(-1, 120).Draw(w.t, "seconds")) * time.Second))
	case n.Kind == plan.KindWaitFor:
		if n.Expires > 0 {
			e.Due = new(w.now.Add(n.Expires.Std()))
		}
		if n.Awaited != nil {
			e.State = &schemas.StateName{Type: n.Awaited.Type, Key: "A"}
		}
	case n.Kind == plan.KindWorkflow:
		e.Child = fmt.Sprintf("child-%d-%d", unit, e.Attempt)
	}
	w.apply(e)
}

// ask ends a node with repeat, or has it go on.
func (w *walk) ask(unit int) {
	n, piece := w.s.Node(unit), ""
	if n.Repeat.Collect != nil {
		piece = fmt.Sprintf("[%d]", w.s.Seq)
	}
	e := w.s.Event(schemas.EventNodeSucceeded, unit)
	e.Output = schemas.Value("1")
	fate := rapid.IntRange(0, 9).Draw(w.t, "until")
	next := w.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(w.t, "every")) * time.Second)
	if w.answering && fate > 1 {
		fate = 0
	}
	err := w.s.Exhausted(unit, next)
	switch fate {
	case 0:
		w.apply(e)
		return
	case 1:
		err = schemas.Errorf(schemas.CodeExpressionError, "no").WithOutcome(schemas.RanFailed)
	}
	failed := schemas.Event{}
	if err != nil {
		if failed = w.s.RepeatFailed(unit, err); failed.Type == schemas.EventNodeFailed {
			failed.Output = schemas.Value("2")
			w.apply(failed)
			return
		}
		next = w.now
	}
	e = w.s.Event(schemas.EventNodeRepeated, unit)
	if e.Due, e.Data = &next, schemas.Value(piece); piece != "" && rapid.Bool().Draw(w.t, "apart") {
		e.DataRef, e.Data = &schemas.OutputRef{NodeID: "x", Bytes: len(piece) + len(w.s.Units[unit].Rounds.Pending)}, nil
	}
	w.collected[unit] += len(piece)
	w.apply(e)
	if err != nil {
		w.apply(failed)
	}
}

// undoOne starts a compensation, or finds that its inputs cannot be evaluated.
func (w *walk) undoOne(unit int) {
	e := w.s.Event(schemas.EventNodeCompensating, unit)
	e.Attempt = w.s.Units[unit].Attempts + 1
	if rapid.IntRange(0, 19).Draw(w.t, "undo fate") == 0 {
		e = w.s.Event(schemas.EventCompensationFailed, unit)
		e.Error = schemas.Errorf(schemas.CodeExpressionError, "no").WithOutcome(schemas.NotRun)
	}
	w.apply(e)
}

// answerAll answers every call and question, sends every event, lets the time of every timer come and decides about
// everything held: the execution ends.
func (w *walk) answerAll() {
	w.answering = true
	for range 2000 {
		if w.s.Status.Terminal() {
			w.over()
			return
		}
		if due := w.s.limitDue(); !due.IsZero() && due.Before(w.now.Add(1000*time.Hour)) && Legal(schemas.EventLimitsRaised, w.s.Status, "") {
			w.apply(schemas.Event{Type: schemas.EventLimitsRaised, Limits: &schemas.PlanLimits{Time: w.s.PlanUsed(w.now).Time + schemas.Duration(10000*time.Hour)}})
		}
		switch wake := w.s.Wake(w.now); {
		case w.s.Status == schemas.StatusPending:
			w.apply(schemas.Event{Type: schemas.EventStarted})
		case w.s.counts.InFlight > 0:
			w.endCall(nil)
		case w.s.Status == schemas.StatusSuspended:
			w.patch(true)
		case len(w.children()) > 0:
			w.endChild(false)
		case w.s.AwaitsState():
			w.endAwait(false)
		case !wake.IsZero() && !wake.Equal(w.s.limitDue()):
			w.now = wake
		default:
			w.review(true)
			w.signal("ping")
			w.signal("pong")
		}
		w.work(true)
	}
	w.t.Fatalf("the execution never ends: %s", snapshot(w.t, w.s))
}
