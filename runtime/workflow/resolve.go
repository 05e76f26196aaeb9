package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// MaxDepth is how deep workflows may be nested, as deep as plans within a plan.
const MaxDepth = 4

// Resolve implements engine.Library: it replaces the names of workflows in p by their definitions. within are the names of the workflows
// around p, outermost first.
func (w *Workflows) Resolve(ctx context.Context, p *schemas.Plan, within []string) ([]schemas.Finding, error) {
	return w.resolveNames(ctx, p, "", within, new(int))
}

// resolveNames replaces names of workflows by their definitions, also within those: what was accepted does not change when a name gets a next
// version. at is the path of p in the whole plan. Findings are about the plan; an error means that the store does not answer.
// nodes counts those of all plans: workflows that name others twice multiply, and reading them ends at the limit.
func (w *Workflows) resolveNames(ctx context.Context, p *schemas.Plan, at string, within []string, nodes *int) (
	findings []schemas.Finding, err error,
) {
	most := cmp.Or(w.plans.MaxNodes, plan.DefaultLimits().MaxNodes)
	if *nodes += len(p.Nodes); *nodes > most {
		return []schemas.Finding{{
			Severity: schemas.SeverityError, Code: "too_many_nodes", Path: at + "/nodes",
			Message: fmt.Sprintf("the plan has more than %d nodes with those of the workflows that it names (limit %d, limits.max_nodes)", most, most),
		}}, nil
	}
	for i := range p.Nodes {
		named := p.Nodes[i].Workflow
		if named == nil {
			continue
		}
		path, inner := fmt.Sprintf("%s/nodes/%d/workflow", at, i), within
		if named.Name != "" && named.Definition == nil {
			place := path + "/name"
			if named.Bare {
				place = path
			}
			report := func(code, message string, args ...any) {
				findings = append(findings, schemas.Finding{
					Severity: schemas.SeverityError, Code: code, Path: place, Message: schemas.Format(message, args...),
				})
			}
			name, _, _ := strings.Cut(named.Name, "@")
			inner = append(slices.Clone(within), name)
			if slices.Contains(within, name) {
				report("workflow_cycle", "workflow %q contains itself: %s", name, strings.Join(inner, " → "))
				named.Definition = &schemas.Plan{Version: schemas.PlanVersion, Nodes: []schemas.Node{}}
				named.Name = ""
				continue
			}
			if len(inner) > MaxDepth {
				report("workflow_depth", "workflows are nested %d deep (at most %d): %s", len(inner), MaxDepth, strings.Join(inner, " → "))
			}
			_, version, v, err := w.readVersion(ctx, named.Name, 0)
			if err == nil {
				named.Resolved = &schemas.ResolvedWorkflow{Name: fmt.Sprintf("%s@%d", name, version), InputSchema: v.InputSchema}
				named.Definition = new(schemas.Plan)
				err = json.Unmarshal(v.Plan, named.Definition)
				named.Definition.Priority = 0 // only the outermost plan has one
			}
			named.Name = ""
			if errors.Is(err, records.ErrUnavailable) {
				return nil, err
			}
			if err != nil {
				e := schemas.AsError(err)
				report("unknown_workflow", "%s (%s)", e.Message, e.Hint)
			}
			if err != nil || len(inner) > MaxDepth {
				named.Definition = &schemas.Plan{Version: schemas.PlanVersion, Nodes: []schemas.Node{}}
				continue
			}
		}
		if named.Definition != nil {
			more, err := w.resolveNames(ctx, named.Definition, path+"/definition", inner, nodes)
			if err != nil {
				return nil, err
			}
			if findings = append(findings, more...); *nodes > most {
				return findings, nil
			}
		}
	}
	return findings, nil
}
