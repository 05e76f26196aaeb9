package plan

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
)

func TestReferenceIsShortAndTrue(t *testing.T) {
	if len(Reference) > 4096 {
		t.Errorf("%d bytes, want at most 4,096", len(Reference))
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(Reference, -1)
	if len(examples) == 0 {
		t.Fatal("no example")
	}
	for _, e := range examples {
		if prog, found := check([]byte(e[1])); prog == nil || len(found) > 0 {
			t.Errorf("%s\n%+v", e[1], found)
		}
	}
	// each kind's line is a node as it stands
	line := regexp.MustCompile("(?m)^- `([a-z_]+): ([^`]*)`")
	var kinds []string
	for _, k := range line.FindAllStringSubmatch(Reference, -1) {
		kinds = append(kinds, k[1])
		value := strings.NewReplacer("realm.name", "mail.send", "<value>", "1", "{inputs, nodes, output}", "{inputs: {}, nodes: [{id: a, set: 1}], output: 1}").Replace(k[2])
		node := "plan: v1\nnodes: [{id: a, " + k[1] + ": " + value + "}]"
		if prog, found := check([]byte(node)); prog == nil || len(found) > 0 {
			t.Errorf("%s\n%+v", node, found)
		}
	}
	state := regexp.MustCompile("(?m)^  `({state: [^`]*)`").FindStringSubmatch(Reference)
	if state == nil {
		t.Fatal("it does not show how to wait for a state")
	}
	if prog, found := check([]byte("plan: v1\nnodes: [{id: a, wait_for: " + state[1] + "}]")); prog == nil || len(found) > 0 {
		t.Errorf("%s\n%+v", state[1], found)
	}
	if !slices.Equal(kinds, kindNames) {
		t.Errorf("kinds %v, want %v", kinds, kindNames)
	}
	for _, word := range slices.Concat(triggerRules, onErrors, onUnknowns, []string{"for_each", "repeat", "until", "collect", "previous", "max_items", "min_success", "verify"}) {
		if !strings.Contains(Reference, word) {
			t.Errorf("it does not name %s", word)
		}
	}
	for _, expression := range []string{"has(a.b) ? a.b : 0", "l.map(x, x.id)", "l.filter(x, x.n > 1)", "size(l)", "l[0]"} {
		if !strings.Contains(Reference, expression) {
			t.Errorf("it lacks %s", expression)
		}
		in := strings.NewReplacer("a.b", "inputs.a.b", "size(l)", "size(inputs.l)").Replace(expression)
		if strings.HasPrefix(in, "l") {
			in = "inputs." + in
		}
		lim := Limits{}.Limits
		template, bad := expr.NewText("${"+in+"}", expr.NewEvaluator(lim), lim.WithDefaults())
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		if out, err := template.Render(t.Context(), fixed{inputs: expr.NewValue([]byte(`{"a":{"b":1},"l":[{"id":1,"n":2}]}`))}, lim); err != nil {
			t.Errorf("%s: %s, %v", in, out, err)
		}
	}
}

// TestSamplePlansAreWellFormed reads the plans of the documentation and the scripts; their tools live elsewhere.
func TestSamplePlansAreWellFormed(t *testing.T) {
	files, err := filepath.Glob("../../testdata/plans/*.*")
	if err != nil || len(files) == 0 {
		t.Fatal("no plans")
	}
	for _, name := range files {
		if filepath.Base(name) == "refused.yaml" {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if p, found := Parse(context.Background(), source, Limits{}); p == nil || len(errorsIn(found)) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestCardIsShortAndTrue(t *testing.T) {
	if len(Card) > MaxCard {
		t.Errorf("%d bytes, want at most %d", len(Card), MaxCard)
	}
	for _, word := range slices.Concat(kindNames, onErrors, []string{"for_each", "repeat", "when", "retry", "fallback", "compensate", "safety_level", "depends_on"}) {
		if !strings.Contains(Card, word) {
			t.Errorf("it does not name %s", word)
		}
	}
	_, forms, _ := strings.Cut(Card, "\nCEL: ")
	forms, _, _ = strings.Cut(forms, "\n")
	_, forms, _ = strings.Cut(forms, "has(a.b), ")
	values := strings.NewReplacer("a.?b", "inputs.a.?b", "size(l)", "size(inputs.l)", "string(v)", "string(inputs.v)", "int(v)", "int(inputs.v)")
	lim := Limits{}.Limits
	for _, form := range regexp.MustCompile(`(?:[^,("]|\([^)]*\)|"[^"]*")+`).FindAllString(strings.TrimSuffix(forms, "."), -1) {
		in := values.Replace(strings.TrimSpace(form))
		if strings.HasPrefix(in, "l.") || strings.HasPrefix(in, "l[") || strings.HasPrefix(in, "s.") {
			in = "inputs." + in
		}
		in = strings.Replace(in, "l.join", "names.join", 1)
		if strings.HasSuffix(in, "l.sum()") {
			in = strings.Replace(in, "inputs.l", "inputs.l.map(x, x.n)", 1)
		}
		template, bad := expr.NewText("${"+in+"}", expr.NewEvaluator(lim), lim.WithDefaults())
		if len(bad) > 0 {
			t.Errorf("%s: %v", form, bad)
			continue
		}
		given := fixed{inputs: expr.NewValue([]byte(`{"a":{"b":1},"l":[{"id":1,"n":2}],"names":["x"],"s":"a,b","v":7}`))}
		if out, err := template.Render(t.Context(), given, lim); err != nil {
			t.Errorf("%s: %s, %v", in, out, err)
		}
	}
}
