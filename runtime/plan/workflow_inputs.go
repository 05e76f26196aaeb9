package plan

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/runplane/runplane/schemas"
)

// GivenInputs merges the inputs of a plan with those that replace some of them, in the form that an input schema checks:
// an input that the plan names without a value is absent.
func GivenInputs(own, given schemas.Object) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if len(own) > 0 {
		if err := json.Unmarshal(own, &members); err != nil {
			return nil, fmt.Errorf("inputs must be a JSON object: %w", err)
		}
	}
	for name, v := range members {
		if string(v) == "null" {
			delete(members, name)
		}
	}
	if len(given) > 0 {
		if err := json.Unmarshal(given, &members); err != nil {
			return nil, fmt.Errorf("inputs must be a JSON object: %w", err)
		}
	}
	return schemas.Encode(members)
}

// CheckWorkflow checks the rendered inputs of a workflow node against the input schema that the workflow declares, where
// the node names one. All problems are in one invalid_argument error, whose outcome is not_run.
func (n *Node) CheckWorkflow(inputs json.RawMessage) *schemas.Error {
	if n.declared.checker == nil {
		return nil
	}
	checker := n.declared.checker()
	whole, err := GivenInputs(n.Sub.Definition.Plan.Inputs, schemas.Object(inputs))
	if err != nil {
		return schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithField("/inputs").WithOutcome(schemas.NotRun)
	}
	if checker == nil {
		return nil
	}
	problems := checker.CheckToEnd(whole)
	if len(problems) == 0 {
		return nil
	}
	for i := range problems {
		problems[i].Field = "/inputs" + problems[i].Field
	}
	e := schemas.InvalidArguments(problems)
	e.Message = fmt.Sprintf("%s cannot be executed by node %q: %s", n.declared.name, n.ID, e.Message)
	return e.WithHint("get_workflow_status shows the inputs it takes").WithOutcome(schemas.NotRun)
}

// workflowArguments checks the inputs of a node that names a workflow, as far as they are known before the plan runs.
func (c *compiler) workflowArguments(i int) {
	n, from := &c.prog.Nodes[i], &c.plan.Nodes[i]
	kept := from.Workflow.Resolved
	if kept == nil || len(kept.InputSchema) == 0 || n.Inputs == nil {
		return
	}
	checker, err := schemas.NewChecker(json.RawMessage(kept.InputSchema))
	if err != nil {
		return // it was refused when the workflow was stored
	}
	given, open := n.Inputs.Sample()
	doc, err := GivenInputs(from.Workflow.Definition.Inputs, schemas.Object(given))
	if err != nil {
		return
	}
	a := arguments{Target: &n.Target, node: i, at: c.at(i) + "/inputs", given: from.Inputs, may: around(from), workflow: n.declared.name}
	var own map[string]json.RawMessage
	_ = json.Unmarshal(from.Workflow.Definition.Inputs, &own) // GivenInputs has read it
	problems := checker.CheckPartial(c.ctx, doc, open)
	c.problemsOf(a, slices.DeleteFunc(slices.Clone(problems), func(p schemas.Problem) bool {
		if p.Keyword == "required" {
			return renamedTo(problems, p)
		}
		return p.Keyword == "additionalProperties" && len(p.Candidates) > 0 && own[p.Candidates[0]] != nil // givenInputs has reported it
	}), given)
	c.typesGiven(a, newShape(json.RawMessage(kept.InputSchema)))
}
