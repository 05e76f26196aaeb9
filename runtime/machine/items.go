package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// expand creates the items of a for_each node, which are released as its max_parallel allows.
func (s *State) expand(node int, e *schemas.Event) {
	u := s.setStatus(node, schemas.NodeRunning, e, false)
	s.addToCounts(node, -1)
	u.Expanded, u.FirstItem, u.Count = true, len(s.Units), e.Count
	u.List, u.ListRef = e.Data, e.DataRef
	s.ItemsMade += int64(e.Count)
	s.addToCounts(node, 1)
	u.NoteFirst(e.At)
	s.Units = append(s.Units, make([]units.Unit, e.Count)...)
	for item := range e.Count {
		s.Units[s.Units[node].FirstItem+item] = units.Unit{Status: schemas.NodePending, Node: node, Item: item}
	}
	s.recount(node)
	s.release(node, e.At)
}

// release makes as many items ready as max_parallel allows, and queues the node when its outcome is decided.
func (s *State) release(node int, at time.Time) {
	u, p := &s.Units[node], &s.program.Nodes[node]
	if s.itemsEnded(node) {
		if !u.Joined {
			u.Joined = true
			s.joins.Push(node)
		}
		return
	}
	most := p.MaxParallel
	if most == 0 && p.Kind == plan.KindWorkflow { // calls are limited when they start
		most = s.limit
	}
	for int(u.Tally.Next) < u.Count && !s.itemsFailed(node) && (most == 0 || u.Tally.Active(u.Count) < most) {
		item := u.FirstItem + int(u.Tally.Next)
		u.Tally.Next++
		if s.Units[item].Status == schemas.NodePending {
			u.Tally.Released++
			s.setStatus(item, schemas.NodeReady, &schemas.Event{At: at}, false)
			u = &s.Units[node]
		}
	}
}

// recount counts the items of a for_each node again.
func (s *State) recount(node int) {
	u := &s.Units[node]
	u.Tally = units.Tally{Left: int32(u.Count), Released: int32(u.Count)}
	for item := range u.Count {
		status := s.Units[u.FirstItem+item].Status
		if status == schemas.NodePending {
			u.Tally.Released--
		}
		u.Tally.Ended(status)
	}
}

// reopen has the items of a held for_each node that did not succeed run again; one that a person skipped stays skipped.
func (s *State) reopen(node int, e *schemas.Event) {
	u := s.setStatus(node, schemas.NodeRunning, e, false)
	for i := range u.Count {
		switch item := &s.Units[u.FirstItem+i]; {
		case item.Status == schemas.NodeSkipped && item.Reason == units.Patched:
		case item.Status == schemas.NodeFailed, item.Status == schemas.NodeCancelled, item.Status == schemas.NodeSkipped:
			item.Restart(e.At)
		}
	}
	s.recount(node)
	s.release(node, e.At)
}

// itemsEnded reports whether the node's outcome is decided and no item is active.
func (s *State) itemsEnded(node int) bool {
	u := &s.Units[node]
	return u.Tally.Left == 0 || s.itemsFailed(node) && u.Tally.Active(u.Count) == 0
}

// itemsFailed reports whether the node can no longer succeed because too many of its items failed.
func (s *State) itemsFailed(node int) bool {
	u, p := &s.Units[node], &s.program.Nodes[node]
	if p.MinSuccess >= 0 { // an item that a person skipped did not succeed
		return int(u.Tally.Left+u.Tally.Succeeded) < p.MinSuccess
	}
	return u.Tally.Failed > 0 && p.OnError != schemas.OnErrorContinue
}

// itemEnded updates the node of an item that ended.
func (s *State) itemEnded(unit int, status schemas.NodeStatus, at time.Time) {
	node := s.Units[unit].Node
	if u := &s.Units[node]; u.Status == schemas.NodeRunning {
		u.Tally.Ended(status)
		s.release(node, at)
	}
}

// Items counts the items of a for_each node.
func (s *State) Items(node int) schemas.Items {
	u := &s.Units[node]
	return units.CountItems(s.Units[u.FirstItem : u.FirstItem+u.Count])
}

// JoinError returns nil if a for_each node whose outcome is decided has succeeded, else the error.
func (s *State) JoinError(node int) *schemas.Error {
	if !s.itemsFailed(node) {
		return nil
	}
	return units.ItemsError(s.Items(node), s.program.Nodes[node].MinSuccess)
}
