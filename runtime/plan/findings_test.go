package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// Warnings, however many, do not refuse a plan, and take no place of an error.
func TestWarningsTakeNoPlaceOfAnError(t *testing.T) {
	var nodes strings.Builder
	for i := range 300 {
		fmt.Fprintf(&nodes, `{"id":"a%d","set":1,"needs":[]},`, i)
	}
	for _, tt := range []struct {
		last   string
		errors int
	}{{`{"id":"z","set":1}`, 0}, {`{"id":"z","sett":1}`, 1}} {
		p, found := Parse(context.Background(), []byte(`{"plan":"v1","nodes":[`+nodes.String()+tt.last+`]}`), Limits{MaxFindings: 10})
		errors := slices.DeleteFunc(slices.Clone(found), func(f schemas.Finding) bool { return f.Severity == schemas.SeverityWarning })
		if len(found) > 12 || len(errors) > 2 || (len(errors) > 0) != (tt.errors > 0) {
			t.Errorf("%s: %d findings, errors %+v", tt.last, len(found), errors)
		}
		if tt.errors == 0 && (p == nil || len(p.Nodes) != 301 || p.Nodes[299].ID == "") {
			t.Errorf("%s: the plan is not whole", tt.last)
		}
	}
}

// What the findings of a plan repeat of it is bounded, whatever is long there, and however often it is wrong.
func TestFindingsAreShort(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	list := "[" + strings.Repeat(`"a",`, 5_000) + `"a"]`
	for name, node := range map[string]string{

		"a name":                    `{"id":"a","set":1,"` + long + `":1}`,
		"an id":                     `{"id":"` + long + `","set":1}`,
		"a kind":                    `{"id":"a","` + long + `":{"` + long + `":1}}`,
		"a duration":                `{"id":"a","wait":"` + long + `"}`,
		"a timeout":                 `{"id":"a","set":1,"timeout":"` + long + `"}`,
		"a duration without a unit": `{"id":"a","set":1,"timeout":` + strings.Repeat("9", 300) + `}`,
		"a duration of many digits": `{"id":"a","wait":"PT` + strings.Repeat("9", 20_000) + `S"}`,
		"codes":                     `{"id":"a","capability":"r.c","retry":{"retry_on":["` + long + `"],"no_retry_on":` + list + `}}`,
		"a dependency":              `{"id":"a","set":1,"depends_on":["` + long + `"]}`,
		"a bare dependency":         `{"id":"a","set":1,"depends_on":"` + long + `"}`,
		"a capability":              `{"id":"a","capability":"` + long + `"}`,
		"a fallback":                `{"id":"a","capability":"r.c","fallback":` + list + `}`,
		"a rule":                    `{"id":"a","set":1,"trigger_rule":"` + long + `"}`,
		"an expression":             `{"id":"a","set":"${` + long + `"}`,
		"a node":                    `{"id":"a","set":"${nodes.` + long + `.output}"}`,
		"a root":                    `{"id":"a","set":"${` + long + `.a}"}`,
		"a workflow":                `{"id":"a","workflow":{"` + long + `":` + list + `}}`,
		"a variable":                `{"id":"a","for_each":{"items":[1],"as":"` + long + `"},"set":1}`,
	} {
		for _, times := range []int{1, 10} {
			nodes := strings.Repeat(node+",", times-1) + node
			p, found := Parse(context.Background(), []byte(`{"plan":"v1","nodes":[`+nodes+`]}`), DefaultLimits())
			if p != nil {
				_, more := Compile(context.Background(), p, sampleWorld(), DefaultLimits())
				found = append(found, more...)
			}
			b, err := json.Marshal(found)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 64<<10 {
				t.Errorf("%d × %s: the findings have %d bytes: %.300s", times, name, len(b), b)
			}
		}
	}
}

func TestFindingsAreCutOff(t *testing.T) {
	source := `{"plan":"v1","nodes":[` + strings.TrimSuffix(strings.Repeat(`{"x":1,"y":2},`, 500), ",") + `]}`
	_, found := Parse(context.Background(), []byte(source), Limits{MaxFindings: 10})
	if len(found) != 10 && len(found) != 11 {
		t.Errorf("got %d findings, want 10 and a last word", len(found))
	}
}
