package plan

import (
	"encoding/json"
	"fmt"
	"maps"
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

// CheckGiven checks the inputs of a workflow as they are once given ones stand in the place of its own. If they are not valid, given
// ones that count as absent are left out (see [schemas.Checker.Settle]; the values at the pointers of open are not known yet): the
// workflow's own values stand for them. It returns the given inputs that were found valid, or the problems.
func CheckGiven(
	checker *schemas.Checker, own, given schemas.Object, open []string, check func(json.RawMessage) []schemas.Problem,
) (schemas.Object, []schemas.Problem, error) {
	whole, err := GivenInputs(own, given)
	if err != nil {
		return given, nil, err
	}
	problems := check(whole)
	if len(problems) == 0 || len(given) == 0 {
		return given, problems, nil
	}
	settled, changed := checker.Settle(json.RawMessage(given), open)
	if !changed {
		return given, problems, nil
	}
	var before, after map[string]json.RawMessage
	for to, from := range map[*map[string]json.RawMessage][]byte{&before: given, &after: settled} {
		if err := json.Unmarshal(from, to); err != nil {
			return given, nil, fmt.Errorf("inputs must be a JSON object: %w", err)
		}
	}
	maps.DeleteFunc(after, func(name string, _ json.RawMessage) bool { return before[name] == nil }) // what is not given is the workflow's own
	rest, err := schemas.Encode(after)
	if err != nil {
		return given, nil, err
	}
	if whole, err = GivenInputs(own, schemas.Object(rest)); err != nil {
		return given, nil, err
	}
	return schemas.Object(rest), check(whole), nil
}

// CheckWorkflow checks the rendered inputs of a workflow node against the input schema that the workflow declares, where
// the node names one, and returns them without what counts as absent. All problems are in one invalid_argument error, whose outcome is
// not_run.
func (n *Node) CheckWorkflow(inputs json.RawMessage) (json.RawMessage, *schemas.Error) {
	if n.declared.checker == nil {
		return inputs, nil
	}
	checker := n.declared.checker()
	if checker == nil {
		return inputs, nil
	}
	settled, problems, err := CheckGiven(checker, n.Sub.Definition.Plan.Inputs, schemas.Object(inputs), nil, checker.CheckToEnd)
	if err != nil {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithField("/inputs").WithOutcome(schemas.NotRun)
	}
	if len(problems) == 0 {
		return json.RawMessage(settled), nil
	}
	for i := range problems {
		problems[i].Field = "/inputs" + problems[i].Field
	}
	e := schemas.InvalidArguments(problems)
	e.Message = fmt.Sprintf("%s cannot be executed by node %q: %s", n.declared.name, n.ID, e.Message)
	return nil, e.WithHint("get_workflow_status shows the inputs it takes").WithOutcome(schemas.NotRun)
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
	check := func(doc json.RawMessage) []schemas.Problem { return checker.CheckPartial(c.ctx, doc, open) }
	settled, problems, err := CheckGiven(checker, from.Workflow.Definition.Inputs, schemas.Object(given), open, check)
	if err != nil {
		return
	}
	a := arguments{Target: &n.Target, node: i, at: c.at(i) + "/inputs", given: from.Inputs, may: around(from), workflow: n.declared.name}
	var own map[string]json.RawMessage
	_ = json.Unmarshal(from.Workflow.Definition.Inputs, &own) // GivenInputs has read it
	c.problemsOf(a, slices.DeleteFunc(slices.Clone(problems), func(p schemas.Problem) bool {
		if p.Keyword == "required" {
			return renamedTo(problems, p)
		}
		return p.Keyword == "additionalProperties" && len(p.Candidates) > 0 && own[p.Candidates[0]] != nil // givenInputs has reported it
	}), json.RawMessage(settled))
	c.typesGiven(a, newShape(json.RawMessage(kept.InputSchema)))
}
