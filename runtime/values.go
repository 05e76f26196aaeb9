package runtime

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// scope is what the expressions of one execution read. Outputs too large for the log come from the store, and each
// output is decoded at most once while the execution is in memory.
type scope struct {
	ctx context.Context //nolint:containedctx // lives for one evaluation; plan.Scope is pure and takes none
	r   *Runtime
	x   *execution
}

func (s scope) Inputs() *plan.Value  { return s.x.inputs }
func (s scope) Session() *plan.Value { return s.x.session }

func (s scope) Execution() *plan.Value {
	if x := s.x; x.self == nil {
		self, _ := json.Marshal(map[string]any{"id": x.id, "name": x.head.Name, "created_at": x.state.Created}) // strings and a time always marshal
		x.self = plan.NewValue(self)
	}
	return s.x.self
}

func (s scope) Node(id string) (plan.NodeValue, error) {
	i, ok := s.x.program.Index(id)
	if !ok {
		return plan.NodeValue{}, schemas.Errorf(schemas.CodeExpressionError, "no node %q", id)
	}
	n := &s.x.state.Nodes[i]
	v := plan.NodeValue{Status: n.Status, Text: n.Text, Error: n.Error, Degraded: n.Degraded}
	if n.OutputRef != nil && n.OutputRef.Bytes > s.r.limits.MaxOutput {
		return v, schemas.Errorf(schemas.CodePayloadTooLarge, "the output of node %q has %d bytes; an expression reads at most %d", id, n.OutputRef.Bytes, s.r.limits.MaxOutput).
			WithHint("ask the capability for less, or read it in pages with get_node_output")
	}
	if cached, ok := s.x.values[i]; ok {
		v.Output = cached
	} else if raw, err := s.r.output(s.ctx, s.x.id, id, n.Output, n.OutputRef); err != nil {
		return v, err
	} else if raw != nil {
		v.Output = plan.NewValue(json.RawMessage(raw))
		s.x.values[i] = v.Output
	}
	return v, nil
}

// output is a node's whole output, wherever it is kept.
func (r *Runtime) output(ctx context.Context, id, node string, inline schemas.Value, ref *schemas.OutputRef) ([]byte, error) {
	if ref == nil {
		return inline, nil
	}
	rec, err := r.store.Get(ctx, outputKey(id, node))
	if err != nil {
		return nil, fmt.Errorf("read output %s/%s: %w", id, node, storeError(err))
	}
	return rec.Value, nil
}
