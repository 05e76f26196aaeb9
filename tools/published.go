package tools

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
)

// MaxPublishedBytes is how many bytes of names, titles, descriptions and input schemas all published workflows together may take in
// a list of tools.
const MaxPublishedBytes = 48 << 10

// Published lists the caller's published workflows as methods, by name. Those beyond MaxPublishedBytes are listed in short; they
// are called in the same way.
func Published(ctx context.Context, rt *runtime.Runtime) ([]Method, error) {
	workflows, err := rt.Workflows.Published(ctx)
	methods := make([]Method, len(workflows))
	used := 0
	for i := range workflows {
		m := published(&workflows[i])
		if size := m.listed(); used+size <= MaxPublishedBytes {
			used += size
		} else {
			m.Description = fmt.Sprintf("Executes the workflow %q. The list of tools is limited to %d KiB of workflows: "+
				"get_workflow_status shows its description and its inputs.", workflows[i].Workflow, MaxPublishedBytes>>10)
			m.Input = []byte(`{"type":"object"}`)
		}
		methods[i] = m
	}
	return methods, err
}

// listed is how many bytes the method takes in a list of tools, without its output schema.
func (m *Method) listed() int { return len(m.Name) + len(m.Title) + len(m.Description) + len(m.Input) }

// PublishedMethod finds one of [Published] by the name of its tool; nil: there is none.
func PublishedMethod(ctx context.Context, rt *runtime.Runtime, name string) (*Method, error) {
	w, ok, err := rt.Workflows.PublishedTool(ctx, name)
	if err != nil || !ok {
		return nil, err
	}
	m := published(&w)
	return &m, nil
}

// execution is the schema of the result of every published workflow, an [schemas.Execution]. It is short, because it is repeated
// for each of them; that of execute_workflow names every field.
var execution = []byte(`{"type":"object","properties":{"execution_id":{"type":"string"},"status":{"type":"string"}},"required":["execution_id","status"]}`)

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
	name, accepts := w.Workflow, w.Accepts
	m.Call = func(ctx context.Context, rt *runtime.Runtime, r Request) (any, error) {
		c, err := schemas.NewChecker(accepts)
		if err != nil {
			return nil, fmt.Errorf("%s: schema: %w", m.Name, err)
		}
		var inputs schemas.Object
		_, err = decode(ctx, c, r.Arguments, &inputs)
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
