package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestArgumentsInShort(t *testing.T) {
	for _, tt := range []struct{ schema, want string }{
		{`{"type":"object","properties":{"limit":{"type":"integer"},"id":{"type":"string"}},"required":["id"]}`, "(id*: string, limit: int)"},
		{`{"properties":{"a":{"type":["string","null"]},"b":{"type":"array","items":{"type":"number"}},"c":{},"d":{"enum":["x","y",3]},"e":{"type":"boolean"},"f":true}}`,
			"(a: string, b: number[], c: any, d: x|y|3, e: bool, f: any)"},
		{`{"properties":{"a":{"type":"array","items":{"type":"array","items":{"type":"array","items":{"type":"array","items":{"type":"array","items":{}}}}}}}}`, "(a: array[][][])"},
		{`{"properties":{"a\u0000\nb":{"type":"string"}}}`, "(a b: string)"},
		{`{"type":"object"}`, ""}, {`{"properties":7}`, ""}, {``, ""}, {`true`, ""},
	} {
		if got := ArgumentsOf(Object(tt.schema)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.schema, got, tt.want)
		}
	}
}

// Every result is within the bytes that it is to have, whatever it holds, says then where all of it is, and is unchanged where it has room.
func TestBriefResultsFit(t *testing.T) {
	texts := []string{strings.Repeat(`say "hi" `, 1000), strings.Repeat("ü\x00", 3000), strings.Repeat("x", 10_000)}
	for _, text := range texts {
		value := Value(mustEncode(t, text))
		object := Object(mustEncode(t, map[string]string{"a": text}))
		e := Errorf(CodeToolError, "%s", text).WithHint("%s", text).WithCandidates(slices.Repeat([]string{text}, 3))
		for range 100 {
			e.Findings = append(e.Findings, Finding{Severity: SeverityError, Code: "x", Message: text[:200]})
		}
		execution := Execution{ExecutionID: "01", Status: StatusFailed, Name: text[:200], Reason: text[:1000], Hint: text, Output: value, Error: e}
		metrics := ExecutionMetrics{ExecutionID: "01", NodeCounts: map[NodeStatus]int{NodeFailed: 1000}}
		explain := &Explain{Waves: [][]string{{}}}
		for i := range 1000 {
			id := fmt.Sprintf("node_%04d", i)
			if i < 5 {
				execution.WaitingFor = append(execution.WaitingFor, WaitingFor{NodeID: id, Question: text, Schema: object, Choices: []string{text, text}})
				execution.Nodes = append(execution.Nodes, NodeView{ID: id, Status: NodeHeld, Error: e, Notes: []string{text}}, NodeView{ID: id, Output: value, Items: &Items{Errors: []ItemError{{Error: e}}}})
			}
			execution.Nodes = append(execution.Nodes, NodeView{ID: id, Status: NodeFailed, Error: Errorf(CodeToolError, "%d", i%7)})
			metrics.Nodes = append(metrics.Nodes, NodeMetrics{ID: id, CallMS: float64(i)})
			explain.Waves[0], explain.CriticalPath = append(explain.Waves[0], id), append(explain.CriticalPath, id)
			explain.Waves = append(explain.Waves, []string{id})
			explain.Edges, explain.Reviews, explain.OnceNodes = append(explain.Edges, []string{id, id}), append(explain.Reviews, id), append(explain.OnceNodes, id)
		}
		info := WorkflowInfo{WorkflowRef: WorkflowRef{Name: "w"}, Description: text, Schedule: &ScheduleStatus{Schedule: Schedule{Inputs: object}, Next: make([]time.Time, 500), Last: make([]Firing, 500)}}
		checks := make([]Check, 500)
		for i := range checks {
			checks[i] = Check{Name: fmt.Sprint(i), Status: HealthOK, Message: text, Cure: text, Realm: &RealmHealth{Error: Errorf(CodeUnavailable, "x")}}
		}
		checks[499].Status = HealthDown
		for _, most := range []int{MaxAnswer, MaxAsked, 1000} {
			for name, brief := range map[string]any{
				"execution": execution.Brief(most), "state": State{StateKey: "k", StateData: value, Context: object}.Brief(most), "session": Session{Data: object, UserContext: object}.Brief(most),
				"workflow": info.Brief(most), "error": e.Brief(most), "event": Event{Node: "a", Output: value, Text: text, Data: value, Error: e, Reason: text, Notes: texts}.Brief(most),
			} {
				if n := Size(brief); n > most || n < 50 {
					t.Errorf("%s: %d of %d bytes", name, n, most)
				}
			}
			if most < MaxAnswer {
				continue
			}
			for name, brief := range map[string]any{
				"metrics": metrics.Brief(most), "validation": Validation{Valid: true, Findings: []Finding{}, Explain: explain}.Brief(most), "health": Health{Checks: checks}.Brief(most),
				"workflow's status": WorkflowStatus{WorkflowInfo: info, InputSchema: object, Versions: make([]int64, 9999), Latest: []Execution{execution, execution}}.Brief(most),
				"capability":        Capability{Realm: "r", CapabilityName: "c", Description: text, InputSchema: object, OutputSchema: object, Annotations: object, Warnings: texts}.Brief(most),
			} {
				if n := Size(brief); n > most || n < 200 {
					t.Errorf("%s: %d of %d bytes", name, n, most)
				}
			}
			if h := (Health{Checks: checks}).Brief(most); h.Checks[0].Name != "499" || h.More == nil {
				t.Errorf("what is down comes at %+v", h.Checks[0].Name)
			}
		}
		if short := execution.Brief(MaxAnswer); short.More == nil || short.OutputRef == nil || len(short.WaitingFor) == 0 || len(short.Nodes) == 0 {
			t.Errorf("%+v", short)
		}
	}
	small := Execution{ExecutionID: "01", Output: Value("7"), Nodes: []NodeView{{ID: "a"}}}
	if string(mustEncode(t, small.Brief(MaxAnswer))) != string(mustEncode(t, small)) {
		t.Error("a small execution is changed")
	}
	if x := (Validation{Explain: &Explain{Waves: [][]string{make([]string, 5000), {"a"}}, CriticalPath: []string{"a"}}}).Brief(MaxAnswer).Explain; len(x.Waves[0])+x.MoreIDs != 5001 {
		t.Errorf("%d ids are shown and %d left out", len(x.Waves[0]), x.MoreIDs)
	}
}

func mustEncode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	raw, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Nodes with the same error are one; those that ended in another way stay.
func TestSameErrorsStandOnce(t *testing.T) {
	e := Errorf(CodeToolError, "no such order")
	list := SameErrors([]NodeView{
		{ID: "a", Status: NodeFailed, Error: e}, {ID: "b", Status: NodeFailed, Error: Errorf(CodeToolError, "no such order")}, {ID: "c", Status: NodeHeld, Error: e},
		{ID: "d", Status: NodeFailed, Error: Errorf(CodeTimeout, "late")}, {ID: "e", Status: NodeFailed, Error: e}, {ID: "f", Status: NodeFailed, Error: e, Child: "x"}, {ID: "g"},
	})
	var got []string
	for _, n := range list {
		got = append(got, n.ID+strings.Join(n.SameError, ""))
	}
	if !slices.Equal(got, []string{"abe", "c", "d", "f", "g"}) {
		t.Errorf("got %q", got)
	}
}

func TestRefsNameWhatTheyAreMadeOf(t *testing.T) {
	for _, parts := range [][]string{{"state", "a/b", "ü %2F?#", "3"}, {"health"}, {"a", ""}} {
		if got := SplitRef(NewRef(1, parts...).Ref); !slices.Equal(got, parts) {
			t.Errorf("%q became %q", parts, got)
		}
	}
	if SplitRef("a/%zz") != nil {
		t.Error("a ref that is none was read")
	}
}

// Where there is no room for all nodes, those that need a person are shown, in their order, and more than a few of many that wait.
func TestBriefShowsWhatMatters(t *testing.T) {
	e := Execution{ExecutionID: "01", Status: StatusRunning}
	for i := range 302 {
		n := NodeView{ID: fmt.Sprintf("node_%03d", i), Status: NodeSucceeded, Capability: "realm.capability"}
		if i == 250 {
			n.Status = NodeHeld
		}
		if i == 301 {
			n.Status, n.Error = NodeFailed, Errorf(CodeToolError, "it broke")
		}
		e.Nodes = append(e.Nodes, n)
	}
	var special []string
	nodes := e.Brief(MaxAnswer).Nodes
	for i, n := range nodes {
		if n.Status != NodeSucceeded {
			special = append(special, n.ID)
		}
		if i > 0 && n.ID < nodes[i-1].ID {
			t.Errorf("%s after %s", n.ID, nodes[i-1].ID)
		}
	}
	if strings.Join(special, " ") != "node_250 node_301" || len(nodes) < 30 {
		t.Errorf("of %d nodes these are shown: %q", len(nodes), special)
	}
	waits := Execution{ExecutionID: "01", Status: StatusRunning}
	for i := range 60 {
		waits.WaitingFor = append(waits.WaitingFor, WaitingFor{NodeID: fmt.Sprintf("node_%02d", i), Reason: ReasonReview, ReviewID: "01/node", Question: strings.Repeat("is it good? ", 100)})
	}
	if n := len(waits.Brief(MaxAnswer).WaitingFor); n < 15 {
		t.Errorf("%d of 60 that wait are shown", n)
	}
}
