package runtime

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The inputs that a node gives a named workflow are checked against what the workflow declares: as far as they are known when the plan is
// compiled, and all of them before it starts.
func TestInputsOfNamedWorkflows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.createWorkflow(t, "greet", `{"plan":"v1","inputs":{"who":null,"times":1,"note":null},"nodes":[{"id":"a","capability":"r.once","inputs":{"id":"${inputs.who}"}}],"output":"${inputs.who}"}`,
			`{"properties":{"who":{"type":"string"},"times":{"type":"integer","maximum":3},"note":{"type":"string"}},"required":["who"],"additionalProperties":false}`)
		for _, tt := range []struct{ inputs, findings string }{
			{`{"who":"Ada"}`, ""},
			{`{"who":"Ada","times":2,"note":"n"}`, ""},
			{`{"who":"Ada","times":null,"note":null}`, ""},
			{`{"who":null}`, "wrong_argument /nodes/1/inputs/who"},
			{`{"who":7}`, "wrong_argument /nodes/1/inputs/who"},
			{`{"who":"Ada","times":4}`, "wrong_argument /nodes/1/inputs/times"},
			{`{}`, "missing_argument /nodes/1/inputs/who"},
			{`{"who":"Ada","extra":1}`, "unknown_argument /nodes/1/inputs/extra"},
			{`{"whoo":"Ada"}`, "unknown_input /nodes/1/inputs/whoo"},
			{`{"who":"${index_of(1)}"}`, "unknown_function /nodes/1/inputs/who"},
			{`{"who":"${1 + 1}"}`, "wrong_argument /nodes/1/inputs/who"},
			{`{"who":"${nodes.x.output}","times":"${nodes.x.output}"}`, ""},
		} {
			source := `{"plan":"v1","nodes":[{"id":"x","capability":"r.read"},{"id":"g","workflow":"greet@1","inputs":` + tt.inputs + `,"depends_on":["x"]}]}`
			v, err := p.Executions.Validate(t.Context(), []byte(source))
			var got []string
			for _, f := range v.Findings {
				got = append(got, f.Code+" "+f.Path)
				if f.Code != "unknown_function" && f.Code != "unknown_input" && !strings.Contains(f.Message, "workflow greet@1") {
					t.Errorf("%s: %q does not name the workflow", tt.inputs, f.Message)
				}
			}
			if err != nil || strings.Join(got, ", ") != tt.findings {
				t.Errorf("%s: got %v, %v, want %s", tt.inputs, got, err, tt.findings)
			}
		}
		for i, tt := range []struct{ give, node, want, field string }{
			{`"Ada"`, `"inputs":{"who":"${nodes.x.output}"}`, "succeeded", ""},
			{`7`, `"inputs":{"who":"${nodes.x.output}"}`, "failed", "/nodes/1/inputs/who"},
			{`null`, `"inputs":{"who":"${nodes.x.output}"}`, "failed", "/nodes/1/inputs/who"},
			{`9`, `"inputs":{"who":"Ada","times":"${nodes.x.output}"}`, "failed", "/nodes/1/inputs/times"},
			{`["Ada","Bob"]`, `"for_each":"${nodes.x.output}","inputs":{"who":"${item}"}`, "succeeded", ""},
			{`["Ada",7]`, `"for_each":"${nodes.x.output}","inputs":{"who":"${item}"},"max_parallel":1`, "failed", ""},
		} {
			before := w.calls("once", "")
			e := p.execute(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"x","capability":"r.read","inputs":{"give":%s}},{"id":"g","workflow":"greet",%s}]}`, tt.give, tt.node))
			if string(e.Status) != tt.want {
				t.Errorf("%d: %s %v", i, e.Status, e.Error)
				continue
			}
			if tt.want == "succeeded" {
				continue
			}
			if e.Error.Code != schemas.CodeInvalidArgument || !strings.Contains(e.Error.Message, "workflow greet@1") || tt.field != "" && e.Error.Field != tt.field {
				t.Errorf("%d: %+v, want an error of %s", i, e.Error, tt.field)
			}
			if tt.field != "" && (w.calls("once", "") != before || e.Nodes[1].Child != "") {
				t.Errorf("%d: it was executed all the same", i)
			}
		}
	})
}

// An input that its workflow does not require and that may not be null is absent if it is null: the workflow's own value stands for it, for
// a node, an execution and a schedule alike. Null stays where the schema takes it, and where there is no schema.
func TestInputsOfWorkflowsThatAreAbsent(t *testing.T) {
	const schema = `{"properties":{"who":{"type":"string"},"times":{"type":"integer"},"note":{"type":"string"},"maybe":{"type":["string","null"]},"old":{"type":"string","nullable":true},
		"in":{"type":"object","properties":{"a":{"type":"string"}}}},"required":["who"]}`
	for inputs, want := range map[string]string{
		`{"who":"Ada"}`:                           `{"in":null,"maybe":"m","note":null,"old":"o","times":3,"who":"Ada"}`,
		`{"who":"Ada","times":null,"note":null}`:  `{"in":null,"maybe":"m","note":null,"old":"o","times":3,"who":"Ada"}`,
		`{"who":"Ada","times":null,"maybe":null}`: `{"in":null,"maybe":null,"note":null,"old":"o","times":3,"who":"Ada"}`,
		`{"who":"Ada","old":null,"times":4}`:      `{"in":null,"maybe":"m","note":null,"old":null,"times":4,"who":"Ada"}`,
		`{"who":"Ada","in":{"a":null,"b":null}}`:  `{"in":{"b":null},"maybe":"m","note":null,"old":"o","times":3,"who":"Ada"}`,
		`{"who":null}`:                            "", `{"who":"Ada","times":"4"}`: "", `{"times":null}`: "",
	} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			p.createWorkflow(t, "greet", `{"plan":"v1","inputs":{"who":null,"times":3,"note":null,"maybe":"m","old":"o","in":null},"nodes":[{"id":"a","set":"${inputs}"}],"output":"${nodes.a.output}"}`, schema)
			direct, err := p.Workflows.Execute(t.Context(), "greet", 0, engine.Submit{Inputs: schemas.Object(inputs)})
			if err == nil {
				direct = p.rest(t, direct.ExecutionID)
			}
			if (err != nil) != (want == "") || string(direct.Output) != want {
				t.Errorf("%s executed: %s, %v, want %s", inputs, direct.Output, err, want)
			}
			if want == "" {
				return
			}
			later := strings.ReplaceAll(inputs, "null", `"${nodes.x.output.?none}"`) // not known before it runs
			e := p.execute(t, `{"plan":"v1","nodes":[{"id":"x","capability":"r.read","inputs":{"give":{"a":1}}},{"id":"g","workflow":"greet","inputs":`+later+`,"depends_on":["x"],"on_error":"continue"}],"output":"${nodes.g.output}"}`)
			if string(e.Output) != want {
				t.Errorf("%s of a node: %s, %v, want %s", later, e.Output, e.Nodes, want)
			}
		})
	}
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.createWorkflow(t, "open", `{"plan":"v1","inputs":{"times":3},"nodes":[{"id":"a","set":"${inputs}"}],"output":"${nodes.a.output}"}`, "")
		e, err := p.Workflows.Execute(t.Context(), "open", 0, engine.Submit{Inputs: schemas.Object(`{"times":null}`)})
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `{"times":null}`, "")
	})
}

// An undeclared input is refused by its name, unless the schema says how such inputs are treated.
func TestUndeclaredInputsOfWorkflows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		for i, tt := range []struct{ own, schema, given, want, field string }{
			{`{"order_id":"A-17"}`, ``, `{"order_id":"A-18"}`, "", ""},
			{`{"order_id":"A-17"}`, ``, `{"order":"A-18"}`, `no input "order"; did you mean "order_id"?`, "/inputs/order"},
			{`{"order_id":"A-17"}`, ``, `{"x/y":1}`, `no input "x/y"; it has order_id`, "/inputs/x~1y"},
			{`{}`, ``, `{"order":1}`, `takes no inputs, and so no "order"`, "/inputs/order"},
			{`{"order_id":"A-17"}`, `{"properties":{"order_id":{"type":"string"}}}`, `{"oder_id":"A-18","order_id":3}`, `did you mean "order_id"?; `, "/inputs/oder_id"},
			{`{"order_id":"A-17"}`, `{"properties":{"note":{"type":"string"}}}`, `{"note":"n"}`, "", ""},
			{`{"order_id":17}`, `{"additionalProperties":{"type":"integer"}}`, `{"more":1,"order_id":2}`, "", ""},
			{`{"order_id":"A-17"}`, `{"properties":{"order_id":{}},"additionalProperties":false}`, `{"order":1}`, "order", "/inputs/order"},
		} {
			name := fmt.Sprintf("w%d", i)
			p.createWorkflow(t, name, `{"plan":"v1","inputs":`+tt.own+`,"nodes":[{"id":"a","set":{"all":"${inputs}"}}]}`, tt.schema)
			err := errOf(p.Workflows.Execute(t.Context(), name, 0, engine.Submit{Inputs: schemas.Object(tt.given)}))
			if tt.want == "" {
				if err != nil {
					t.Errorf("%d: %v", i, err)
				}
				continue
			}
			if e := schemas.AsError(err); err == nil || e.Code != schemas.CodeInvalidArgument || !strings.Contains(e.Message, tt.want) || e.Field != tt.field {
				t.Errorf("%d: got %v at %q, want %q at %q", i, err, e.Field, tt.want, tt.field)
			}
		}
		e, err := p.Executions.List(t.Context(), journal.Query{})
		if err != nil || len(e.Executions) != 3 {
			t.Errorf("%d executions were made, want 3, %v", len(e.Executions), err)
		}
	})
}
