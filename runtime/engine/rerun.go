package engine

import (
	"context"
	"errors"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

// Rerun executes the plan of an older execution again, compiled against the live tools. With from, a node, the outputs of all nodes that
// succeeded and do not depend on it are taken over; reviews are asked again. If the session of the older execution has ended, the new one
// has no session, and its expressions read what the session held. It is refused while a `once` call of a node that would run again may still
// run.
func (r *Engine) Rerun(ctx context.Context, id, from string) (schemas.Execution, error) {
	old, err := r.journal.LoadFor(ctx, id)
	if err != nil {
		return schemas.Execution{}, err
	}
	p := old.Program.Definition.Plan
	p.IdempotencyKey = ""
	sub := Submit{
		canonical: &p, SessionID: old.Head.SessionID, RerunOf: id, Workflow: old.Head.Workflow, session: old.Session,
	}
	if sub.SessionID != "" {
		_, err := r.sessions.Use(ctx, sub.SessionID)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) || errors.Is(err, session.ErrEnded) {
			sub.SessionID = ""
		} else if err != nil {
			return schemas.Execution{}, err
		}
	}
	if from == "" {
		if err := mayStillRun(old, nil, r.store.Now()); err != nil {
			return schemas.Execution{}, err
		}
		return r.Execute(ctx, sub)
	}
	first, ok := old.Program.Index(from)
	if !ok {
		_, err := r.journal.WholeOutput(ctx, old, from, nil)
		return schemas.Execution{}, schemas.AsError(err).WithField("from_node")
	}
	affected := descendants(old.State, first)
	reuse := map[int]bool{}
	for i := range old.Program.Nodes {
		n := &old.State.Units[i]
		if affected[i] || n.Status != schemas.NodeSucceeded || old.Program.Nodes[i].Kind == plan.KindReview { // an approval counts once
			continue
		}
		reuse[i] = true
		node := old.Program.Nodes[i].ID
		raw, err := r.journal.Output(ctx, id, node, n.Output, n.OutputRef)
		if err != nil {
			return schemas.Execution{}, err
		}
		text, err := r.journal.Output(ctx, id, node+journal.TextPart, schemas.Value(n.Text), n.TextRef)
		if err != nil {
			return schemas.Execution{}, err
		}
		var content []byte
		if scope := r.journal.Scope(ctx, old, -1); scope.KeepsContent(i) {
			if content, err = scope.Content(i); err != nil {
				return schemas.Execution{}, err
			}
		}
		sub.reuse = append(sub.reuse, schemas.Event{
			Type: schemas.EventNodeReused, Node: node, Output: raw, Text: string(text), Content: content, Blocks: n.Blocks, ServedBy: n.ServedBy, Degraded: n.Degraded, Notes: n.Notes,
			Reason: id, Errors: schemas.ShortenErrors(old.State.Errors(i), r.limits.MaxOutput),
		})
	}
	if err := mayStillRun(old, reuse, r.store.Now()); err != nil {
		return schemas.Execution{}, err
	}
	return r.Execute(ctx, sub)
}

// mayStillRun returns an error if a call of a node that is not reused may still run.
func mayStillRun(old *journal.Execution, reuse map[int]bool, now time.Time) error {
	for i := range old.Program.Nodes {
		until := old.State.MayRunUntil(i)
		if reuse[i] || !until.After(now) {
			continue
		}
		node := old.Program.Nodes[i].ID
		const hint = "find out whether it happened; execute_plan with the plan, without the node if it did, runs it all the same"
		if until.Equal(machine.Forever) {
			return schemas.Errorf(schemas.CodeConflict, "the last call of node %q has no timeout and may still run: to run it again may have "+
				"its effect twice", node).WithField("execution_id").WithHint(hint)
		}
		return schemas.Errorf(schemas.CodeConflict, "the last call of node %q may still run until %s: to run it again before that may have its "+
			"effect twice", node, until.UTC().Format(time.RFC3339)).WithField("execution_id").WithRetryAfter(until.Sub(now)).
			WithHint("run it again after that time; or %s", hint)
	}
	return nil
}

// descendants returns a node and all nodes that depend on it.
func descendants(s *machine.State, node int) map[int]bool {
	found := map[int]bool{node: true}
	for queue := []int{node}; len(queue) > 0; queue = queue[1:] {
		for _, d := range s.Program().Nodes[queue[0]].Dependents {
			if !found[d] {
				found[d] = true
				queue = append(queue, d)
			}
		}
	}
	return found
}
