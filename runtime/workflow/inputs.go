package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// check checks the inputs of an execution against those of the definition and the input schema, and returns them without what counts as
// absent.
func (v *version) check(ctx context.Context, inputs schemas.Object) (schemas.Object, error) {
	own, _, checker, err := v.merge(inputs, "inputs")
	if err != nil {
		return nil, err
	}
	settled, problems, err := plan.CheckGiven(checker, own, inputs, nil, func(whole json.RawMessage) []schemas.Problem {
		return checker.Check(ctx, whole)
	})
	if err != nil {
		return nil, err
	}
	problems = append(v.undeclared(own, inputs), problems...)
	if len(problems) == 0 {
		return settled, nil
	}
	for i := range problems {
		problems[i].Field = "/inputs" + problems[i].Field
	}
	return nil, schemas.InvalidArguments(problems)
}

// merge returns the inputs of the definition, the same with given ones in their place, and the checker of the input schema. field is the
// one to name in an error.
func (v *version) merge(
	given schemas.Object, field string,
) (own schemas.Object, merged json.RawMessage, checker *schemas.Checker, err error) {
	var p struct{ Inputs schemas.Object }
	if err := json.Unmarshal(v.Plan, &p); err != nil {
		return nil, nil, nil, fmt.Errorf("read workflow: %w", err)
	}
	if merged, err = plan.GivenInputs(p.Inputs, given); err != nil {
		return nil, nil, nil, schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithField(field)
	}
	if checker, err = schemas.NewChecker(json.RawMessage(v.InputSchema)); err != nil {
		return nil, nil, nil, fmt.Errorf("input schema of a workflow: %w", err)
	}
	return p.Inputs, merged, checker, nil
}

// checkDefaults checks the inputs that the definition gives itself against the input schema, one by one. Those that have no value are
// given when it is executed.
func (v *version) checkDefaults(ctx context.Context, ofSchema schemas.Object) error {
	_, merged, checker, err := v.merge(nil, "definition")
	if err != nil {
		return err
	}
	var given, defaults map[string]json.RawMessage
	if err := json.Unmarshal(merged, &given); err != nil {
		return fmt.Errorf("read the inputs of a workflow: %w", err)
	}
	if len(ofSchema) > 0 {
		if err := json.Unmarshal(ofSchema, &defaults); err != nil {
			return fmt.Errorf("read the defaults of a workflow: %w", err)
		}
	}
	var problems []schemas.Problem
	for _, problem := range checker.Check(ctx, merged) {
		name, _, _ := strings.Cut(strings.TrimPrefix(problem.Field, "/"), "/")
		switch {
		case problem.Keyword == schemas.KeywordInterrupted:
			return schemas.InvalidArguments([]schemas.Problem{problem})
		case given[name] == nil: // about another input, or about all of them
			continue
		case defaults[name] != nil:
			problem.Field = "/input_schema/properties/" + name + "/default"
		default:
			problem.Field = "/definition/inputs" + problem.Field
		}
		problems = append(problems, problem)
	}
	if len(problems) == 0 {
		return nil
	}
	e := schemas.InvalidArguments(problems)
	e.Message = "a default does not match input_schema: " + e.Message
	return e
}

// undeclared returns problems for the inputs that neither the definition nor the input schema names, unless the schema itself has a rule
// for them: a misspelt input must not leave the default in its place.
func (v *version) undeclared(definitionInputs, given schemas.Object) (problems []schemas.Problem) {
	var declared, named, schema map[string]json.RawMessage
	for to, from := range map[*map[string]json.RawMessage]schemas.Object{&declared: definitionInputs, &named: given, &schema: v.InputSchema} {
		if len(from) > 0 && json.Unmarshal(from, to) != nil {
			return nil // reported elsewhere
		}
	}
	for _, keyword := range []string{
		"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames", "$ref", "allOf", "anyOf", "oneOf", "if",
	} {
		if _, ok := schema[keyword]; ok {
			return nil
		}
	}
	var properties map[string]json.RawMessage
	if len(schema["properties"]) > 0 && json.Unmarshal(schema["properties"], &properties) != nil {
		return nil
	}
	known := slices.Concat(slices.Sorted(maps.Keys(declared)), slices.Sorted(maps.Keys(properties)))
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if slices.Contains(known, name) {
			continue
		}
		p := schemas.Problem{Field: schemas.Pointer([]string{name}), Keyword: "additionalProperties", Candidates: schemas.Nearest(name, known, 3)}
		switch {
		case len(known) == 0:
			p.Message = fmt.Sprintf("the workflow takes no inputs, and so no %.80q", name)
		case len(p.Candidates) > 0:
			p.Message = fmt.Sprintf("the workflow has no input %.80q; did you mean %q?", name, p.Candidates[0])
		default:
			p.Message = fmt.Sprintf("the workflow has no input %.80q; it has %s", name, strings.Join(known[:min(len(known), 20)], ", "))
		}
		problems = append(problems, p)
	}
	return problems
}

// defaultsOf returns the defaults that a schema gives its properties; nil if it is not a usable schema.
func defaultsOf(schema schemas.Object) schemas.Object {
	var s struct {
		Properties map[string]struct{ Default schemas.Value }
	}
	if len(schema) == 0 || json.Unmarshal(schema, &s) != nil {
		return nil
	}
	defaults := map[string]schemas.Value{}
	for name, p := range s.Properties {
		if len(p.Default) > 0 {
			defaults[name] = p.Default
		}
	}
	out, err := schemas.Encode(defaults)
	if err != nil {
		return nil
	}
	return out
}
