package plan

import (
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
