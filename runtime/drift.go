package runtime

import (
	"context"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// accepted are the definitions that a decision to go on accepts, by unit: those of the held nodes that the patch runs again.
func (r *Runtime) accepted(ctx context.Context, s *machine.State, patch *schemas.Patch) map[int]plan.Tool {
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
		if tool, known := r.Capabilities.Realms.Definition(ctx, target.Realm, target.Capability); known {
			live[unit] = tool
		}
	}
	return live
}
