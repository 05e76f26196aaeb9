package tools

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestChoices(t *testing.T) {
	for _, tt := range []struct {
		choice  Choice
		has     []string
		without map[string]string // by tool: the rule
	}{
		{Choice{}, []string{"execute_plan", "pause_queue", "check_health"}, nil},
		{Choice{Toolsets: []string{"minimal"}}, Minimal, map[string]string{"get_state": ByToolsets, "pause_queue": ByToolsets}},
		{Choice{Toolsets: []string{"agent"}}, []string{"set_state", "get_queue_status", "check_health"}, map[string]string{"pause_queue": ByToolsets}},
		{Choice{Toolsets: []string{"ALL"}}, []string{"set_state", "pause_queue"}, nil},
		{Choice{Toolsets: []string{"State", "session"}}, []string{"set_state", "get_session"}, map[string]string{"execute_plan": ByToolsets}},
		{Choice{Tools: []string{"get_state"}}, []string{"get_state"}, map[string]string{"set_state": ByTools, "execute_plan": ByTools}},
		{Choice{Toolsets: []string{"minimal"}, Tools: []string{"get_state"}}, []string{"get_state", "execute_plan"}, map[string]string{"set_state": ByToolsets}},
		{Choice{Toolsets: []string{"state"}, Exclude: []string{"set_state"}}, []string{"get_state"}, map[string]string{"set_state": ByExclude}},
		{Choice{Tools: []string{"set_state"}, Exclude: []string{"set_state"}}, nil, map[string]string{"set_state": ByExclude}},
		{Choice{ReadOnly: true, Tools: []string{"set_state", "get_state"}}, []string{"get_state"}, map[string]string{"set_state": ByReadOnly, "list_states": ByTools}},
		{Choice{ReadOnly: true}, []string{"validate_plan", "get_node_output"}, map[string]string{"execute_plan": ByReadOnly, "invoke_capability": ByReadOnly}},
	} {
		methods := tt.choice.Of(All())
		for _, name := range tt.has {
			if !slices.ContainsFunc(methods, func(m Method) bool { return m.Name == name }) {
				t.Errorf("%+v lacks %s", tt.choice, name)
			}
		}
		for _, m := range All() {
			rule, left := tt.without[m.Name]
			if got := tt.choice.LeftOutBy(&m); left && got != rule {
				t.Errorf("%+v: %s is left out by %q, want %q", tt.choice, m.Name, got, rule)
			}
		}
	}
}

func TestChoicesOfPublishedWorkflows(t *testing.T) {
	reads, acts := Method{Contract: WorkflowContract, Name: "workflow_look", Effect: Reads}, Method{Contract: WorkflowContract, Name: "workflow_pay", Effect: Acts}
	for _, tt := range []struct {
		choice          Choice
		look, pay, some bool
	}{
		{Choice{}, true, true, true},
		{Choice{Toolsets: []string{"agent"}}, true, true, true},
		{Choice{Toolsets: []string{"workflow"}, ReadOnly: true}, true, false, true},
		{Choice{Toolsets: []string{"minimal"}}, false, false, false},
		{Choice{Toolsets: []string{"minimal"}, Tools: []string{"workflow_pay"}}, false, true, true},
		{Choice{Tools: []string{"execute_workflow"}}, false, false, false},
		{Choice{Exclude: []string{"workflow_pay", "execute_workflow"}}, true, false, true},
		{Choice{Tools: []string{"workflow_pay"}, Exclude: []string{"workflow_pay"}}, false, false, false},
	} {
		look, pay := tt.choice.LeftOutBy(&reads) == "", tt.choice.LeftOutBy(&acts) == ""
		if some := tt.choice.Publishes(); look != tt.look || pay != tt.pay || some != tt.some {
			t.Errorf("%+v: look %v, pay %v, publishes %v; want %v, %v, %v", tt.choice, look, pay, some, tt.look, tt.pay, tt.some)
		}
	}
}

func TestNamesOfChoicesAreChecked(t *testing.T) {
	for _, tt := range []struct {
		check func([]string) error
		names string
		near  string // empty: accepted
	}{
		{CheckToolsets, "", ""}, {CheckToolsets, "minimal, Agent,ALL ,, State", ""}, {CheckToolsets, "minmal", "minimal"}, {CheckToolsets, "state,worklow", "workflow"},
		{CheckTools, "get_state, workflow_x", ""}, {CheckTools, "get_stat", "get_state"}, {CheckTools, "execute_plan,exec_plan", "execute_plan"},
	} {
		err := tt.check(SplitNames(tt.names))
		e, _ := errors.AsType[*schemas.Error](err)
		switch {
		case tt.near == "" && err == nil:
		case e == nil || len(e.Candidates) == 0 || e.Candidates[0] != tt.near || !strings.Contains(e.Message, tt.near) || e.Code != schemas.CodeInvalidArgument:
			t.Errorf("%q: %v, want one that names %q", tt.names, err, tt.near)
		}
	}
	if e := schemas.AsError(CheckToolsets([]string{"zzz"})); !strings.Contains(e.Hint, "minimal") {
		t.Errorf("a name near to none: %v", e)
	}
}

func TestToolsetsAreMinimalAgentAllAndTheContracts(t *testing.T) {
	want := []string{setMinimal, setAgent, setAll}
	for _, m := range All() {
		if contract := strings.ToLower(m.Contract); !slices.Contains(want, contract) {
			want = append(want, contract)
		}
	}
	if got := Toolsets(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
