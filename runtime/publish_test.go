package runtime

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// publishedTools are the tools that the caller has published, as one line.
func (p *process) publishedTools(t *testing.T) string {
	t.Helper()
	list, err := p.Workflows.Published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(list))
	for i, w := range list {
		names[i] = fmt.Sprintf("%s@%d", w.Tool, w.Version)
	}
	return strings.Join(names, " ")
}

// The tool of a workflow follows its versions and is deleted with it, on the replica that changed it and on another one, and the clients of
// both are notified, with the store's watch and by polling.
func TestPublishedWorkflows(t *testing.T) {
	for name, wrap := range map[string]func(store.Store) store.Store{"watch": func(s store.Store) store.Store { return s }, "poll": withoutWatch} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				here, there := run(w, wrap(s)), run(w, wrap(s))
				defer here.stop()
				defer there.stop()
				notified := map[*process]*atomic.Int64{here: {}, there: {}}
				within := map[string]time.Duration{"watch": time.Second, "poll": workflow.PublishedPoll + time.Second}[name]
				for _, p := range []*process{here, there} {
					defer p.Workflows.OnPublished(func(principal string) {
						if principal == caller.LocalPrincipal {
							notified[p].Add(1)
						}
					})()
					if got := p.publishedTools(t); got != "" {
						t.Errorf("before anything was published: %s", got)
					}
				}
				yes, no := true, false
				for i, step := range []struct {
					what  string
					do    func() error
					tools string
					notes int64 // notifications on each replica so far
				}{
					{"a workflow that is not published", func() error {
						return errOf(here.Workflows.Create(t.Context(), workflow.Spec{Name: "quiet", Definition: []byte(greet("x"))}))
					}, "", 0},
					{"publish", func() error {
						return errOf(here.Workflows.Create(t.Context(), workflow.Spec{Name: "greet", Definition: []byte(greet("hello")), Publish: &yes}))
					}, "workflow_greet@1", 1},
					{"again", func() error {
						return errOf(here.Workflows.Create(t.Context(), workflow.Spec{Name: "greet", Definition: []byte(greet("hello")), Publish: &yes}))
					}, "workflow_greet@1", 1},
					{"another principal's", func() error {
						return errOf(here.Workflows.Create(as(t, "other"), workflow.Spec{Name: "theirs", Definition: []byte(greet("x")), Publish: &yes}))
					}, "workflow_greet@1", 1},
					{"next version", func() error {
						return errOf(there.Workflows.Create(t.Context(), workflow.Spec{Name: "greet", Definition: []byte(greet("bye"))}))
					}, "workflow_greet@2", 2},
					{"publish the other too", func() error {
						return errOf(there.Workflows.Create(t.Context(), workflow.Spec{Name: "quiet", Definition: []byte(greet("x")), Publish: &yes}))
					}, "workflow_greet@2 workflow_quiet@1", 3},
					{"unpublish one", func() error {
						return errOf(here.Workflows.Create(t.Context(), workflow.Spec{Name: "quiet", Definition: []byte(greet("x")), Publish: &no}))
					}, "workflow_greet@2", 4},
					{"delete", func() error { return errOf(there.Workflows.Delete(t.Context(), "greet")) }, "", 5},
					{"create it again", func() error {
						return errOf(here.Workflows.Create(t.Context(), workflow.Spec{Name: "greet", Definition: []byte(greet("hello"))}))
					}, "", 5},
				} {
					if err := step.do(); err != nil {
						t.Fatalf("%s: %v", step.what, err)
					}
					time.Sleep(within)
					synctest.Wait()
					for _, p := range []*process{here, there} {
						if n := notified[p].Load(); n != step.notes {
							t.Errorf("%d %s: clients (of the first replica: %v) were notified %d times, want %d", i, step.what, p == here, n, step.notes)
						}
						if got := p.publishedTools(t); got != step.tools {
							t.Errorf("%s: tools %q, want %q", step.what, got, step.tools)
						}
					}
				}
			})
		})
	}
}

// The inputs of the tool are those that the workflow declares and those that its definition names.
func TestPublishedSchema(t *testing.T) {
	everything := `["object","array","string","number","boolean","null"]`
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		yes := true
		for _, tt := range []struct{ name, inputs, schema, want, refused string }{
			{"undeclared", `{"who":null,"n":3,"s":"x","l":[],"o":{},"b":true}`, ``,
				`{"additionalProperties":false,"properties":{"b":{"default":true,"type":"boolean"},"l":{"default":[],"type":"array"},"n":{"default":3,"type":"number"},"o":{"default":{},"type":"object"},"s":{"default":"x","type":"string"},"who":{"type":` + everything + `}},"type":"object"}`, ""},
			{"none", `{}`, ``, `{"additionalProperties":false,"properties":{},"type":"object"}`, ""},
			{"declared", `{"a":null,"b":2}`, `{"type":"object","properties":{"a":{"type":"string","description":"who"},"c":{"type":"integer","default":7}},"required":["a","b","c"]}`,
				`{"properties":{"a":{"description":"who","type":"string"},"b":{"default":2,"type":"number"},"c":{"default":7,"type":"integer"}},"required":["a"],"type":"object"}`, ""},
			{"closed", `{"a":null,"b":null}`, `{"properties":{"a":{"type":"string"}},"additionalProperties":false}`, `{"additionalProperties":false,"properties":{"a":{"type":"string"}},"type":"object"}`, ""},
			{"reference", `{}`, `{"$defs":{"a":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/a"}}}`, "", "/properties/a/$ref"},
			{"large", `{}`, `{"properties":{"a":{"type":"string","description":"` + strings.Repeat("x", schemas.MaxToolSchema) + `"}}}`, "", "at most 16384"},
		} {
			n := workflow.Spec{
				Name: "w", Definition: []byte(`{"plan":"v1","inputs":` + tt.inputs + `,"nodes":[{"id":"a","set":1}]}`), InputSchema: schemas.Object(tt.schema), Publish: &yes,
			}
			err := errOf(p.Workflows.Create(t.Context(), n))
			if tt.refused != "" {
				if codeOf(err) != schemas.CodeInvalidArgument || !strings.Contains(err.Error(), tt.refused) || schemas.AsError(err).Field != "input_schema" {
					t.Errorf("%s: %v, want a refusal with %s", tt.name, err, tt.refused)
				}
				continue
			}
			tool, ok, lost := p.Workflows.PublishedTool(t.Context(), "workflow_w")
			if err != nil || lost != nil || !ok || string(tool.InputSchema) != tt.want {
				t.Errorf("%s: got %s, %v, %v, want %s", tt.name, tool.InputSchema, err, lost, tt.want)
			}
		}
		if got := p.publishedTools(t); got != "workflow_w@4" {
			t.Errorf("a refused definition changed what is published: %s", got)
		}
		long := workflow.Spec{Name: strings.Repeat("w", workflow.MaxPublishedName+1), Definition: []byte(greet("x")), Publish: &yes}
		if err := errOf(p.Workflows.Create(t.Context(), long)); codeOf(err) != schemas.CodeInvalidArgument {
			t.Errorf("a long name: %v", err)
		}
		for i := range workflow.MaxPublished - 1 {
			if err := errOf(p.Workflows.Create(t.Context(), workflow.Spec{Name: fmt.Sprint("x", i), Definition: []byte(greet("x")), Publish: &yes})); err != nil {
				t.Fatal(err)
			}
		}
		one := workflow.Spec{Name: "more", Definition: []byte(greet("x")), Publish: &yes}
		if err := errOf(p.Workflows.Create(t.Context(), one)); codeOf(err) != schemas.CodeQuotaExceeded {
			t.Errorf("one too many: %v", err)
		}
	})
}

// A workflow's annotations are the worst of everything that it may call; a tool without annotations counts as the worst.
func TestPublishedHints(t *testing.T) {
	read, idempotent, once := `{"id":"a","capability":"r.read"}`, `{"id":"a","capability":"r.idempotent"}`, `{"id":"a","capability":"r.once"}`
	harmless := map[string]string{"read": `{"openWorldHint":false}`, "idempotent": `{"idempotentHint":true,"destructiveHint":false,"openWorldHint":false}`, "once": `{"destructiveHint":false,"openWorldHint":false}`}
	worst := schemas.Hints{Destructive: true, OpenWorld: true}
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		p.createWorkflow(t, "inner", `{"plan":"v1","nodes":[`+once+`]}`, "")
		yes := true
		for i, tt := range []struct {
			name, nodes string
			said        map[string]string
			want        schemas.Hints
		}{
			{"nothing is called", `{"id":"a","set":1}`, nil, schemas.Hints{ReadOnly: true, Idempotent: true}},
			{"reads", read, harmless, schemas.Hints{ReadOnly: true, Idempotent: true}},
			{"reads, without annotations", read, nil, schemas.Hints{ReadOnly: true, Idempotent: true, OpenWorld: true}},
			{"idempotent", idempotent, harmless, schemas.Hints{Idempotent: true}},
			{"idempotent by the configuration", idempotent, nil, worst},
			{"once", once, harmless, schemas.Hints{}},
			{"once, without annotations", once, nil, worst},
			{"invalid annotations", read, map[string]string{"read": `7`}, worst},
			{"one of two", read + `,{"id":"b","capability":"r.once"}`, map[string]string{"read": harmless["read"]}, worst},
			{"a fallback", `{"id":"a","capability":"r.read","fallback":[{"capability":"r.once"}]}`, harmless, schemas.Hints{}},
			{"a compensation", `{"id":"a","capability":"r.idempotent","compensate":{"capability":"r.once"}}`, map[string]string{"idempotent": harmless["idempotent"]}, worst},
			{"a workflow within", `{"id":"a","workflow":"inner"}`, harmless, schemas.Hints{}},
			{"the plan is stricter", `{"id":"a","capability":"r.read","effect":"once"}`, harmless, schemas.Hints{Destructive: true}},
		} {
			w.annotations = tt.said
			name := fmt.Sprint("w", i)
			if err := errOf(p.Workflows.Create(t.Context(), workflow.Spec{Name: name, Definition: []byte(`{"plan":"v1","nodes":[` + tt.nodes + `]}`), Publish: &yes})); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if tool, _, err := p.Workflows.PublishedTool(t.Context(), "workflow_"+name); err != nil || tool.Hints != tt.want {
				t.Errorf("%s: %+v, %v, want %+v", tt.name, tool.Hints, err, tt.want)
			}
		}
		w.annotations = map[string]string{"read": harmless["read"]} // they were changed
		if err := errOf(p.Workflows.Create(t.Context(), workflow.Spec{Name: "w2", Definition: []byte(`{"plan":"v1","nodes":[` + read + `]}`), Publish: &yes})); err != nil {
			t.Fatal(err)
		}
		if tool, _, err := p.Workflows.PublishedTool(t.Context(), "workflow_w2"); err != nil || tool.Hints.OpenWorld || tool.Version != 1 {
			t.Errorf("the same definition again is not examined again: %+v, %v", tool, err)
		}
	})
}

// A workflow that a published one names may get another version or be deleted. The tool never looks more harmless than what it executes
// now, also where the process that made the next version died before it examined the tool again.
func TestHintsFollowTheNamedWorkflows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		w.annotations = map[string]string{"read": `{"openWorldHint":false}`, "once": `{"destructiveHint":false,"openWorldHint":false}`}
		reads, pays := `{"plan":"v1","nodes":[{"id":"a","capability":"r.read"}]}`, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once"}]}`
		names := func(name string) string { return `{"plan":"v1","nodes":[{"id":"a","workflow":"` + name + `"}]}` }
		p := run(w, s)
		defer p.stop()
		yes := true
		p.createWorkflow(t, "inner", reads, "")
		p.createWorkflow(t, "middle", names("inner"), "")
		for name, definition := range map[string]string{"outer": names("middle"), "fixed": names("inner@1")} {
			if err := errOf(p.Workflows.Create(t.Context(), workflow.Spec{Name: name, Definition: []byte(definition), Publish: &yes})); err != nil {
				t.Fatal(err)
			}
		}
		harmless, harms := schemas.Hints{ReadOnly: true, Idempotent: true}, schemas.Hints{}
		expect := func(when string, outer schemas.Hints) {
			t.Helper()
			list, err := p.Workflows.Published(t.Context())
			if err != nil || len(list) != 2 || list[0].Hints != harmless || list[1].Hints != outer {
				t.Errorf("%s: %+v, %v, want %+v", when, list, err, outer)
			}
			if tool, _, err := p.Workflows.PublishedTool(t.Context(), "workflow_outer"); err != nil || tool.Hints != outer {
				t.Errorf("%s: %+v, %v, want %+v", when, tool.Hints, err, outer)
			}
		}
		expect("as it was published", harmless)
		p.createWorkflow(t, "inner", pays, "")
		expect("the next version pays", harms)
		p.createWorkflow(t, "inner", reads, "")
		expect("the next one reads again", harmless)
		var versions int
		dying := idle(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if versions++; versions > 1 {
				return store.Committed{}, recordstest.ErrUnreachable
			}
			return s.Commit(ctx, b)
		}})
		if err := errOf(dying.Workflows.Create(t.Context(), workflow.Spec{Name: "inner", Definition: []byte(pays)})); err != nil {
			t.Fatal(err)
		}
		expect("the tool was not examined since the next version", schemas.Hints{Destructive: true, OpenWorld: true})
		if err := errOf(p.Workflows.Delete(t.Context(), "middle")); err != nil {
			t.Fatal(err)
		}
		expect("a part is gone", schemas.Hints{Destructive: true, OpenWorld: true})
	})
}
