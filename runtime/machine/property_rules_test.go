package machine

import (
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// model is what a walk records about the execution independently of the State.
type model struct {
	ended     map[int]units.Unit
	order     []int          // units in the order in which they succeeded
	undecided map[int]bool   // units whose last `once` call may have happened, without a decision
	tries     map[int]int    // calls of what the unit calls now that spent an attempt
	before    map[int]int    // of a unit that is verified: tries of its own call
	effects   map[int]effect // of units whose last `once` call had no known outcome
	settled   map[int]bool   // units whose compensation is over
	patched   map[int]bool   // units that a person has called again
	doubtful  map[int]bool   // units whose `once` compensation may have happened
	rounds    map[int]int    // that have ended, of units with repeat
	counted   map[int]int    // of those, since a person decided
	collected map[int]int    // bytes
	approved  map[int]int    // the round in which a person approved the call
	undo      bool           // it is to be compensated
	failed    bool
	sent      int // calls of capabilities that were not refused
	finished  int
}

func newModel() model {
	return model{
		rounds: map[int]int{}, counted: map[int]int{}, approved: map[int]int{}, collected: map[int]int{},
		effects: map[int]effect{}, patched: map[int]bool{}, ended: map[int]units.Unit{}, undecided: map[int]bool{}, tries: map[int]int{}, before: map[int]int{}, settled: map[int]bool{}, doubtful: map[int]bool{},
	}
}

// apply applies one event and checks everything that must hold after it. cause is the error that ended a call, or nil.
func (w *walk) apply(e schemas.Event, cause ...*schemas.Error) {
	w.t.Helper()
	unit := -1
	var was units.Unit
	var target *plan.Target
	if AboutNode(e.Type) {
		var ok bool
		if unit, ok = w.s.Unit(e.Node, e.Item); !ok {
			w.t.Fatalf("%s is about an unknown unit %s", e.Type, e.Node)
		}
		was, target = w.s.Units[unit], w.s.Target(unit)
		if was.Rounds != nil {
			was.Rounds = new(*was.Rounds)
		}
	}
	e.Seq, e.At = w.s.Seq+1, w.now
	if err := w.s.Apply(&e); err != nil {
		w.t.Fatal(err)
	}
	w.log = append(w.log, e)
	if unit >= 0 {
		if was.Calling && !w.s.Units[unit].Calling {
			w.callEnded(unit, &was, target, e, cause)
		}
		w.about(unit, &was, e)
	}
	switch e.Type {
	case schemas.EventLimitReached:
		w.failed = w.failed || e.Error != nil
	case schemas.EventCancelling:
		w.undo = e.Name == CancelUndo
	case schemas.EventFinished:
		w.finished++
	}
	w.always()
}

// callEnded records whether a call that ended without success may have happened, and whether it spent an attempt.
func (w *walk) callEnded(unit int, was *units.Unit, target *plan.Target, e schemas.Event, cause []*schemas.Error) {
	unknown := e.Error != nil && e.Error.Outcome == schemas.Unknown
	if len(cause) > 0 {
		unknown = cause[0].Outcome == schemas.Unknown
	}
	switch e.Type {
	case schemas.EventNodeSucceeded, schemas.EventRoundEnded, schemas.EventNodeCompensated, schemas.EventNodeNotDone, schemas.EventNodeNotYet:
		return
	case schemas.EventAttemptLost, schemas.EventNodePostponed:
		w.tries[unit]--
	case schemas.EventCompensationFailed:
		if e.Reason != "" {
			w.tries[unit]--
		}
	}
	if !unknown || target.Effect != schemas.EffectOnce {
		return
	}
	switch was.Phase {
	case units.PhaseUndo:
		w.doubtful[unit] = true
		return
	case units.PhaseVerify:
		return
	}
	if was.Fallback == 0 {
		w.runsOn(unit, was, target.Timeout.Std(), e.Error != nil && e.Error.Ended || len(cause) > 0 && cause[0].Ended)
	}
	if w.s.Node(unit).OnUnknown != schemas.OnUnknownRetry {
		w.undecided[unit] = true
	}
}

// about checks one event of a unit.
func (w *walk) about(unit int, was *units.Unit, e schemas.Event) {
	n, u, name := w.s.Node(unit), &w.s.Units[unit], w.s.Name(unit)
	w.countSent(u, e)
	switch e.Type {
	case schemas.EventNodeStarted, schemas.EventNodeExpanded:
		w.started(unit, was)
	case schemas.EventNodeSucceeded, schemas.EventNodeReused:
		if !w.s.IsItem(unit) && !w.allowed(unit) {
			w.t.Fatalf("%s succeeds against its trigger rule: %s", name, snapshot(w.t, w.s))
		}
		w.undecided[unit] = false
		if u.Expanded {
			w.joined(unit)
		}
	case schemas.EventRoundEnded:
		w.roundEnded(unit, e)
	case schemas.EventNodeRepeated:
		w.tries[unit] = 0
	case schemas.EventReviewDecided:
		w.approved[unit] = w.rounds[unit]
	case schemas.EventNodePatched:
		w.counted[unit] = 0
		w.undecided[unit], w.tries[unit] = false, 0
		w.patched[unit] = true
		if u.Expanded && u.Status == schemas.NodeRunning {
			w.reopened(u)
		}
	case schemas.EventNodeSettled:
		if was.Phase == units.PhaseVerify {
			w.tries[unit] = w.before[unit]
		}
		if e.Reason != "" {
			w.tries[unit]--
		}
	case schemas.EventNodeHeld:
		if was.Phase == units.PhaseVerify {
			w.tries[unit] = w.before[unit]
		}
	case schemas.EventNodeVerifying:
		w.before[unit], w.tries[unit] = w.tries[unit], 0
	case schemas.EventNodeNotYet:
		w.tries[unit] = 0
	case schemas.EventNodeNotDone:
		w.undecided[unit], w.tries[unit] = false, w.before[unit]
	case schemas.EventNodeFellBack:
		if w.undecided[unit] {
			w.t.Fatalf("a fallback serves %s, whose once call may have happened", name)
		}
		w.tries[unit] = 0
	case schemas.EventNodeFailed:
		if was.Phase == units.PhaseVerify && w.undecided[unit] {
			w.t.Fatalf("%s fails by its verification, though its outcome is unknown", name)
		}
	case schemas.EventNodeCompensating:
		w.compensates(unit, was)
	case schemas.EventCompensationFailed, schemas.EventNodeCompensated:
		if e.Due == nil {
			if w.settled[unit] {
				w.t.Fatalf("%s was undone already", name)
			}
			w.settled[unit] = true
		}
	}
	if u.Status == schemas.NodeFailed && !w.s.IsItem(unit) && n.OnError != schemas.OnErrorContinue && !w.failed {
		w.failed, w.undo = true, n.OnError == schemas.OnErrorCompensate
	}
	if u.Status == schemas.NodeSucceeded && !was.Status.Ended() {
		w.order = append(w.order, unit)
	}
}

// countSent counts calls against the limit of the plan, which none but a compensation exceeds.
func (w *walk) countSent(u *units.Unit, e schemas.Event) {
	switch {
	case e.Type == schemas.EventNodeStarted && u.Calling, e.Type == schemas.EventNodeCompensating:
		w.sent++
	case e.Type == schemas.EventNodePostponed, e.Type == schemas.EventNodeHeld && e.Reason == schemas.ReasonDrift,
		e.Type == schemas.EventCompensationFailed && e.Due != nil && e.Reason != "" && e.Reason != stopped:
		w.sent--
	}
	if most := w.s.PlanLimits().Calls; e.Type == schemas.EventNodeStarted && u.Calling && most > 0 && w.sent > most {
		w.t.Fatalf("%d calls were made, the plan allows %d", w.sent, most)
	}
	if w.s.Sent != w.sent {
		w.t.Fatalf("%d calls were made, it counts %d after %+v", w.sent, w.s.Sent, e)
	}
}

// roundEnded checks a round that has its answer.
func (w *walk) roundEnded(unit int, e schemas.Event) {
	n, u, name := w.s.Node(unit), &w.s.Units[unit], w.s.Name(unit)
	w.undecided[unit] = false
	delete(w.effects, unit) // it is known
	w.rounds[unit]++
	w.counted[unit]++
	switch r := u.Rounds; {
	case !u.IsAsking() || u.Calling || u.Child != "":
		w.t.Fatalf("a round of %s has ended, and it is %+v", name, u)
	case r.Done != w.rounds[unit] || e.Round != nil && *e.Round != r.Done-1:
		w.t.Fatalf("%d rounds of %s have ended, it says %d: %+v", w.rounds[unit], name, r.Done, e)
	case w.counted[unit] > n.Repeat.Max:
		w.t.Fatalf("%s has made %d rounds, at most %d", name, w.counted[unit], n.Repeat.Max)
	case r.Bytes != w.collected[unit]:
		w.t.Fatalf("%s has collected %d bytes, it says %d", name, w.collected[unit], r.Bytes)
	}
}

// reopened: the items of a list that did not succeed run again; those that succeeded, or were skipped by a person, are kept.
func (w *walk) reopened(node *units.Unit) {
	for item := node.FirstItem; item < node.FirstItem+node.Count; item++ {
		if was, ok := w.ended[item]; ok && was.Status != schemas.NodeSucceeded && was.Reason != units.Patched {
			delete(w.ended, item)
			w.undecided[item], w.tries[item], w.patched[item] = false, 0, true
		}
	}
}

// started checks a unit that has started.
func (w *walk) started(unit int, was *units.Unit) {
	n, u, name := w.s.Node(unit), &w.s.Units[unit], w.s.Name(unit)
	switch {
	case !w.s.IsItem(unit) && !w.allowed(unit):
		w.t.Fatalf("%s starts against its trigger rule: %s", name, snapshot(w.t, w.s))
	case w.s.Dropped(unit):
		w.t.Fatalf("%s starts though nothing needs it any more", name)
	case w.failed:
		w.t.Fatalf("%s starts though a node failed for good", name)
	case u.Expanded:
		return
	case u.Attempts != was.Attempts+1:
		w.t.Fatalf("attempt %d of %s follows attempt %d", u.Attempts, name, was.Attempts)
	case w.undecided[unit] && u.Phase != units.PhaseVerify:
		w.t.Fatalf("the once call of %s may have happened and is called again without a decision", name)
	case !w.undecided[unit] && u.Phase == units.PhaseVerify:
		w.t.Fatalf("%s is verified, of which nothing is unknown", name)
	case !u.Calling:
		return
	case was.BetweenRounds() && !was.Rounds.Due.IsZero() && was.Rounds.Due.Before(w.now):
		w.t.Fatalf("a round of %s starts at %s, none may after %s", name, w.now, was.Rounds.Due)
	case n.Repeat != nil && was.Status == schemas.NodeBackingOff && was.Due.After(w.now):
		w.t.Fatalf("a round of %s starts at %s, it is due at %s", name, w.now, was.Due)
	case u.Phase == units.PhaseRun && u.Fallback == 0:
		w.notTwice(unit, "it is called again", w.patched[unit] || n.OnUnknown == schemas.OnUnknownRetry)
		delete(w.effects, unit)
		delete(w.patched, unit)
	}
	w.tries[unit]++
	if most := w.s.Target(unit).Retry.MaxAttempts; w.tries[unit] > most {
		w.t.Fatalf("%s is called for the %dth time (phase %q, fallback %d), max_attempts is %d", name, w.tries[unit], u.Phase, u.Fallback, most)
	}
	if n.Review && (!u.Approved || w.approved[unit] != w.rounds[unit]) && u.Phase == units.PhaseRun {
		w.t.Fatalf("%s is called before it was approved", name)
	}
}

// compensates checks a compensation that has started: it is of the unit that ended last among those not compensated yet.
func (w *walk) compensates(unit int, was *units.Unit) {
	name := w.s.Name(unit)
	if was.Phase != units.PhaseUndo {
		w.tries[unit] = 0
	}
	w.tries[unit]++
	for _, other := range slices.Backward(w.order) {
		if other == unit {
			break
		}
		if w.undoes(other) && !w.settled[other] {
			w.t.Fatalf("%s is undone before %s, which succeeded later", name, w.s.Name(other))
		}
	}
	switch {
	case !w.undo:
		w.t.Fatalf("%s is compensated without being asked to", name)
	case !slices.Contains(w.order, unit) || !w.undoes(unit):
		w.t.Fatalf("%s is undone, but it has no effect to undo", name)
	case w.settled[unit]:
		w.t.Fatalf("%s is undone again", name)
	case w.doubtful[unit]:
		w.t.Fatalf("the once compensation of %s may have happened and is called again", name)
	case w.tries[unit] > w.s.Node(unit).Compensate.Retry.MaxAttempts:
		w.t.Fatalf("the compensation of %s is called for the %dth time, max_attempts is %d", name, w.tries[unit], w.s.Node(unit).Compensate.Retry.MaxAttempts)
	}
}

// undoes reports whether a unit that succeeded has a compensation.
func (w *walk) undoes(unit int) bool {
	n, u := w.s.Node(unit), &w.s.Units[unit]
	served := u.Fallback > 0 && n.Fallbacks[u.Fallback-1].Target == nil // a value stands for what was not done
	return n.Compensate != nil && (n.ForEach == nil || w.s.IsItem(unit)) && !served
}

// joined checks a for_each node that has succeeded.
func (w *walk) joined(node int) {
	n, u := w.s.Node(node), &w.s.Units[node]
	var succeeded, failed, open int
	for i := range u.Count {
		switch w.s.Units[u.FirstItem+i].Status {
		case schemas.NodeSucceeded:
			succeeded++
		case schemas.NodeFailed, schemas.NodeCancelled:
			failed++
		case schemas.NodeSkipped:
		default:
			open++
		}
	}
	v := w.s.Items(node)
	switch {
	case open > 0:
		w.t.Fatalf("%s succeeded with %d items open", n.ID, open)
	case v.Total != u.Count || v.Succeeded != succeeded || v.Failed != failed || v.Running != 0:
		w.t.Fatalf("%s has %d of %d items succeeded and %d failed, but Items returns %+v", n.ID, succeeded, u.Count, failed, v)
	case n.MinSuccess < 0 && failed > 0 && n.OnError != schemas.OnErrorContinue, n.MinSuccess >= 0 && failed > 0 && u.Count-failed < n.MinSuccess:
		w.t.Fatalf("%s succeeded with %d of %d items failed", n.ID, failed, u.Count)
	}
}

// always is what holds after every event.
func (w *walk) always() {
	s := w.s
	if w.finished > 1 || (w.finished == 1) != s.Status.Terminal() {
		w.t.Fatalf("%s after %d ends", s.Status, w.finished)
	}
	if calls := len(w.calls()); calls > s.limit || s.counts.InFlight != calls {
		w.t.Fatalf("%d calls in flight, counted %d, at most %d", calls, s.counts.InFlight, s.limit)
	}
	if s.Status == schemas.StatusSuspended && s.counts.InFlight+s.counts.Children-s.counts.ChildrenSuspended > 0 {
		w.t.Fatal("suspended with calls in flight, or workflows that are not suspended")
	}
	again := w.derived()
	w.raced()
	for i := range s.Units {
		u := &s.Units[i]
		w.unchanged(i)
		if u.Expanded && u.Status == schemas.NodeRunning {
			if most, active := s.Node(i).MaxParallel, u.Tally.Active(u.Count); most > 0 && active > most {
				w.t.Fatalf("%s has %d items at once, at most %d", s.Name(i), active, most)
			}
			kept, derived := u.Tally, again.Units[i].Tally
			if kept.Next, derived.Next = 0, 0; kept != derived {
				w.t.Fatalf("%s keeps %+v of its items, derived %+v", s.Name(i), kept, derived)
			}
		}
	}
	kept, derived := counters(s), counters(again)
	if kept != derived {
		w.t.Fatalf("counters differ: kept %v, derived %v", kept, derived)
	}
}

// raced: what a race has decided against is dropped at once, and what still may be needed is not.
func (w *walk) raced() {
	s := w.s
	for i := range s.program.Nodes {
		n, u := &s.program.Nodes[i], &s.Units[i]
		if n.CancelOthers && !s.Status.Terminal() && (u.Status == schemas.NodeRunning || u.Status == schemas.NodeHeld || u.Status == schemas.NodeSucceeded) {
			for _, d := range n.Deps {
				if other := &s.Units[d]; !other.Status.Ended() && other.Dropped == 0 {
					w.t.Fatalf("%s has started, and its dependency %s is %s", n.ID, s.Name(d), other.Status)
				}
			}
		}
		if u.Dropped == 0 || u.Status.Ended() {
			continue
		}
		direct := slices.Contains(s.program.Nodes[u.Dropped-1].Deps, i)
		if needed := slices.ContainsFunc(n.Dependents, func(d int) bool { return !s.Units[d].Status.Ended() && s.Units[d].Dropped == 0 }); needed && !direct {
			w.t.Fatalf("%s is dropped, and %v may still run", n.ID, n.Dependents)
		}
	}
}

func counters(s *State) any {
	return [...]any{s.counts}
}

// derived is the state of a process that restored a snapshot.
func (w *walk) derived() *State {
	again := *w.s
	again.Units = slices.Clone(w.s.Units)
	again.Signals = slices.Clone(w.s.Signals)
	again.derive()
	return &again
}

// unchanged: a committed result never changes. A compensation only changes the status; the output of an item becomes part of its
// node's.
func (w *walk) unchanged(unit int) {
	u := w.s.Units[unit]
	was, ok := w.ended[unit]
	if !ok {
		if u.Status.Ended() {
			w.ended[unit] = u
		} else if w.s.Status.Terminal() {
			w.t.Fatalf("%s is %s in an execution that is %s", w.s.Name(unit), u.Status, w.s.Status)
		}
		return
	}
	status := u.Status
	if was.Status == schemas.NodeSucceeded && (status == schemas.NodeCompensating || status == schemas.NodeCompensated) {
		status = was.Status
	}
	moved := w.s.IsItem(unit) && w.s.Units[u.Node].Status == schemas.NodeSucceeded && len(u.Output) == 0
	if was.Status != status || string(was.Output) != string(u.Output) && !moved || was.Ended != u.Ended || was.EndSeq != u.EndSeq {
		w.t.Fatalf("%s ended as %+v and is %+v", w.s.Name(unit), was, u)
	}
}

// allowed is a second implementation of the trigger rules.
func (w *walk) allowed(node int) bool {
	n := w.s.Node(node)
	var open, succeeded, failed, skipped int
	for _, d := range n.Deps {
		switch w.s.Units[d].Status {
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
	switch n.Rule {
	case schemas.NoneFailed:
		return open+failed == 0
	case schemas.AllDone:
		return open == 0
	case schemas.OneSuccess:
		return succeeded > 0 || len(n.Deps) == 0
	case schemas.OneFailed:
		return failed > 0 || len(n.Deps) == 0
	}
	return open+failed+skipped == 0
}

// atRest: an owner that has nothing to do waits for a call, a time, an event, another execution or a person, and misses no
// time.
func (w *walk) atRest(actions []Action) {
	s := w.s
	if a, b := describe(actions), describe(w.derived().Next(w.now)); a != b {
		w.t.Fatalf("Next returns %s, and %s after a snapshot is restored", a, b)
	}
	wake := s.Wake(w.now)
	if again := w.derived(); !again.Wake(w.now).Equal(wake) {
		w.t.Fatalf("wake at %s, and at %s for a process that reads a snapshot", wake, again.Wake(w.now))
	}
	var awaiting []Await
	for _, unit := range w.find(func(i int, u *units.Unit) bool {
		return s.Status == schemas.StatusRunning && u.Status == schemas.NodeRunning && s.Node(i).Awaited != nil
	}) {
		awaiting = append(awaiting, Await{unit, *s.Units[unit].Awaits})
	}
	if a, b := s.Awaiting(), w.derived().Awaiting(); !slices.Equal(a, awaiting) || !slices.Equal(b, awaiting) || s.AwaitsState() != (len(awaiting) > 0) {
		w.t.Fatalf("%v wait for states, but Awaiting returns %v, and after a snapshot %v", awaiting, a, b)
	}
	events := w.find(func(i int, u *units.Unit) bool {
		return u.Status == schemas.NodeHeld && u.Reason == schemas.ReasonReview || u.Status == schemas.NodeRunning && s.Node(i).Kind == plan.KindWaitFor
	})
	switch {
	case len(actions) > 0:
		w.t.Fatalf("%d actions are due and change nothing", len(actions))
	case s.Status == schemas.StatusPending, s.Status == schemas.StatusSuspended, s.Status.Terminal():
		return
	case s.counts.InFlight == 0 && wake.IsZero() && len(w.children()) == 0 && len(events) == 0:
		w.t.Fatalf("stuck: %s", snapshot(w.t, s))
	case !wake.IsZero() && !wake.After(w.now):
		w.t.Fatalf("busy: wake at %s, now %s", wake, w.now)
	}
	if s.Status != schemas.StatusRunning || s.Failing {
		return
	}
	for i := range s.Units {
		u := &s.Units[i]
		for _, due := range []time.Time{u.Due, u.TotalDue, u.QueueDue} {
			if due.IsZero() || u.Status == schemas.NodeBackingOff && due.Equal(u.Due) && s.counts.InFlight == s.limit {
				continue // it waits for room
			}
			if due.Equal(u.TotalDue) && u.Phase == units.PhaseVerify {
				continue // it does not end a verification
			}
			if !due.After(w.now) {
				w.t.Fatalf("the time of %s has come and nothing followed: %s", s.Name(i), snapshot(w.t, s))
			}
			if wake.IsZero() || wake.After(due) {
				w.t.Fatalf("wake at %s, and the time of %s comes at %s", wake, s.Name(i), due)
			}
		}
	}
}

// over checks an execution that has ended.
func (w *walk) over() {
	w.check()
	for typ := range rules {
		e := schemas.Event{Seq: w.s.Seq + 1, At: w.now, Type: typ, Node: w.s.program.Nodes[0].ID}
		if err := w.s.Apply(&e); err == nil {
			w.t.Fatalf("%s changes an execution that is %s", typ, w.s.Status)
		}
	}
	if w.undo && (w.s.Status == schemas.StatusFailed || w.s.Status == schemas.StatusCancelled) {
		for _, unit := range w.order {
			if w.undoes(unit) && !w.settled[unit] {
				w.t.Fatalf("%s succeeded and was not undone", w.s.Name(unit))
			}
		}
	}
	for i := range w.s.Units {
		if w.undecided[i] && w.s.Units[i].Status == schemas.NodeSucceeded {
			w.t.Fatalf("%s succeeded though its outcome is unknown", w.s.Name(i))
		}
	}
}
