package tools

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
)

// Published lists the caller's published workflows as methods, by name.
func Published(ctx context.Context, rt *runtime.Runtime) ([]Method, error) {
	workflows, err := rt.Workflows.Published(ctx)
	methods := make([]Method, len(workflows))
	for i := range workflows {
		methods[i] = published(&workflows[i])
	}
	return methods, err
}

// PublishedMethod finds one of [Published] by the name of its tool; nil: there is none.
func PublishedMethod(ctx context.Context, rt *runtime.Runtime, name string) (*Method, error) {
	w, ok, err := rt.Workflows.PublishedTool(ctx, name)
	if err != nil || !ok {
		return nil, err
	}
	m := published(&w)
	return &m, nil
}

// execution is the schema of the result of every published workflow.
var execution = schemas.OutputSchema(new(schemas.Execution))

// published makes a method of a workflow. Its arguments are the inputs, checked like every method's; it executes the
// latest version and waits like execute_workflow.
func published(w *workflow.Published) Method {
	m := Method{
		Contract: WorkflowContract, Name: w.Tool, Title: w.Title, Effect: Acts, ExactHints: &w.Hints, Input: w.InputSchema, Output: execution,
		Description: w.Description,
	}
	if m.Title == "" {
		m.Title = "Workflow " + w.Workflow
	}
	if m.Description == "" {
		m.Description = fmt.Sprintf("Executes the workflow %q.", w.Workflow)
	}
	m.Description += fmt.Sprintf(" Returns the execution with its output; if it has not finished after %d s, "+
		"call get_execution_status with its execution_id.", defaultWait)
	name := w.Workflow
	m.Call = func(ctx context.Context, rt *runtime.Runtime, r Request) (any, error) {
		c, err := schemas.NewChecker(m.Input)
		if err != nil {
			return nil, fmt.Errorf("%s: schema: %w", m.Name, err)
		}
		inputs, err := decode[schemas.Object](ctx, c, r.Arguments)
		if err != nil {
			return nil, err
		}
		e, err := Submission{}.run(ctx, rt, r, func(sub engine.Submit) (schemas.Execution, error) {
			sub.Inputs = inputs
			return rt.Workflows.Execute(ctx, name, 0, sub)
		})
		if err != nil {
			return nil, err
		}
		return e, nil
	}
	return m
}
