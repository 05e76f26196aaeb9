package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// start evaluates a node that may run: its condition, then its value, time or inputs. What goes wrong here is the
// node's failure; a store that does not answer is not.
func (t *turn) start(node int) {
	n, st := &t.x.program.Nodes[node], &t.x.state.Nodes[node]
	sc := scope{ctx: t.ctx, r: t.r, x: t.x}
	if n.When != nil && st.Attempts == 0 {
		ok, err := n.When.Bool(sc)
		if err != nil {
			t.fail(node, "when", err)
			return
		}
		if !ok {
			t.emit(schemas.Event{Type: schemas.EventNodeSkipped, Node: n.ID, Reason: "when is false"})
			return
		}
	}
	switch n.Kind {
	case plan.KindSet:
		out, err := n.Inputs.Render(sc, t.r.limits.Plan)
		if err != nil {
			t.fail(node, "set", err)
			return
		}
		t.emit(schemas.Event{Type: schemas.EventNodeSucceeded, Node: n.ID, Output: schemas.Value(out)})
	case plan.KindWait:
		text, err := n.Wait.Text(sc)
		if err != nil {
			t.fail(node, "wait", err)
			return
		}
		due, err := plan.WaitUntil(text, t.now)
		if err != nil {
			t.fail(node, "wait", err)
			return
		}
		t.emit(schemas.Event{Type: schemas.EventNodeStarted, Node: n.ID, Attempt: 1, Due: &due})
	case plan.KindCapability:
		inputs, err := t.bind(n, st.Inputs, sc)
		if err != nil {
			t.fail(node, "inputs", err)
			return
		}
		attempt := st.Attempts + 1
		t.emit(schemas.Event{Type: schemas.EventNodeStarted, Node: n.ID, Attempt: attempt})
		t.step.launches = append(t.step.launches, launch{node: node, attempt: attempt, inputs: inputs, at: t.now})
	}
}

// bind makes a call's arguments and checks them against the schema that the plan was accepted with.
func (t *turn) bind(n *plan.Node, patched schemas.Object, sc scope) (json.RawMessage, error) {
	inputs := json.RawMessage(patched)
	if len(inputs) == 0 {
		var err error
		if inputs, err = n.Inputs.Render(sc, t.r.limits.Plan); err != nil {
			return nil, err
		}
	}
	if problem := n.CheckInputs(inputs); problem != nil {
		return nil, problem
	}
	return inputs, nil
}

// fail ends a node that could not be evaluated.
func (t *turn) fail(node int, field string, err error) {
	if errors.Is(err, errStore) {
		t.err = err
		return
	}
	e := schemas.AsError(err)
	if e.Code == schemas.CodeInternal {
		t.r.log.Error("evaluate", "execution_id", t.x.id, "node", t.x.program.Nodes[node].ID, "error", err)
	}
	path := fmt.Sprintf("/nodes/%d/%s", node, field)
	if strings.HasPrefix(e.Field, "/") {
		path += e.Field
	}
	t.emit(schemas.Event{Type: schemas.EventNodeFailed, Node: t.x.program.Nodes[node].ID, Error: e.WithField(path).WithOutcome(schemas.NotRun)})
}

// finish evaluates the plan's output and ends the execution.
func (t *turn) finish() {
	out, err := t.output()
	if errors.Is(err, errStore) {
		t.err = err
		return
	}
	if err != nil {
		t.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusFailed, Error: schemas.AsError(err).WithField("/output")})
		return
	}
	t.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusSucceeded, Output: schemas.Value(out)})
}

// output is what the plan says, else the outputs of the nodes that nothing depends on, by id. Of the latter, one that is
// too large stands there as {"output_ref": …}, to be read with get_node_output.
func (t *turn) output() (json.RawMessage, error) {
	if t.x.program.Output != nil {
		return t.x.program.Output.RenderOutput(scope{ctx: t.ctx, r: t.r, x: t.x}, t.r.limits.Plan)
	}
	ends := map[string]any{}
	room := t.r.limits.MaxOutput
	for i := range t.x.program.Nodes {
		n, st := &t.x.program.Nodes[i], &t.x.state.Nodes[i]
		switch {
		case len(n.Dependents) > 0 || st.Status != schemas.NodeSucceeded:
		case st.OutputRef != nil:
			ends[n.ID] = map[string]any{"output_ref": st.OutputRef}
		case len(st.Output) > room:
			ends[n.ID] = map[string]any{"output_ref": schemas.OutputRef{NodeID: n.ID, Bytes: len(st.Output)}}
		case len(st.Output) > 0:
			ends[n.ID] = st.Output
			room -= len(st.Output)
		}
	}
	return json.Marshal(ends)
}
