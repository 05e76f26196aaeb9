package plan

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTakesEveryForm(t *testing.T) {
	const canonical = `{"plan":"v1","name":"x","inputs":{"big":9007199254740993,"z":1,"a":1.50},"nodes":[{"id":"a","set":{"text":"line one\nline two\n","no":"no","on":"on"}}]}`
	text, _ := json.Marshal(canonical)
	yaml := "plan: v1\nname: x\ninputs: {big: 9007199254740993, z: 1, a: 1.50}\nnodes:\n  - id: a\n    set:\n      text: |\n        line one\n        line two\n      no: no\n      on: on\n"
	yamlText, _ := json.Marshal(yaml)
	anchors := "plan: v1\nname: x\ninputs: {big: 9007199254740993, z: 1, a: 1.50}\nnodes:\n  - id: a\n    set:\n      text: \"line one\\nline two\\n\"\n      <<: {no: &no no, text: never}\n      on: \"on\"\n"
	for name, source := range map[string]string{
		"JSON": canonical, "JSON in text": string(text), "YAML": yaml, "YAML in text": string(yamlText),
		"flow YAML": "{plan: v1, name: x, inputs: {big: 9007199254740993, z: 1, a: 1.50}, nodes: [{id: a, set: {text: \"line one\\nline two\\n\", no: no, on: on}}]}",
		"BOM":       "\xef\xbb\xbf" + canonical, "merge key": anchors, "with comments": "# a plan\n---\n" + yaml,
	} {
		t.Run(name, func(t *testing.T) {
			p, found := Parse(context.Background(), []byte(source), Limits{})
			if p == nil || len(found) > 0 {
				t.Fatalf("findings %+v", found)
			}
			got, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(canonical, string(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestSyntaxErrorsSayWhere(t *testing.T) {
	for source, want := range map[string]string{
		"{\"plan\": \"v1\",\n  \"nodes\": [1,, 2]}":   "line 2, column 15",
		"{\"ä\": \"ö\", x}":                           "line 1, column 12",
		"plan: v1\nnodes:\n  - id: a\n   set: 1\n":    "line 4",
		"plan: v1\nnodes: [{id: a, set: *nowhere}]\n": "line 2, column 22",
		"plan: v1\nname: a\nname: b\n":                "line 3, column 1",
	} {
		_, found := Parse(context.Background(), []byte(source), Limits{})
		if len(found) != 1 || !strings.HasPrefix(found[0].Message, want) {
			t.Errorf("%q: got %+v, want one at %s", source, found, want)
		}
	}
}
