package expr

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
)

// written is how a value of each kind is written.
var written = map[types.Kind]string{
	types.StringKind: "'a'", types.BoolKind: "true", types.IntKind: "1", types.UintKind: "1u", types.DoubleKind: "1.5", types.ListKind: "['a']", types.MapKind: "{'a': 1}",
	types.TimestampKind: "timestamp('2030-01-01T00:00:00Z')", types.DurationKind: "duration('1s')", types.BytesKind: "b'a'",
}

// What a function is said not to take, it refuses when it runs: for each function, in each place, a value of each JSON type.
func TestFunctionsRefuseWhatTheyDoNotTake(t *testing.T) {
	s := &scope{inputs: NewValue([]byte(`{"string":"a","boolean":true,"number":1.5,"array":["a"],"object":{"a":1}}`))}
	tried := 0
	for name, f := range celEnvironment().Functions() {
		if strings.HasPrefix(name, "_") || strings.Contains(name, "@") {
			continue
		}
		for _, o := range f.OverloadDecls() {
			for k := range o.ArgTypes() {
				takes, some := takenBy(name, o.IsMemberFunction(), len(o.ArgTypes()), k)
				for _, given := range []string{"string", "boolean", "number", "array", "object"} {
					if !some || slices.Contains(takes, given) {
						continue
					}
					var args []string
					for j, kind := range o.ArgTypes() {
						switch text := written[kind.Kind()]; {
						case j == k:
							args = append(args, "inputs."+given)
						case text == "":
							args = append(args, "dyn(1)")
						default:
							args = append(args, text)
						}
					}
					text := name + "(" + strings.Join(args, ", ") + ")"
					if o.IsMemberFunction() {
						text = args[0] + "." + name + "(" + strings.Join(args[1:], ", ") + ")"
					}
					template, bad := NewText(fmt.Sprintf("${[%s].size()}", text), NewEvaluator(Limits{}), Limits{}.WithDefaults())
					if len(bad) > 0 {
						continue // it is refused before that
					}
					if out, err := template.Render(t.Context(), s, Limits{}.WithDefaults()); err == nil {
						t.Errorf("%s is said not to take %s, and gives %s", text, given, out)
					}
					tried++
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d calls were tried", tried)
	}
}
