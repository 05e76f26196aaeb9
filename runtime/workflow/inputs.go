package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// check holds inputs against the declared ones.
func (v *version) check(inputs schemas.Object) error {
	var p struct{ Inputs schemas.Object }
	if err := json.Unmarshal(v.Plan, &p); err != nil {
		return fmt.Errorf("read workflow: %w", err)
	}
	whole, err := plan.GivenInputs(p.Inputs, inputs)
	if err != nil {
		return schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithField("inputs")
	}
	checker, err := schemas.NewChecker(json.RawMessage(v.InputSchema))
	if err != nil {
		return fmt.Errorf("input schema of a workflow: %w", err)
	}
	problems := append(v.undeclared(p.Inputs, inputs), checker.Check(whole)...)
	if len(problems) == 0 {
		return nil
	}
	for i := range problems {
		problems[i].Field = "/inputs" + problems[i].Field
	}
	return schemas.InvalidArguments(problems)
}

// checkDefaults holds the inputs that the workflow gives itself against its input schema, one by one; those that have no value are
// given when it is executed.
func (v *version) checkDefaults(ofSchema schemas.Object) error {
	var p struct{ Inputs schemas.Object }
	if err := json.Unmarshal(v.Plan, &p); err != nil {
		return fmt.Errorf("read workflow: %w", err)
	}
	whole, err := plan.GivenInputs(p.Inputs, nil)
	if err != nil {
		return schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithField("definition")
	}
	checker, err := schemas.NewChecker(json.RawMessage(v.InputSchema))
	if err != nil {
		return fmt.Errorf("input schema of a workflow: %w", err)
	}
	var given, defaults map[string]json.RawMessage
	if err := json.Unmarshal(whole, &given); err != nil {
		return fmt.Errorf("read the inputs of a workflow: %w", err)
	}
	if len(ofSchema) > 0 {
		if err := json.Unmarshal(ofSchema, &defaults); err != nil {
			return fmt.Errorf("read the defaults of a workflow: %w", err)
		}
	}
	var problems []schemas.Problem
	for _, problem := range checker.Check(whole) {
		name, _, _ := strings.Cut(strings.TrimPrefix(problem.Field, "/"), "/")
		switch {
		case given[name] == nil: // another input is needed, or all together
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
	e.Message = "a default is not what the input_schema says: " + e.Message
	return e
}

// undeclared lists the inputs that neither the definition nor the input schema names, unless the schema says itself what
// becomes of those: a misspelt one must not leave the default in its place.
func (v *version) undeclared(definitionInputs, given schemas.Object) (problems []schemas.Problem) {
	var declared, named, schema map[string]json.RawMessage
	for to, from := range map[*map[string]json.RawMessage]schemas.Object{&declared: definitionInputs, &named: given, &schema: v.InputSchema} {
		if len(from) > 0 && json.Unmarshal(from, to) != nil {
			return nil // said elsewhere
		}
	}
	for keyword := range schema {
		if slices.Contains([]string{"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames", "$ref", "allOf", "anyOf", "oneOf", "if"}, keyword) {
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

// defaultsOf are the defaults that a schema gives its properties.
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
