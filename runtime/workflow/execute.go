package workflow

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
)

// Execute executes a version of a workflow: the latest, unless id is name@version or version is not 0. The inputs of sub replace those of
// the definition, and must match the input schema; where they do not, what counts as absent is left out (see
// plan.CheckGiven). The rest of sub is as for engine.Engine.Execute.
func (w *Workflows) Execute(ctx context.Context, id string, version int64, sub engine.Submit) (schemas.Execution, error) {
	name, number, v, err := w.readVersion(ctx, id, version)
	if err != nil {
		return schemas.Execution{}, err
	}
	if sub.Inputs, err = v.check(ctx, sub.Inputs); err != nil {
		return schemas.Execution{}, err
	}
	sub.Plan, sub.Workflow, sub.Within = v.Plan, fmt.Sprintf("%s@%d", name, number), []string{name}
	return w.executions.Execute(ctx, sub)
}
