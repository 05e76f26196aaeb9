package expr

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// What a tool answers may be as large as it likes: an expression over it ends with an error that names the limit, and makes no more than
// the steps of its limit stand for.
func TestLargeAnswersEndWithinTheLimit(t *testing.T) {
	numbers := func(n int) string {
		b := []byte("[0")
		for i := 1; i < n; i++ {
			b = strconv.AppendInt(append(b, ','), int64(i), 10)
		}
		return string(append(b, ']'))
	}
	for name, tt := range map[string]struct {
		output     string
		expression []string
	}{
		"a million items": {numbers(1_000_000), []string{
			"nodes.a.output.reduce(t, x, 0, t + x)", "nodes.a.output.map(x, x + 1).sum()", "nodes.a.output.reduce(t, x, [], t + [x])", "nodes.a.output.uniqueBy(x, x)",
		}},
		"a hundred thousand keys": {numbers(100_000), []string{
			"nodes.a.output.groupBy(x, string(x))", "nodes.a.output.toMap(x, string(x), x)", "nodes.a.output.reduce(t, x, {}, t.merge({string(x): x}))",
		}},
		"a table of 50 MB": {document.Quote("a,b,c\n" + strings.Repeat("1,22,333\n", 50_000_000/9)), []string{"csv.decode(nodes.a.output)", "size(csv.decode(nodes.a.output))"}},
		"a text of 20 MB": {document.Quote(strings.Repeat("a b", 20_000_000/3)), []string{
			"regex.extractAll(nodes.a.output, 'a.*c|a')", "regex.extract(nodes.a.output, '(a| |b)*c')", "regex.replace(nodes.a.output, 'a', 'bb')", "url.encode(nodes.a.output)",
			"strings.upper(nodes.a.output)",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{nodes: map[string]NodeValue{"a": {Output: NewValue([]byte(tt.output))}}}
			if _, err := s.nodes["a"].Output.Decode(); err != nil {
				t.Fatal(err)
			}
			for _, expression := range tt.expression {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := render(t, document.Quote("${"+expression+"}"), s, Limits{})
				runtime.ReadMemStats(&after)
				if !errors.Is(err, &schemas.Error{Code: schemas.CodeExpressionError}) || !strings.Contains(err.Error(), "too many steps (limit 1000000)") {
					t.Errorf("%s: got %v", expression, err)
				}
				if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 200 {
					t.Errorf("%s: made %d MiB", expression, made)
				}
			}
		})
	}
}
