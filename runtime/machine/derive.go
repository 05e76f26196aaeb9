package machine

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// rebuild derives counters and queues from Units.
func (s *State) rebuild() {
	s.count, s.inFlight, s.readies, s.timing, s.children, s.awaiting, s.asleep, s.held, s.backing = [len(nodeOrder)]int{}, 0, 0, 0, 0, nil, 0, 0, 0
	s.ready, s.local, s.doomed, s.joins, s.delivered = [schemas.PriorityLast]queue{}, queue{}, queue{}, queue{}, queue{}
	s.timers, s.retries, s.listening, s.undo = nil, nil, map[string][]int{}, nil
	for i := range s.Units {
		u := &s.Units[i]
		u.left, u.succeeded, u.failed, u.released, u.next = 0, 0, 0, 0, 0
		u.doomed, u.queued, u.joined = false, false, false
		if s.IsItem(i) {
			continue
		}
		for _, d := range s.program.Nodes[i].Deps {
			u.left++
			u.note(s.Units[d].Status)
		}
	}
	for i := range s.Units {
		if u := &s.Units[i]; !s.IsItem(i) && u.Expanded && u.Status == schemas.NodeRunning {
			s.recount(i)
		}
	}
	for i := range s.Units {
		u := &s.Units[i]
		s.tally(i, 1)
		switch {
		case u.Status == schemas.NodeBackingOff:
			s.retries.push(u.Due, i)
		case !u.Due.IsZero():
			s.timers.push(u.Due, i)
		}
		if !u.TotalDue.IsZero() {
			s.timers.push(u.TotalDue, i)
		}
		if !u.QueueDue.IsZero() {
			s.timers.push(u.QueueDue, i)
		}
		switch {
		case u.Status == schemas.NodePending && !s.IsItem(i):
			s.settle(i, s.Created)
		case u.Status == schemas.NodeReady:
			s.enqueue(i)
		case u.Status == schemas.NodeRunning && u.Expanded:
			s.release(i, u.Since)
		case u.Status == schemas.NodeRunning && s.Node(i).Kind == plan.KindWaitFor && s.Node(i).Awaited == nil:
			s.listen(i)
		}
	}
	if s.Status == schemas.StatusCompensating {
		s.planUndo()
	}
}

// tally adds a unit to the counters, or with -1 takes it out.
func (s *State) tally(unit, by int) {
	u := &s.Units[unit]
	if !s.IsItem(unit) {
		s.count[nodeRank(u.Status)] += by
	}
	switch {
	case u.Calling:
		s.inFlight += by
	case u.Status == schemas.NodeReady:
		s.readies += by
	case u.Status == schemas.NodeRunning && !u.Expanded:
		s.timing += by
		if s.Node(unit).Awaited != nil {
			s.await(unit, by)
		}
		if s.Node(unit).Kind == plan.KindWorkflow {
			s.children += by
			if u.Asleep {
				s.asleep += by
			}
		}
	case u.Status == schemas.NodeHeld:
		s.held += by
	case u.Status == schemas.NodeBackingOff:
		s.backing += by
	}
}

// change is the one way in which a unit gets another status: it keeps the counters, and passes the news on to those
// who wait for it.
func (s *State) change(unit int, to schemas.NodeStatus, e *schemas.Event, calling bool) *Unit {
	u := &s.Units[unit]
	ended := u.Status.Ended()
	s.tally(unit, -1)
	u.Status, u.Since, u.Due, u.QueueDue, u.Reason, u.Question, u.Asked, u.Calling = to, e.At, time.Time{}, time.Time{}, "", "", 0, calling
	u.Asleep = false
	s.tally(unit, 1)
	switch {
	case to == schemas.NodeReady:
		s.queueClock(unit, e.At)
		s.enqueue(unit)
	case to.Ended() && !ended:
		u.Ended, u.EndSeq, u.TotalDue = e.At, e.Seq, time.Time{}
		s.Recoveries = 0
		if s.IsItem(unit) {
			s.itemEnded(unit, to, e.At)
			break
		}
		for _, d := range s.program.Nodes[unit].Dependents {
			if s.Units[d].Status == schemas.NodePending { // one that runs already may count its items by now
				s.Units[d].note(to)
				s.settle(d, e.At)
			}
		}
	}
	return u
}

// queueClock begins the queue_timeout of a ready unit; it does not run before the execution does, and not for a
// verification, without which nobody would know. A call that is refused keeps waiting: the time counts on.
func (s *State) queueClock(unit int, at time.Time) {
	if d := s.Node(unit).QueueTimeout.Std(); d > 0 && !s.Started.IsZero() && s.Units[unit].Phase != PhaseVerify {
		s.Units[unit].Queued, s.Units[unit].QueueDue = at, at.Add(d)
		s.timers.push(s.Units[unit].QueueDue, unit)
	}
}

// queueClocks begins it anew for every unit that waits to be called.
func (s *State) queueClocks(at time.Time) {
	for i := range s.Units {
		if u := &s.Units[i]; u.Status == schemas.NodeReady || u.Status == schemas.NodeBackingOff && !u.QueueDue.IsZero() {
			s.queueClock(i, at)
		}
	}
}

// note counts how a dependency, or an item, ended.
func (u *Unit) note(s schemas.NodeStatus) {
	if !s.Ended() {
		return
	}
	u.left--
	switch s {
	case schemas.NodeSucceeded, schemas.NodeCompensating, schemas.NodeCompensated:
		u.succeeded++
	case schemas.NodeFailed, schemas.NodeCancelled:
		u.failed++
	}
}

// settle decides a pending node as far as its trigger rule already allows.
func (s *State) settle(node int, at time.Time) {
	u, p := &s.Units[node], &s.program.Nodes[node]
	if u.Status != schemas.NodePending {
		return
	}
	total := int32(len(p.Deps))
	ended := total - u.left
	var start, doom bool
	switch p.Rule {
	case schemas.NoneFailed:
		start, doom = u.left == 0 && u.failed == 0, u.failed > 0
	case schemas.AllDone:
		start = u.left == 0
	case schemas.OneSuccess:
		start, doom = u.succeeded > 0 || total == 0, u.left == 0 && u.succeeded == 0
	case schemas.OneFailed:
		start, doom = u.failed > 0 || total == 0, u.left == 0 && u.failed == 0
	default: // all_success
		start, doom = u.succeeded == total, ended > u.succeeded
	}
	switch {
	case start:
		s.change(node, schemas.NodeReady, &schemas.Event{At: at}, false)
	case doom && !u.doomed:
		u.doomed = true
		s.doomed.push(node)
	}
}

// enqueue gives a ready unit its place. A place that it has from an earlier attempt still counts.
func (s *State) enqueue(unit int) {
	u := &s.Units[unit]
	if u.queued {
		return
	}
	u.queued = true
	if s.needsRoom(unit) {
		s.ready[cmp.Or(s.Node(unit).Priority, schemas.PriorityDefault)-1].push(unit)
	} else {
		s.local.push(unit)
	}
}

// needsRoom tells whether starting the unit makes a call.
func (s *State) needsRoom(unit int) bool {
	n := s.Node(unit)
	return n.Kind == plan.KindCapability && (n.ForEach == nil || s.IsItem(unit))
}

// listen notes what a wait_for unit waits for, and hands it a signal that came before.
func (s *State) listen(unit int) {
	u, event := &s.Units[unit], s.Node(unit).Event
	if u.Signal > 0 {
		s.delivered.push(unit)
		return
	}
	s.listening[event] = append(s.listening[event], unit)
}

// planUndo lists what is to be compensated: every unit that succeeded and can be undone, the last one first.
func (s *State) planUndo() {
	for i := range s.Units {
		u := &s.Units[i]
		if s.undoable(i) && (u.Status == schemas.NodeSucceeded || u.Status == schemas.NodeCompensating) {
			s.undo = append(s.undo, i)
		}
	}
	slices.SortFunc(s.undo, func(a, b int) int {
		x, y := &s.Units[a], &s.Units[b]
		return cmp.Or(cmp.Compare(rankUndo(x), rankUndo(y)), cmp.Compare(x.EndSeq, y.EndSeq), cmp.Compare(a, b))
	})
}

// rankUndo puts the unit that is being undone behind the others: it is the next one.
func rankUndo(u *Unit) int {
	if u.Status == schemas.NodeCompensating {
		return 1
	}
	return 0
}

// undoable tells whether a unit has a compensation that was not tried yet. Of a for_each node the items have it. Where a
// value of the fallback list stood in, nothing was done.
func (s *State) undoable(unit int) bool {
	n, u := s.Node(unit), &s.Units[unit]
	if u.Fallback > 0 && n.Fallbacks[u.Fallback-1].Target == nil {
		return false
	}
	return n.Compensate != nil && u.Phase != PhaseUndone && (n.ForEach == nil || s.IsItem(unit)) && u.Reason != reused
}

// patched marks units that a person ended.
const patched = "patched"

// reused marks outputs that were taken over from another execution: this one did not do it and does not undo it.
const reused = "reused"

func itoa(n int) string { return strconv.Itoa(n) }
