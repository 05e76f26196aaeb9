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

// TestBriefSaysEachKindOnce: findings of one kind are one, with their paths; those whose fixes stand apart stay apart, because their order counts.
func TestBriefSaysEachKindOnce(t *testing.T) {
	one := func(severity schemas.Severity, path, message string, fix ...schemas.PatchOp) schemas.Finding {
		return schemas.Finding{Severity: severity, Code: "c", Path: path, Message: message, Fix: fix}
	}
	got := Brief([]schemas.Finding{
		one("error", "/nodes/0", `no field "a" in 3`), one("warning", "/nodes/0", `no field "a" in 3`), one("error", "/nodes/1", `no field "b" in 14`),
		one("error", "/x", "write ${a}", opRemove("/x")), one("error", "/y", "write ${b}", opRemove("/y")), one("error", "/z", "other", opRemove("/z")),
		one("error", "/w", "write ${c}", opRemove("/w")), one("error", "/nodes/2", "no field `c` in 1"),
	})
	var paths []string
	var fixes []string
	for _, f := range got {
		paths = append(paths, strings.Join(append([]string{f.Path}, f.Paths...), " "))
		for _, op := range f.Fix {
			fixes = append(fixes, op.Path)
		}
	}
	if want := []string{"/nodes/0 /nodes/1 /nodes/2", "/nodes/0", "/x /y", "/z", "/w"}; !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q", paths, want)
	}
	if want := []string{"/x", "/y", "/z", "/w"}; !slices.Equal(fixes, want) {
		t.Errorf("the fixes are those of %q, want %q", fixes, want)
	}
}

// TestBriefFitsIntoItsBytes: whatever a plan has, its findings are bounded; errors go first, and no fix is given after one that is left out.
func TestBriefFitsIntoItsBytes(t *testing.T) {
	var nodes []string
	for i := range 200 {
		nodes = append(nodes, fmt.Sprintf(`{"id": "n%d", "capability": "shop.get_order", "inputs": {"id": "x", "word%s": 1}, "%s": true, "timeout": %d}`,
			i, strings.Repeat("a", i), strings.Repeat("b", 20+i), i))
	}
	source := []byte(`{"plan": "v1", "nodes": [` + strings.Join(nodes, ",") + `]}`)
	p, found := Parse(context.Background(), source, Limits{})
	_, more := Compile(context.Background(), p, sampleWorld(), Limits{})
	all := slices.Concat(found, more)
	brief := Brief(all)
	raw, err := json.Marshal(brief)
	if err != nil {
		t.Fatal(err)
	}
	if before, _ := json.Marshal(all); len(raw) > maxBrief || len(before) < 2*maxBrief {
		t.Errorf("%d bytes of %d, want at most %d", len(raw), len(before), maxBrief)
	}
	if len(errorsIn(brief)) == 0 {
		t.Error("no error is left")
	}
	applyFixes(t, source, brief)
}
