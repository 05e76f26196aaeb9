package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestShapesOfOtherLanguages walks plans of two nodes in the shapes of other languages; each means that b depends on a.
func TestShapesOfOtherLanguages(t *testing.T) {
	const a, b = `"capability":"git.commit","inputs":{"message":"m"}`, `"capability":"jobs.start","inputs":{"kind":"k"}`
	w := foreignWorld(t)
	want, says, _ := mended(t, []byte(`{"plan":"v1","nodes":[{"id":"a",`+a+`},{"id":"b","depends_on":["a"],`+b+`}]}`), w)
	if want == nil {
		t.Fatal(says)
	}
	for _, plan := range []string{
		`{"nodes":[{"id":"a",A},{"id":"b","depends_on":"a;",B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b","depends_on":["{{ a }}"],B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b","depends_on":["${{ steps.a.outputs }}"],B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b","depends_on":[{"node":"a"}],B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b","runAfter":["tasks.a"],B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b","requires":[{"id":"a"}],B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b","after":"nodes.a",B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b","upstream":"a",B}]}`,
		`{"nodes":[{"id":"a","next":"b",A},{"id":"b",B}]}`,
		`{"nodes":[{"id":"a","then":["b"],A},{"id":"b",B}]}`,
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"edges":[["a","b"]]}`,
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"edges":["a -> b"]}`,
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"edges":[{"source":"a","target":"b"}]}`,
		`{"nodes":[{"a":{A}},{"b":{"needs":["a"],B}}]}`,
		`{"nodes":{"a":{A},"b":{"needs":"a",B}}}`,
		`{"jobs":{"a":{A},"b":{"needs":["a"],B}}}`,
		`{"tasks":[{"task_id":"a",A},{"task_id":"b","dependencies":["a"],B}]}`,
		`{"steps":[{"step_id":"a",A},{"stepId":"b","dependsOn":["a"],B}]}`,
		`{"actions":[{"name":"a",A},{"name":"b","after":["a"],B}]}`,
		`{"tool_calls":[{"id":"a",A},{"id":"b","depends_on":["a"],B}]}`,
		`{"dag":{"nodes":[{"id":"a",A},{"id":"b","depends_on":["a"],B}]}}`,
		`{"version":1,"id":"x","tasks":[{"id":"a","type":"git.commit","inputs":{"message":"m"}},{"id":"b","depends_on":["a"],"type":"jobs.start","inputs":{"kind":"k"}}]}`,
		`{"nodes":[{"id":"A",A},{"id":"B","depends_on":["A"],B}]}`,
		`{"nodes":[{"id":"a","git.commit":{"message":"m"}},{"id":"b","depends_on":["a"],"jobs.start":{"kind":"k"}}]}`,
		`{"nodes":[{"id":"a","enabled":true,"parallel":true,"label":"x",A},{"id":"b","depends_on":["a"],"disabled":false,B}],"mode":"dag","stream":false}`,
	} {
		p, says, warns := mended(t, []byte(strings.NewReplacer("A}", a+"}", "B}", b+"}").Replace(plan)), w)
		if p == nil {
			t.Errorf("%s\nis refused: %s", plan, says)
			continue
		}
		if diff := cmp.Diff(meaningOf(want), meaningOf(p)); diff != "" {
			t.Errorf("%s\nmeans something else:\n%s", plan, diff)
		}
		if says+warns == "" {
			t.Errorf("%s\nis taken in silence", plan)
		}
	}
}

// TestShapesThatAreNotCertain walks shapes that no rewrite says, or several do: each is refused with what to write.
func TestShapesThatAreNotCertain(t *testing.T) {
	const a, b = `"capability":"git.commit","inputs":{"message":"m"}`, `"capability":"jobs.start","inputs":{"kind":"k"}`
	w := foreignWorld(t)
	for plan, say := range map[string]string{
		`{"nodes":[{"id":"a",A},{"id":"a",B}]}`:                                                  "unique",
		`{"nodes":[{"id":"a",A},{"id":"a",B},{"id":"c","set":"${nodes.a.output}"}]}`:             "the one that is meant",
		`{"nodes":[{A},{"id":"b",B}]}`:                                                           "has no id",
		`{"nodes":[{"id":1,A},{"id":"b","depends_on":["1"],B}]}`:                                 "begins with a lower-case letter",
		`{"nodes":[{"id":[],A},{"id":"b",B}]}`:                                                   "string",
		`{"nodes":[[{"id":"a",A}],{"id":"b",B}]}`:                                                "without lists in it",
		`{"nodes":["a",{"id":"b",B}]}`:                                                           "must be an object",
		`{"nodes":[{"id":"a","depends_on":["b"],A},{"id":"b","depends_on":["a"],B}]}`:            "cycle",
		`{"nodes":[{"id":"a","next":"b",A},{"id":"b","next":"a",B}]}`:                            "repeat",
		`{"nodes":[{"id":"a",A},{"id":"b","depends_on":"a || c",B}]}`:                            "depends_on",
		`{"nodes":[{"id":"a",A},{"id":"b","depends_on":{"a":"failed"},B}]}`:                      "trigger_rule",
		`{"nodes":[{"id":"a",A},{"id":"b","depends_on":["c"],B}]}`:                               "does not exist",
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"edges":[{"from":"a","to":"b","when":"${true}"}]}`: "when",
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"execution_mode":"sequential"}`:                    "depends_on",
		`{"nodes":[{"id":"a",A},{"id":"b","items":["x"],B}]}`:                                    "for_each",
		`{"nodes":[{"id":"a",A},{"id":"b","always_run":true,B}]}`:                                "all_done",
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"on_exit":"b"}`:                                    "all_done",
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"require_approval":true}`:                          "safety_level",
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"interrupt_before":["c"]}`:                         "safety_level",
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"atomic":true}`:                                    "compensate",
		`{"nodes":[{"id":"a",A},{"id":"b",B}],"read_only":true}`:                                 "operator",
		`{"nodes":[{"id":"a","when":["${true}"],A},{"id":"b",B}]}`:                               "&&",
		`{"nodes":[{"id":"a","skip":true,A},{"id":"b",B}]}`:                                      "leave a node out",
		`{"nodes":[{"id":"a","retry":true,A},{"id":"b",B}]}`:                                     "max_attempts",
		`{"nodes":[{"id":"a","timeout_ms":"5s",A},{"id":"b",B}]}`:                                "timeout",
		`{"nodes":[{"id":"a","timeout":"-5s",A},{"id":"b",B}]}`:                                  "timeout",
		`{"nodes":[{"id":"a","timeout":"0s",A},{"id":"b",B}]}`:                                   "longer than 0",
		`{"nodes":[{"id":"a","on_error":{"goto":"b"},A},{"id":"b",B}]}`:                          "fallback",
		`{"nodes":[{"id":"a","wait_for":"10m"},{"id":"b",B}]}`:                                   "write wait",
		`{"nodes":[{"id":"a","compute":"1 + 1"},{"id":"b",B}]}`:                                  "set",
		`{"nodes":[{"id":"a","type":"if","condition":"${true}"},{"id":"b",B}]}`:                  "when",
		`{"nodes":[{"id":"a","cache":"1h",A},{"id":"b",B}]}`:                                     "cache_ttl",
	} {
		p, says, _ := mended(t, []byte(strings.NewReplacer("A}", a+"}", "B}", b+"}").Replace(plan)), w)
		if p != nil || !strings.Contains(says, say) {
			t.Errorf("%s\nvalid %v: %q, want %q", plan, p != nil, says, say)
		}
	}
}

// TestArrowsThatSayMore: an edge that may carry a condition, and a loop that is drawn as an edge, are refused; an edge that says no more
// than its ends is taken.
func TestArrowsThatSayMore(t *testing.T) {
	for rest, say := range map[string]string{
		`"label": "yes"`: "when", `"label": "no"`: "when", `"label": "paid"`: "when", `"label": "default"`: "when", `"label": "if paid"`: "when",
		`"label": "total > 5"`: "when", `"label": ["yes"]`: "when", `"label": true`: "when", `"type": "failure"`: "one_failed", `"type": "conditional"`: "when",
		`"type": "success"`: "when", `"sourceHandle": "true"`: "when", `"outcome": "ok"`: "when", `"weight": 2`: "depends_on",
		`"label": ""`: "", `"label": null`: "", `"label": "then"`: "", `"label": "depends on"`: "", `"type": "smoothstep"`: "", `"type": "default"`: "",
	} {
		for _, field := range []string{"edges", "connections", "links"} {
			plan := []byte(`{"plan": "v1", "nodes": [{"id": "a", "set": 1}, {"id": "b", "set": 2}], "` + field + `": [{"from": "a", "to": "b", ` + rest + `}]}`)
			_, found := check(plan)
			_, left := check(applyFixes(t, plan, found))
			if valid := len(errorsIn(left)) == 0; valid != (say == "") || !valid && !strings.Contains(fmt.Sprint(left), say) {
				t.Errorf("%s: valid %v, want a finding with %q: %+v", plan, valid, say, left)
			}
		}
	}
	for _, loop := range []string{
		`[{"id": "start", "set": 1}, {"id": "b", "set": 2, "next": "b"}]`, `[{"id": "start", "set": 1}, {"id": "b", "set": 2, "then": ["start", "b"]}]`,
		`[{"id": "start", "set": 1}, {"id": "b", "set": 2}], "edges": [["start", "b"], ["b", "b"]]`, `[{"id": "b", "set": 2}], "edges": ["b -> b"]`,
		`{"b": {"set": 2, "on_success": "b"}}`, `[{"id": "b", "set": 2}], "links": [{"source": "b", "target": "b"}]`,
	} {
		plan := []byte(`{"plan": "v1", "nodes": ` + loop + `}`)
		_, found := check(plan)
		_, left := check(applyFixes(t, plan, found))
		if len(errorsIn(left)) == 0 || !strings.Contains(fmt.Sprint(left), "no node runs twice") {
			t.Errorf("%s: the loop is gone: %+v", plan, left)
		}
	}
}

// TestHandlersAmongNodes: a key among nodes that says when its call is made is no id of a node.
func TestHandlersAmongNodes(t *testing.T) {
	const call = `{"capability": "shop.charge", "inputs": {"order": "A-17", "cents": 9}`
	for _, rows := range [][]struct{ names, say string }{handlerWords, orderedWords} {
		for _, row := range rows {
			for _, key := range append(strings.Fields(row.names), "onFailure", "Finally") {
				for _, nodes := range []string{`[{"id": "a", "set": 1}, {"KEY": CALL}}]`, `{"a": {"set": 1}, "KEY": CALL}}`, `{"a": {"set": 1, "next": "KEY"}, "KEY": CALL}}`,
					`[{"id": "a", "set": 1}, {"KEY": {"id": "b", "set": 1}}]`} {
					plan := []byte(`{"plan": "v1", "nodes": ` + strings.NewReplacer("KEY", key, "CALL}", call+"}").Replace(nodes) + `}`)
					_, found := check(plan)
					_, left := check(applyFixes(t, plan, found))
					if len(errorsIn(left)) == 0 || !strings.Contains(fmt.Sprint(left), "may say when") {
						t.Errorf("%s is taken: %+v", plan, left)
					}
				}
			}
		}
	}
	for _, nodes := range []string{
		`[{"a": {"set": 1}}, {"order": CALL}}]`, `[{"a": {"set": 1}}, {"undo": CALL}}, {"b": {"set": 1, "depends_on": ["undo"]}}]`,
		`[{"a": {"set": 1}}, {"cleanup": CALL, "depends_on": ["a"]}}]`, `{"a": {"set": 1}, "cleanup": CALL, "needs": "a"}}`, `[{"id": "rollback", "set": 1}]`,
	} {
		plan := []byte(`{"plan": "v1", "nodes": ` + strings.ReplaceAll(nodes, "CALL}", call+"}") + `}`)
		plan = []byte(strings.ReplaceAll(string(plan), "CALL", call))
		var prog *Program
		for range 3 {
			p, found := check(plan)
			prog, plan = p, applyFixes(t, plan, found)
		}
		if _, found := check(plan); prog == nil || len(errorsIn(found)) > 0 {
			t.Errorf("%s is refused: %+v", plan, found)
		}
	}
}
