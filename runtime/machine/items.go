package machine

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// expand makes the items of a for_each node; they are let go as its max_parallel allows.
func (s *State) expand(node int, e *schemas.Event) {
	u := s.change(node, schemas.NodeRunning, e, false)
	s.tally(node, -1)
	u.Expanded, u.FirstItem, u.Count = true, len(s.Units), e.Count
	u.List, u.ListRef = e.Data, e.DataRef
	s.tally(node, 1)
	u.left, u.succeeded, u.failed, u.released = int32(e.Count), 0, 0, 0
	if u.First.IsZero() {
		u.First = e.At
	}
	s.Units = append(s.Units, make([]Unit, e.Count)...)
	for item := range e.Count {
		s.Units[s.Units[node].FirstItem+item] = Unit{Status: schemas.NodePending, Node: node, Item: item}
	}
	s.release(node, e.At)
}

// release lets as many items go as there is room for, and notices when the outcome of the whole is clear.
func (s *State) release(node int, at time.Time) {
	u, p := &s.Units[node], &s.program.Nodes[node]
	if u.left == 0 || s.itemsFailed(node) && s.itemsActive(node) == 0 {
		if !u.joined {
			u.joined = true
			s.joins.push(node)
		}
		return
	}
	for int(u.released) < u.Count && !s.itemsFailed(node) && (p.MaxParallel == 0 || s.itemsActive(node) < p.MaxParallel) {
		item := u.FirstItem + int(u.released)
		u.released++
		if s.Units[item].Status == schemas.NodePending {
			s.change(item, schemas.NodeReady, &schemas.Event{At: at}, false)
			u = &s.Units[node]
		}
	}
}

// itemsActive counts the items that were let go and have not ended.
func (s *State) itemsActive(node int) int {
	u := &s.Units[node]
	return int(u.released) - (u.Count - int(u.left))
}

// itemsFailed tells whether the node can no longer succeed: too many of its items failed.
func (s *State) itemsFailed(node int) bool {
	u, p := &s.Units[node], &s.program.Nodes[node]
	switch {
	case u.failed == 0:
		return false
	case p.MinSuccess >= 0:
		return u.Count-int(u.failed) < p.MinSuccess
	}
	return p.OnError != schemas.OnErrorContinue
}

// itemEnded tells the node of an item.
func (s *State) itemEnded(unit int, status schemas.NodeStatus, at time.Time) {
	node := s.Units[unit].Node
	if u := &s.Units[node]; u.Status == schemas.NodeRunning {
		u.note(status)
		s.release(node, at)
	}
}

// Items counts the items of a for_each node.
func (s *State) Items(node int) schemas.Items {
	u := &s.Units[node]
	v := schemas.Items{Total: u.Count}
	for i := range u.Count {
		item := &s.Units[u.FirstItem+i]
		switch item.Status {
		case schemas.NodeSucceeded, schemas.NodeCompensating, schemas.NodeCompensated:
			v.Succeeded++
		case schemas.NodeFailed, schemas.NodeCancelled:
			v.Failed++
			if item.Error != nil && len(v.Errors) < schemas.MaxItemErrors {
				v.Errors = append(v.Errors, schemas.ItemError{Item: i, Error: item.Error})
			}
		case schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld:
			v.Running++
		}
	}
	return v
}

// Joinable tells whether a for_each node whose outcome is clear has succeeded, and where it has not, why.
func (s *State) Joinable(node int) *schemas.Error {
	if !s.itemsFailed(node) {
		return nil
	}
	v := s.Items(node)
	p := &s.program.Nodes[node]
	if p.MinSuccess >= 0 {
		err := schemas.Errorf(schemas.CodeToolError, "only %d of %d items succeeded, min_success is %d", v.Succeeded, v.Total, p.MinSuccess)
		if len(v.Errors) > 0 {
			err.Message += "; item " + itoa(v.Errors[0].Item) + ": " + v.Errors[0].Error.Message
		}
		return err
	}
	if len(v.Errors) == 0 {
		return schemas.Errorf(schemas.CodeCancelled, "an item was cancelled")
	}
	first := v.Errors[0]
	return first.Error.With(func(c *schemas.Error) { c.Message = "item " + itoa(first.Item) + ": " + c.Message })
}
