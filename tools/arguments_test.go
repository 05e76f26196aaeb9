package tools

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/schemas"
)

// Bad arguments are refused before the runtime is touched: it is nil here.
func TestArgumentsAreStrict(t *testing.T) {
	methods := map[string]Method{}
	for _, m := range All() {
		methods[m.Name] = m
	}
	for _, tt := range []struct {
		tool, arguments string
		says            []string // all in one message
		field           string
		candidates      []string
	}{
		{"get_execution_status", `{"execution_id":"x","wait_second":3}`, []string{"wait_second"}, "/wait_second", []string{"wait_seconds"}},
		{"get_execution_status", `{}`, []string{"execution_id"}, "/execution_id", nil},
		{"get_execution_status", ``, []string{"execution_id"}, "/execution_id", nil},
		{"get_execution_status", `null`, []string{"execution_id"}, "/execution_id", nil},
		{"get_execution_status", `{"execution_id":7,"view":"node","wait_seconds":-1,"verbose":true}`, []string{"execution_id", "view", "wait_seconds", "verbose"}, "", nil},
		{"get_execution_status", `{"execution_id":"x","wait_seconds":"5"}`, []string{"wait_seconds"}, "/wait_seconds", nil},
		{"get_execution_status", `[]`, []string{"object"}, "", nil},
		{"get_execution_status", `{"execution_id":`, []string{"JSON"}, "", nil},
		{"list_executions", `{"status":"runing"}`, []string{"status"}, "/status", []string{"running"}},
		{"execute_plan", `{"plan":{}}`, []string{"execution_plan", "plan"}, "", nil},
		{"execute_plan", `{"execution_plan":7}`, []string{"execution_plan"}, "/execution_plan", nil},
		{"execute_with_timeout", `{"execution_plan":{},"timeout_seconds":0}`, []string{"timeout_seconds"}, "/timeout_seconds", nil},
		{"execute_with_retry", `{"execution_plan":{},"retry_config":{"max_attempt":3}}`, []string{"max_attempt"}, "/retry_config/max_attempt", []string{"max_attempts"}},
		{"invoke_capability", `{"realm":"shop","capability":"x","args":{}}`, []string{"capability_name", "args"}, "", nil},
		{"invoke_capability", `{"realm":"shop","capability_name":"x","inputs":[1]}`, []string{"inputs"}, "/inputs", nil},
		{"resume_execution", `{"execution_id":"x","patch":{"nodes":{"a":{"retri":true}}}}`, []string{"retri"}, "/patch/nodes/a/retri", []string{"retry"}},
		{"create_workflow", `{"name":"w","definition":{},"schedule":{"every":"0s"}}`, []string{"every is 0s"}, "/schedule/every", nil},
		{"signal_execution", `{"execution_id":"x","event_name":""}`, []string{"event_name"}, "/event_name", nil},
	} {
		_, err := methods[tt.tool].Call(t.Context(), nil, Request{Arguments: json.RawMessage(tt.arguments)})
		var e *schemas.Error
		if !errors.As(err, &e) || e.Code != schemas.CodeInvalidArgument {
			t.Errorf("%s(%s): got %v", tt.tool, tt.arguments, err)
			continue
		}
		for _, want := range tt.says {
			if !strings.Contains(e.Message, want) {
				t.Errorf("%s(%s): %q does not say %s", tt.tool, tt.arguments, e.Message, want)
			}
		}
		if tt.field != "" && e.Field != tt.field {
			t.Errorf("%s(%s): field %q, want %q", tt.tool, tt.arguments, e.Field, tt.field)
		}
		if tt.candidates != nil && !slices.Equal(e.Candidates, tt.candidates) {
			t.Errorf("%s(%s): candidates %v, want %v", tt.tool, tt.arguments, e.Candidates, tt.candidates)
		}
	}
}

// Arguments reach the function as they were written: large integers, key order and absent fields survive.
func TestArgumentsArriveUnchanged(t *testing.T) {
	type in struct {
		Inputs schemas.Object `json:"inputs,omitempty"`
		Wait   *int           `json:"wait,omitempty"`
		Plan   Plan           `json:"plan,omitempty"`
	}
	var got in
	m := method("Test", "take", "Take", Reads, "Takes.", func(_ context.Context, _ *runtime.Runtime, v in, _ Request) (struct{}, error) {
		got = v
		return struct{}{}, nil
	})
	const inputs = `{"z":9007199254740993,"a":[1.50,null]}`
	if _, err := m.Call(t.Context(), nil, Request{Arguments: json.RawMessage(`{"inputs":` + inputs + `,"plan":"plan: v1\n"}`)}); err != nil {
		t.Fatal(err)
	}
	if string(got.Inputs) != inputs || got.Wait != nil || string(got.Plan) != `"plan: v1\n"` {
		t.Errorf("got %s, %v, %s", got.Inputs, got.Wait, got.Plan)
	}
}

func TestHintsOfEveryEffect(t *testing.T) {
	for effect, want := range map[Effect]schemas.Hints{
		Reads:    {ReadOnly: true, Idempotent: true},
		Adds:     {},
		Sets:     {Idempotent: true},
		Destroys: {Destructive: true, Idempotent: true},
		Acts:     {Destructive: true, OpenWorld: true},
	} {
		if got := effect.Hints(); got != want {
			t.Errorf("effect %d: got %+v, want %+v", effect, got, want)
		}
	}
	for _, m := range All() {
		if reads := strings.HasPrefix(m.Name, "get_") || strings.HasPrefix(m.Name, "list_") || strings.HasPrefix(m.Name, "discover_") ||
			strings.HasPrefix(m.Name, "resolve_") || strings.HasPrefix(m.Name, "check_") || strings.HasPrefix(m.Name, "validate_"); reads != m.Effect.Hints().ReadOnly {
			t.Errorf("%s: read-only is %v", m.Name, m.Effect.Hints().ReadOnly)
		}
	}
}

// Progress of an execution reports each number of ended nodes once, and never goes back.
func TestFollowRises(t *testing.T) {
	if (Request{}).follow() != nil || (Request{}).relay() != nil {
		t.Error("progress without a client that wants it")
	}
	var got []float64
	follow := Request{Progress: func(done, total float64, message string) {
		if total != 5 || !strings.Contains(message, "of 5 nodes") {
			t.Errorf("%v of %v: %q", done, total, message)
		}
		got = append(got, done)
	}}.follow()
	for _, p := range []schemas.Progress{{Total: 5}, {Total: 5, Running: 2}, {Total: 5, Succeeded: 1, Failed: 1}, {Total: 5, Succeeded: 1}, {Total: 5, Succeeded: 3, Failed: 1, Skipped: 1}} {
		follow(schemas.Execution{Status: schemas.StatusRunning, Progress: p})
	}
	if !slices.Equal(got, []float64{0, 2, 5}) {
		t.Errorf("got %v, want 0 2 5", got)
	}
}
