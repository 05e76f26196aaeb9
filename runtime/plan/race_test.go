package plan

import (
	"strings"
	"testing"
)

func TestRaces(t *testing.T) {
	const two = `{"id":"a","set":1},{"id":"b","set":2},`
	for _, tt := range []struct{ nodes, code, says, fixed string }{
		{two + `{"id":"c","depends_on":["a","b"],"trigger_rule":"one_success","cancel_others":true,"set":1}`, "", "", ""},
		{two + `{"id":"c","depends_on":["a","b"],"cancel_others":false,"set":1}`, "", "", ""},
		{two + `{"id":"c","depends_on":["a","b"],"cancel_others":true,"set":1}`, codeMisplacedField, "trigger_rule: one_success", ""},
		{two + `{"id":"c","depends_on":["a","b"],"trigger_rule":"all_done","cancel_others":true,"set":1}`, codeMisplacedField, "trigger_rule: one_success", ""},
		{two + `{"id":"c","depends_on":["a"],"trigger_rule":"one_success","cancel_others":true,"set":1}`, codeNoRace, "one dependency", ""},
		{two + `{"id":"c","depends_on":["a","b"],"trigger_rule":"one_success","cancel_others":true,"set":1},{"id":"d","depends_on":["b"],"set":1}`,
			codeNoRace, `"d" is then skipped`, ""},
		{two + `{"id":"c","depends_on":["a","b"],"trigger_rule":"one_success","cancel_others":"true","set":1}`, codeWrongType, "true or false", `"cancel_others":true`},
		{two + `{"id":"c","depends_on":["a","b"],"trigger_rule":"one_success","cancel_others":["b"],"set":1}`, codeWrongType, "true or false", ""},
		{two + `{"id":"c","depends_on":["a","b"],"trigger_rule":"any_success","cancelOthers":true,"set":1}`, "", "", `"trigger_rule":"one_success"`},
		{two + `{"id":"c","depends_on":["a","b"],"first_wins":true,"set":1}`, codeUnknownField, "cancel_others: true", ""},
	} {
		source := `{"plan":"v1","nodes":[` + tt.nodes + `]}`
		_, found := check([]byte(source))
		switch {
		case tt.fixed != "":
			text := []byte(source)
			for range 3 {
				text = applyFixes(t, text, found)
				_, found = check(text)
			}
			if len(found) > 0 || !strings.Contains(string(text), tt.fixed) {
				t.Errorf("%s: after all fixes %s: %+v", source, text, found)
			}
		case tt.code == "":
			if len(found) > 0 {
				t.Errorf("%s: %+v", source, found)
			}
		case len(found) != 1 || found[0].Code != tt.code || !strings.Contains(found[0].Message, tt.says):
			t.Errorf("%s: %+v, want %s, %q", source, found, tt.code, tt.says)
		}
	}
}
