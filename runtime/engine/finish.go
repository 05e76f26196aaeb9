package engine

import (
	"encoding/json"

	"github.com/runplane/runplane/schemas"
)

// finish evaluates the output of the plan and ends the execution.
func (t *turn) finish() {
	out, err := t.output()
	if notEvaluated(err) {
		t.err = err
		return
	}
	if err != nil {
		t.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusFailed, Error: schemas.AsError(err).WithField("/output")})
		return
	}
	t.emit(schemas.Event{Type: schemas.EventFinished, Status: schemas.StatusSucceeded, Output: schemas.Value(out)})
}

// output returns the output of the execution: that of the plan, or else the outputs of the nodes on which no other node depends, by id. An
// output of a node that is too large is replaced by {"output_ref": …}, to be read with get_node_output.
func (t *turn) output() (json.RawMessage, error) {
	if t.x.Program.Output != nil {
		return t.x.Program.Output.RenderOutput(t.ctx, t.scope(-1), t.r.limits.Plan.Limits)
	}
	ends := map[string]any{}
	room := t.r.limits.MaxOutput
	for i := range t.x.Program.Nodes {
		n, u := &t.x.Program.Nodes[i], &t.x.State.Units[i]
		switch {
		case len(n.Dependents) > 0 || u.Status != schemas.NodeSucceeded:
		case u.OutputRef != nil:
			ends[n.ID] = map[string]any{"output_ref": u.OutputRef}
		case len(u.Output) > room:
			ends[n.ID] = map[string]any{"output_ref": schemas.OutputRef{NodeID: n.ID, Bytes: len(u.Output)}}
		case len(u.Output) > 0:
			ends[n.ID] = u.Output
			room -= len(u.Output)
		}
	}
	return schemas.Encode(ends)
}
