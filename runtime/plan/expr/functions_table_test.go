package expr

import (
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/document"
)

// What is shown of the functions is what there is, and each sample gives what is said.
func TestFunctionRowsAreTheEnvironment(t *testing.T) {
	described := DescribeFunctions()
	var shown []string
	for _, f := range Functions() {
		shown = append(shown, f.Names...)
		if got, err := render(t, document.Quote("${"+f.Sample+"}"), functionScope(), Limits{}); err != nil || got != f.Gives {
			t.Errorf("%s: %s gives %s, %v, want %s", f.Names, f.Sample, got, err, f.Gives)
		}
		if !slices.ContainsFunc(f.Names, func(name string) bool { return strings.Contains(f.Sample, name) }) || !strings.Contains(f.Form, f.Names[0]) {
			t.Errorf("%s: the form %q or the sample %q does not show it", f.Names, f.Form, f.Sample)
		}
		for _, name := range f.Names {
			if !strings.Contains(described, name[strings.LastIndexByte(name, '.')+1:]) {
				t.Errorf("%s is not described", name)
			}
		}
		if !strings.Contains(described, "`"+f.Form+"`") {
			t.Errorf("%s is not described", f.Form)
		}
	}
	if forms := FunctionForms(); !strings.Contains(forms, "l.groupBy(x, key)") || len(forms) > 1700 {
		t.Errorf("%d bytes: %s", len(forms), forms)
	}
	slices.Sort(shown)
	if twice := slices.Compact(slices.Clone(shown)); len(twice) != len(shown) {
		t.Errorf("a name stands in two rows: %v", shown)
	}
	var there []string
	for _, name := range celNames() {
		if !strings.HasPrefix(name, "_") {
			there = append(there, name)
		}
	}
	if !slices.Equal(shown, there) {
		t.Errorf("shown %v\nthere %v", shown, there)
	}
}
