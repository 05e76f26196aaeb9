package plan

import (
	"testing"

	"github.com/runplane/runplane/schemas"
)

// A number that YAML would change keeps its text, and says so with a fix in quotes; one that JSON has too is that number, digit by digit.
func TestNumbersThatYAMLWouldChange(t *testing.T) {
	inputs := func(written string) (string, []schemas.Finding) {
		p, found := check([]byte("plan: v1\ninputs: {a: " + written + "}\nnodes: [{id: n, set: 1}]"))
		if p == nil {
			t.Fatalf("%s: %+v", written, found)
		}
		return string(p.Definition.Plan.Inputs), found
	}
	for _, written := range []string{"01234", "00", "-012", "+4912345678", "+1.5", "1_000", "0x1F", "0o17", "0b11"} {
		quoted := `"` + written + `"`
		got, found := inputs(written)
		if got != `{"a":`+quoted+`}` || len(found) != 1 || found[0].Code != codeYAMLNumber || found[0].Severity != schemas.SeverityWarning ||
			found[0].Path != "/inputs/a" || len(found[0].Fix) != 1 || string(found[0].Fix[0].Value) != quoted {
			t.Errorf("%s becomes %s, %+v", written, got, found)
		}
	}
	for written, want := range map[string]string{
		"1e3": "1e3", "1E3": "1E3", "12345678901234567890123": "12345678901234567890123", "1.10": "1.10", "0": "0", "-7": "-7", "~": "null", `"01234"`: `"01234"`,
		"089": `"089"`, "12:30:45": `"12:30:45"`, "2026-01-01": `"2026-01-01"`, "yes": `"yes"`,
	} {
		if got, found := inputs(written); got != `{"a":`+want+`}` || len(found) > 0 {
			t.Errorf("%s becomes %s, %+v, want %s", written, got, found, want)
		}
	}
}
