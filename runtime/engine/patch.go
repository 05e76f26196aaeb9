package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// patchEvents returns the events of a patch to held nodes: one for each node, in the order of their ids. If anything is wrong with the
// patch, none of it is applied.
func patchEvents(
	s *machine.State, id string, patch *schemas.Patch, live map[int]plan.Tool, by string, now time.Time,
) ([]schemas.Event, error) {
	if patch == nil {
		return nil, nil
	}
	events, err := raiseEvents(s, patch, by)
	if err != nil {
		return nil, err
	}
	for _, node := range slices.Sorted(maps.Keys(patch.Nodes)) {
		p, field := patch.Nodes[node], "patch.nodes."+node
		unit, ok := journal.UnitNamed(s, node)
		if !ok {
			var ids []string
			for j := range s.Program().Nodes {
				ids = append(ids, s.Program().Nodes[j].ID)
			}
			return nil, schemas.Errorf(schemas.CodeNotFound, "execution %q has no node %q", id, node).
				WithField(field).WithCandidates(schemas.Nearest(node, ids, 3))
		}
		if err := checkPatch(s, unit, node, p, field); err != nil {
			return nil, err
		}
		if err := checkEnded(s, unit, node, p, field, now); err != nil {
			return nil, err
		}
		e := s.Event(schemas.EventNodePatched, unit)
		e.By, e.Patch = by, &p
		if tool, ok := live[unit]; ok {
			e.Definition, e.Effect = tool.Hash, tool.Effect
		}
		events = append(events, e)
	}
	return events, nil
}

// checkPatch returns what is wrong with the patch of one node; nil: nothing.
func checkPatch(s *machine.State, unit int, node string, p schemas.NodePatch, field string) *schemas.Error {
	given := 0
	for _, set := range []bool{len(p.Inputs) > 0, len(p.Output) > 0, p.Skip, p.Retry} {
		if set {
			given++
		}
	}
	if given != 1 {
		return schemas.Errorf(schemas.CodeInvalidArgument, "give node %q exactly one of inputs, output, skip and retry", node).WithField(field)
	}
	u, n := &s.Units[unit], s.Node(unit)
	switch {
	case u.Status != schemas.NodeHeld:
		return schemas.Errorf(schemas.CodeConflict, "node %q is %s; only a held node can be patched", node, u.Status).WithField(field).
			WithHint("get_execution_status with view nodes shows which nodes are held; rerun_execution with from_node repeats others")
	case len(p.Inputs) > 0 && n.ForEach != nil && !s.IsItem(unit):
		return schemas.Errorf(schemas.CodeInvalidArgument, "node %q runs over a list: its items have the inputs", node).WithField(field).
			WithHint("retry runs the items again that did not succeed; output gives the whole list; one held item is patched as %s[0]", node)
	case len(p.Inputs) > 0 && n.Kind != plan.KindCapability:
		return schemas.Errorf(schemas.CodeInvalidArgument, "node %q calls nothing and has no inputs", node).WithField(field)
	}
	if len(p.Inputs) > 0 {
		if _, problem := n.Arguments([]byte(p.Inputs)); problem != nil && u.Reason != schemas.ReasonDrift {
			return problem.WithField(field + ".inputs")
		}
	}
	if u.Reason == schemas.ReasonReview {
		return schemas.Errorf(schemas.CodeNeedsReview, "node %q waits for the decision of a review, not for a patch", node).WithField(field).
			WithHint("`runplane reviews` lists and decides reviews; cancel_execution ends the execution")
	}
	return nil
}

// checkEnded returns an error if the patch runs a node again whose last call may still run, without force.
func checkEnded(s *machine.State, unit int, node string, p schemas.NodePatch, field string, now time.Time) *schemas.Error {
	again := p.Retry || len(p.Inputs) > 0
	until := s.MayRunUntil(unit)
	switch {
	case p.Force && !again:
		return schemas.Errorf(schemas.CodeInvalidArgument, "force of node %q goes with retry or inputs", node).WithField(field + ".force")
	case !again || p.Force || !until.After(now):
		return nil
	case until.Equal(machine.Forever):
		return schemas.Errorf(schemas.CodeConflict, "the last call of node %q has no timeout and may still run: "+
			"a retry may have its effect twice", node).WithField(field).
			WithHint("find out whether it happened: output or skip then decide the node; retry with force: true calls it all the same")
	}
	return schemas.Errorf(schemas.CodeConflict, "the last call of node %q may still run until %s: a retry before that may have its effect twice",
		node, until.UTC().Format(time.RFC3339)).WithField(field).WithRetryAfter(until.Sub(now)).
		WithHint("decide again after that time; output and skip are taken now; retry with force: true calls it all the same")
}

// acceptedTools returns the current definitions of the tools that a patch accepts, by unit: those of nodes that are held because the
// definition has changed, and that the patch runs again.
func (r *Engine) acceptedTools(ctx context.Context, s *machine.State, patch *schemas.Patch) map[int]plan.Tool {
	if patch == nil {
		return nil
	}
	live := map[int]plan.Tool{}
	for name, p := range patch.Nodes {
		unit, ok := journal.UnitNamed(s, name)
		if !ok || s.Units[unit].Reason != schemas.ReasonDrift || !p.Retry && len(p.Inputs) == 0 {
			continue
		}
		target := &s.Node(unit).Target
		if tool, known := r.capabilities.Realms.Definition(ctx, target.Realm, target.Capability); known {
			live[unit] = tool
		}
	}
	return live
}
