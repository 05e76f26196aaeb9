package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func (p *process) createWorkflow(t *testing.T, name, plan, schema string) int64 {
	t.Helper()
	ref, err := p.Workflows.Create(t.Context(), workflow.Spec{Name: name, Definition: []byte(plan), InputSchema: schemas.Object(schema)})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return ref.Version
}

func greet(text string) string {
	return `{"plan":"v1","inputs":{"who":null},"nodes":[{"id":"a","set":"` + text + ` ${inputs.who}"}],"output":"${nodes.a.output}"}`
}

func TestWorkflowVersions(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		schema := `{"type":"object","properties":{"who":{"type":"string","default":"world"}},"required":["who"],"additionalProperties":false}`
		for i, tt := range []struct {
			text string
			want int64
		}{{"hello", 1}, {"hello", 1}, {"bye", 2}, {"bye", 2}, {"hello", 3}} {
			if v := p.createWorkflow(t, "greet", greet(tt.text), schema); v != tt.want {
				t.Errorf("%d: version %d, want %d", i, v, tt.want)
			}
		}
		for _, tt := range []struct {
			id      string
			version int64
			inputs  string
			output  string
			code    schemas.Code
		}{
			{"greet", 0, ``, `"hello world"`, ""},
			{"greet@2", 0, `{"who":"Ada"}`, `"bye Ada"`, ""},
			{"greet", 2, ``, `"bye world"`, ""},
			{"greet@2", 2, ``, `"bye world"`, ""},
			{"greet@2", 1, ``, "", schemas.CodeInvalidArgument},
			{"greet@x", 0, ``, "", schemas.CodeInvalidArgument},
			{"greet", 9, ``, "", schemas.CodeNotFound},
			{"gret", 0, ``, "", schemas.CodeNotFound},
			{"greet", 0, `{"who":7}`, "", schemas.CodeInvalidArgument},
			{"greet", 0, `{"whom":"x"}`, "", schemas.CodeInvalidArgument},
		} {
			time.Sleep(time.Millisecond) // so that ids are in order
			e, err := p.Workflows.Execute(t.Context(), tt.id, tt.version, engine.Submit{Inputs: schemas.Object(tt.inputs)})
			if codeOf(err) != tt.code {
				t.Errorf("%+v: %v", tt, err)
			} else if err == nil {
				want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, tt.output, "")
			}
			if tt.id == "gret" && !slices.Equal(schemas.AsError(err).Candidates, []string{"greet"}) {
				t.Errorf("candidates %v", schemas.AsError(err).Candidates)
			}
		}
		st, err := p.Workflows.Status(t.Context(), "greet")
		if err != nil || !slices.Equal(st.Versions, []int64{1, 2, 3}) || st.Executions[schemas.StatusSucceeded] != 4 || len(st.Latest) != 4 || st.Latest[0].Workflow != "greet@2" {
			t.Errorf("%+v, %v", st, err)
		}
		page, err := p.Executions.List(t.Context(), journal.Query{Workflow: "greet"})
		if err != nil || len(page.Executions) != 4 {
			t.Errorf("%d executions, %v", len(page.Executions), err)
		}
		for workflow, n := range map[string]int{"greet@2": 3, "greet@3": 1, "greet@9": 0} {
			if page, err := p.Executions.List(t.Context(), journal.Query{Workflow: workflow}); err != nil || len(page.Executions) != n {
				t.Errorf("%s: %d executions, want %d, %v", workflow, len(page.Executions), n, err)
			}
		}
		if state := p.get(t, state.Ref{Type: "workflow", Key: "greet"}); !state.Found || state.Version != 3 {
			t.Errorf("%+v", state)
		}
		if err := errOf(p.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "workflow", Key: "greet"}, Data: schemas.Value(`{}`)})); codeOf(err) != schemas.CodeReadOnly {
			t.Errorf("%v", err)
		}
		if _, err := p.Workflows.Delete(t.Context(), "greet"); err != nil {
			t.Error(err)
		}
		if err := errOf(p.Workflows.Execute(t.Context(), "greet@2", 0, engine.Submit{})); codeOf(err) != schemas.CodeNotFound {
			t.Errorf("deleted: %v", err)
		}
		if v := p.createWorkflow(t, "greet", greet("hello"), schema); v != 4 {
			t.Errorf("version %d was used again for another plan", v)
		}
		if list, err := p.Workflows.List(t.Context(), workflow.Query{}); err != nil || len(list.Workflows) != 1 || list.Workflows[0].Version != 4 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestWorkflowsWithinPlans(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.createWorkflow(t, "greet", greet("hello"), "")
		p.createWorkflow(t, "twice", `{"plan":"v1","nodes":[{"id":"a","workflow":"greet","inputs":{"who":"a"}},{"id":"b","workflow":"greet@1","inputs":{"who":"b"}}],"output":"${nodes.a.output}, ${nodes.b.output}"}`, "")
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"1m"},{"id":"t","workflow":"twice","depends_on":["w"]}],"output":"${nodes.t.output}"}`)})
		if err != nil {
			t.Fatal(err)
		}
		p.createWorkflow(t, "greet", greet("bye"), "") // what was accepted does not change
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `"hello a, hello b"`, "")
	})
}

func TestBadWorkflows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		node := func(name string) string { return `{"plan":"v1","nodes":[{"id":"a","workflow":"` + name + `"}]}` }
		p.createWorkflow(t, "a", greet("x"), "")
		p.createWorkflow(t, "b", node("a"), "")
		p.createWorkflow(t, "c", node("b"), "")
		for i := range workflow.MaxDepth - 1 {
			p.createWorkflow(t, fmt.Sprintf("d%d", i+1), node(map[bool]string{true: "a", false: fmt.Sprintf("d%d", i)}[i == 0]), "")
		}
		for name, tt := range map[string]struct {
			n     workflow.Spec
			code  schemas.Code
			names string
		}{
			"recursion":        {workflow.Spec{Name: "a", Definition: []byte(node("c"))}, schemas.CodeInvalidPlan, "a → c → b → a"},
			"itself":           {workflow.Spec{Name: "new", Definition: []byte(node("new"))}, schemas.CodeInvalidPlan, "new → new"},
			"too deep":         {workflow.Spec{Name: "deep", Definition: []byte(node("d3"))}, schemas.CodeInvalidPlan, "at most 4"},
			"unknown workflow": {workflow.Spec{Name: "x", Definition: []byte(node("nothere"))}, schemas.CodeInvalidPlan, "nothere"},
			"bad name":         {workflow.Spec{Name: "A b", Definition: []byte(greet("x"))}, schemas.CodeInvalidArgument, "A b"},
			"bad plan":         {workflow.Spec{Name: "x", Definition: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.nothing"}]}`)}, schemas.CodeInvalidPlan, "nothing"},
			"bad default": {workflow.Spec{Name: "x", Definition: []byte(greet("x")), InputSchema: schemas.Object(`{"properties":{"who":{"type":"string","default":7},"b":{}},"required":["b"]}`)},
				schemas.CodeInvalidArgument, "`who` must be a string, got integer 7"},
			"bad input of the definition": {workflow.Spec{Name: "x", Definition: []byte(`{"plan":"v1","inputs":{"n":{"m":"x"}},"nodes":[{"id":"a","set":"${inputs.n}"}]}`),
				InputSchema: schemas.Object(`{"properties":{"n":{"properties":{"m":{"type":"integer"}}}}}`)}, schemas.CodeInvalidArgument, "`n.m` must be an integer"},
			"bad schema": {workflow.Spec{Name: "x", Definition: []byte(greet("x")), InputSchema: schemas.Object(`{"type":7}`)}, schemas.CodeInvalidArgument, "input_schema"},
		} {
			if err := errOf(p.Workflows.Create(t.Context(), tt.n)); codeOf(err) != tt.code || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("%s: %v, want %s naming %s", name, err, tt.code, tt.names)
			}
		}
		if v := p.createWorkflow(t, "a", greet("x"), ""); v != 1 {
			t.Errorf("a refused definition left version %d", v)
		}
		for _, err := range []error{
			errOf(p.Workflows.Status(as(t, "other"), "a")), errOf(p.Workflows.Delete(as(t, "other"), "a")), errOf(p.Workflows.Execute(as(t, "other"), "a", 0, engine.Submit{})),
		} {
			if codeOf(err) != schemas.CodeNotFound || len(schemas.AsError(err).Candidates) > 0 {
				t.Errorf("another principal's: %v", err)
			}
		}
	})
}

// A plan that names workflows which cannot be used gets findings of these names and of everything else that is wrong with it, and none of
// what takes the place of the names.
func TestFindingsOfNamedWorkflows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		for source, want := range map[string]string{
			`{"plan":"v1","nodes":[{"id":"a","workflow":"nightly"}]}`:                                                                                            "unknown_workflow /nodes/0/workflow",
			`{"plan":"v1","nodes":[{"id":"a","workflow":{"name":"nightly"}}]}`:                                                                                   "unknown_workflow /nodes/0/workflow/name",
			`{"plan":"v1","nodes":[{"id":"b","set":"${nodes.a.output.x}"},{"id":"a","workflow":"nightly","inputs":{"who":1}},{"id":"c","capability":"r.raed"}]}`: "unknown_workflow /nodes/1/workflow, unknown_capability /nodes/2/capability",
			`{"plan":"v1","nodes":[{"id":"a","workflow":{"definition":{"plan":"v1","nodes":[{"id":"b","workflow":"nightly"}]}}}]}`:                               "unknown_workflow /nodes/0/workflow/definition/nodes/0/workflow",
			`{"plan":"v1","nodes":[{"id":"a","workflow":{"definition":{"plan":"v1","nodes":[]}}},{"id":"b","workflow":"nightly"}]}`:                              "unknown_workflow /nodes/1/workflow, empty_plan /nodes/0/workflow/definition/nodes",
		} {
			v, err := p.Executions.Validate(t.Context(), []byte(source))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range v.Findings {
				got = append(got, f.Code+" "+f.Path)
			}
			if strings.Join(got, ", ") != want || v.Valid {
				t.Errorf("%s: %s, want %s", source, strings.Join(got, ", "), want)
			}
		}
	})
}

// A name of a workflow that cannot be resolved is found in the text of the plan, as every other finding is.
func TestUnknownWorkflowNamesItsLine(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		v, err := p.Executions.Validate(t.Context(), []byte("plan: v1\nnodes:\n  - id: a\n    set: 1\n  - id: b\n    workflow: missing\n"))
		if err != nil || v.Valid || len(v.Findings) != 1 || v.Findings[0].Code != "unknown_workflow" || v.Findings[0].Line != 6 || v.Findings[0].Column != 5 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// A workflow that runs as a node is counted among its executions, with its version.
func TestWorkflowThatIsANodeIsCounted(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.createWorkflow(t, "greet", greet("hello"), "")
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"g","workflow":"greet","for_each":[1,2]},{"id":"own","workflow":{"definition":{"plan":"v1","nodes":[{"id":"s","set":1}]}}}]}`)
		want(t, e, schemas.StatusSucceeded, "", "g=succeeded own=succeeded")
		st, err := p.Workflows.Status(t.Context(), "greet")
		if err != nil || st.Executions[schemas.StatusSucceeded] != 2 || len(st.Latest) != 2 || st.Latest[0].Workflow != "greet@1" || st.Latest[0].ParentID != e.ExecutionID {
			t.Errorf("%+v, %v", st, err)
		}
	})
}
