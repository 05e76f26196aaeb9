package units

import (
	"slices"

	"github.com/runplane/runplane/schemas"
)

// Counts counts the units of an execution by what they do.
type Counts struct {
	nodes [len(statuses)]int // by status, without items

	InFlight          int // calls
	Ready             int
	WithoutCall       int // running units without a call: timers, events, states, workflows
	Children          int // of those, workflows
	ChildrenSuspended int // of those, suspended
	Held              int
	BackingOff        int
}

// Kind is what Counts has to know of a unit and is not in its record.
type Kind struct {
	Item     bool // it is an item of a for_each node
	Workflow bool // it runs a workflow
}

var statuses = [...]schemas.NodeStatus{
	schemas.NodePending, schemas.NodeReady, schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld,
	schemas.NodeSucceeded, schemas.NodeFailed, schemas.NodeSkipped, schemas.NodeCancelled,
	schemas.NodeCompensating, schemas.NodeCompensated,
}

func rank(status schemas.NodeStatus) int { return max(0, slices.Index(statuses[:], status)) }

// Nodes is the number of nodes with the status, without items of for_each nodes.
func (c *Counts) Nodes(status schemas.NodeStatus) int { return c.nodes[rank(status)] }

// Unended is the number of nodes that have not ended.
func (c *Counts) Unended() (n int) {
	for i, status := range statuses {
		if !status.Ended() {
			n += c.nodes[i]
		}
	}
	return n
}

// Add adds a unit, or with -1 removes it.
func (c *Counts) Add(u *Unit, kind Kind, by int) {
	if !kind.Item {
		c.nodes[rank(u.Status)] += by
	}
	switch {
	case u.Calling:
		c.InFlight += by
	case u.Status == schemas.NodeReady:
		c.Ready += by
	case u.Status == schemas.NodeRunning && !u.Expanded:
		c.WithoutCall += by
		if kind.Workflow && !u.IsAsking() {
			c.Children += by
			if u.ChildSuspended {
				c.ChildrenSuspended += by
			}
		}
	case u.Status == schemas.NodeHeld:
		c.Held += by
	case u.Status == schemas.NodeBackingOff:
		c.BackingOff += by
	}
}
