package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// inputCheck is the pinned input schema of one capability, compiled on its first use and shared by its callers.
type inputCheck struct {
	checker func() *schemas.Checker // nil result: the schema cannot be used, and only the tool checks
	name    string
}

func newInputCheck(name string, schema json.RawMessage) inputCheck {
	return inputCheck{name: name, checker: sync.OnceValue(func() *schemas.Checker {
		if len(schema) == 0 {
			return nil
		}
		c, err := schemas.NewToolChecker(schema)
		if err != nil {
			return nil
		}
		return c
	})}
}

// Render returns the arguments, in which references stand for secrets.
func (t *Target) Render(ctx context.Context, scope expr.Scope, lim expr.Limits) (json.RawMessage, error) {
	inputs, err := t.Inputs.Render(ctx, scope, lim)
	if err != nil {
		return nil, err
	}
	if problem := t.checkSecrets(inputs); problem != nil {
		return nil, problem
	}
	return inputs, nil
}

// Arguments returns rendered inputs as the capability is called with them: what counts as absent for the schema that the plan was accepted
// with is left out, and defaults of required arguments are filled in (see [schemas.Checker.Settle]). All problems that remain are in one
// invalid_argument error, whose outcome is not_run. A schema that cannot be used (see the finding unusable_schema) passes everything on to
// the tool. A node that calls nothing takes any inputs.
func (t *Target) Arguments(inputs json.RawMessage) (json.RawMessage, *schemas.Error) {
	var checker *schemas.Checker
	if t.inputs.checker != nil {
		checker = t.inputs.checker()
	}
	if checker == nil {
		return inputs, t.CheckGivenSecrets(inputs)
	}
	settled, problems := checker.CheckSettledToEnd(inputs)
	problems = AfterSecrets(problems, settled, t.SecretNames())
	if len(problems) == 0 {
		return settled, t.CheckGivenSecrets(settled)
	}
	messages := make([]string, len(problems))
	for i, p := range problems {
		messages[i] = p.Message
	}
	e := schemas.Errorf(schemas.CodeInvalidArgument, "%s cannot be called by node %q: %s", t.inputs.name, t.node, strings.Join(messages, "; "))
	e.Hint = fmt.Sprintf("resolve_capability(realm %q, capability_name %q) shows the arguments it takes", t.Realm, t.Capability)
	e.Outcome = schemas.NotRun
	e.Field = problems[0].Field // below the inputs
	if len(problems) == 1 {
		e.Candidates = problems[0].Candidates
	}
	return nil, e
}
