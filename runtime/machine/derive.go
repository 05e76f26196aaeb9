package machine

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// derive derives counters and queues from Units.
func (s *State) derive() {
	s.counts, s.awaiting = units.Counts{}, nil
	s.Forget()
	s.clearQueues()
	s.listening, s.toCompensate = map[string][]int{}, nil
	for i := range s.Units {
		u := &s.Units[i]
		u.Tally, u.Unstartable, u.InQueue, u.Joined = units.Tally{}, false, false, false
		if s.IsItem(i) {
			continue
		}
		for _, d := range s.program.Nodes[i].Deps {
			u.Tally.Left++
			u.Tally.Ended(s.Units[d].Status)
		}
	}
	for i := range s.Units {
		if u := &s.Units[i]; !s.IsItem(i) && u.Expanded && u.Status == schemas.NodeRunning {
			s.recount(i)
		}
	}
	for i := range s.Units {
		u := &s.Units[i]
		s.addToCounts(i, 1)
		if u.HoldsChild() {
			s.Open(u.Grant, u.Places)
		}
		switch {
		case u.Status == schemas.NodeBackingOff:
			s.retries.Add(u.Due, i)
		case !u.Due.IsZero():
			s.timers.Add(u.Due, i)
		}
		if u.Dropped > 0 && !u.Status.Ended() {
			s.dropped.Push(i)
		}
		if !u.TotalDue.IsZero() {
			s.timers.Add(u.TotalDue, i)
		}
		if !u.QueueDue.IsZero() {
			s.timers.Add(u.QueueDue, i)
		}
		switch {
		case u.Status == schemas.NodePending && !s.IsItem(i):
			s.applyTriggerRule(i, s.Created)
		case u.Status == schemas.NodeReady:
			s.enqueue(i)
		case u.IsAsking():
			s.asking.Push(i)
		case u.Status == schemas.NodeRunning && u.Expanded:
			s.release(i, u.Since)
		case u.Status == schemas.NodeRunning && s.Node(i).Kind == plan.KindWaitFor && s.Node(i).Awaited == nil:
			s.awaitSignal(i)
		}
	}
	if s.Status == schemas.StatusCompensating {
		s.listCompensations()
	}
}

// addToCounts adds a unit to the counters, or with -1 removes it.
func (s *State) addToCounts(unit, by int) {
	u, n := &s.Units[unit], s.Node(unit)
	s.counts.Add(u, units.Kind{Item: s.IsItem(unit), Workflow: n.Kind == plan.KindWorkflow}, by)
	if n.Awaited != nil && u.Status == schemas.NodeRunning && !u.Calling && !u.Expanded {
		s.updateAwaiting(unit, by)
	}
}

// setStatus is the only way in which a unit changes its status: it updates the counters, the queues and the units that depend
// on it.
func (s *State) setStatus(unit int, to schemas.NodeStatus, e *schemas.Event, calling bool) *units.Unit {
	u := &s.Units[unit]
	ended, before := u.Status.Ended(), u.Status
	if r := u.Rounds; r != nil && !r.Due.IsZero() && u.Status == schemas.NodeHeld { // the time of a hold does not count
		r.Due = r.Due.Add(e.At.Sub(u.Since))
	}
	if u.HoldsChild() {
		s.settle(u, e.Budget)
	}
	s.addToCounts(unit, -1)
	u.Status, u.Since, u.Due, u.QueueDue, u.Reason, u.Question, u.Asked, u.Calling = to, e.At, time.Time{}, time.Time{}, "", "", 0, calling
	u.ChildSuspended = false
	s.addToCounts(unit, 1)
	switch {
	case to == schemas.NodeReady:
		s.queueClock(unit, e.At)
		s.enqueue(unit)
	case to.Ended() && !ended:
		u.Ended, u.EndSeq, u.TotalDue = e.At, e.Seq, time.Time{}
		u.EndRounds()
		s.Recoveries = 0
		if s.IsItem(unit) {
			s.itemEnded(unit, to, e.At)
			break
		}
		for _, d := range s.program.Nodes[unit].Dependents {
			if s.Units[d].Status == schemas.NodePending { // a node that has started may count its items there
				s.Units[d].Tally.Ended(to)
				s.applyTriggerRule(d, e.At)
			}
		}
	}
	if races := s.Node(unit).CancelOthers && !s.IsItem(unit) && before != to; races && (to == schemas.NodeRunning || to == schemas.NodeHeld || to == schemas.NodeSucceeded) {
		s.dropOthers(unit, e.At)
	}
	return u
}

// queueClock starts the queue_timeout of a ready unit. It does not run before the execution has started, nor for a
// verification, without which the outcome would stay unknown. It continues while a call is refused.
func (s *State) queueClock(unit int, at time.Time) {
	if d := s.Node(unit).QueueTimeout.Std(); d > 0 && !s.Started.IsZero() && s.Units[unit].Phase != units.PhaseVerify {
		s.Units[unit].Queued, s.Units[unit].QueueDue = at, at.Add(d)
		s.timers.Add(s.Units[unit].QueueDue, unit)
	}
}

// queueClocks restarts it for every unit that waits to be called.
func (s *State) queueClocks(at time.Time) {
	for i := range s.Units {
		if u := &s.Units[i]; u.Status == schemas.NodeReady || u.Status == schemas.NodeBackingOff && !u.QueueDue.IsZero() {
			s.queueClock(i, at)
		}
	}
}

// applyTriggerRule makes a pending node ready, or marks it as unstartable, as soon as its trigger rule is decided.
func (s *State) applyTriggerRule(node int, at time.Time) {
	u, p := &s.Units[node], &s.program.Nodes[node]
	if u.Status != schemas.NodePending {
		return
	}
	start, never := u.Tally.Decide(p.Rule, len(p.Deps))
	switch {
	case start:
		s.setStatus(node, schemas.NodeReady, &schemas.Event{At: at}, false)
	case never && !u.Unstartable:
		u.Unstartable = true
		s.unstartable.Push(node)
	}
}

// enqueue adds a ready unit to its queue. An entry from an earlier attempt still counts.
func (s *State) enqueue(unit int) {
	u := &s.Units[unit]
	if u.InQueue {
		return
	}
	u.InQueue = true
	if s.makesCall(unit) {
		s.ready[cmp.Or(s.Node(unit).Priority, schemas.PriorityDefault)-1].Push(unit)
	} else {
		s.readyWithoutCall.Push(unit)
	}
}

// makesCall reports whether starting the unit makes a call.
func (s *State) makesCall(unit int) bool {
	n := s.Node(unit)
	return n.Kind == plan.KindCapability && (n.ForEach == nil || s.IsItem(unit))
}

// awaitSignal adds a wait_for unit to those that wait for its event, or delivers the signal that it has taken.
func (s *State) awaitSignal(unit int) {
	u, event := &s.Units[unit], s.Node(unit).Event
	if u.Signal > 0 {
		s.delivered.Push(unit)
		return
	}
	s.listening[event] = append(s.listening[event], unit)
}

// listCompensations lists the units to compensate: those that succeeded and can be compensated, the one that ended last at the end.
func (s *State) listCompensations() {
	for i := range s.Units {
		u := &s.Units[i]
		if s.compensable(i) && (u.Status == schemas.NodeSucceeded || u.Status == schemas.NodeCompensating) {
			s.toCompensate = append(s.toCompensate, i)
		}
	}
	slices.SortFunc(s.toCompensate, func(a, b int) int {
		x, y := &s.Units[a], &s.Units[b]
		return cmp.Or(cmp.Compare(compensationRank(x), compensationRank(y)), cmp.Compare(x.EndSeq, y.EndSeq), cmp.Compare(a, b))
	})
}

// compensationRank sorts the unit that is being compensated after the others: it is the next one.
func compensationRank(u *units.Unit) int {
	if u.Status == schemas.NodeCompensating {
		return 1
	}
	return 0
}

// compensable reports whether a unit has a compensation that was not tried yet. In a for_each node the items have it. If a
// value of the fallback list was used, there is nothing to compensate.
func (s *State) compensable(unit int) bool {
	n, u := s.Node(unit), &s.Units[unit]
	if u.Fallback > 0 && n.Fallbacks[u.Fallback-1].Target == nil {
		return false
	}
	return n.Compensate != nil && u.Phase != units.PhaseUndone && (n.ForEach == nil || s.IsItem(unit)) && u.Reason != reused
}

// reused is the reason of units whose output was taken from another execution, which this one does not compensate.
const reused = "reused"

func itoa(n int) string { return strconv.Itoa(n) }
