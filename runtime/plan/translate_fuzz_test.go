package plan

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
)

// FuzzForeign: any expression gives findings whose fixes can be applied, compile, and come to an end.
func FuzzForeign(f *testing.F) {
	for _, text := range []string{
		"${len(inputs.list)}", "${inputs.n ?? inputs.user?.name}", "${inputs.list.map((x, i) => x + i).filter(x => x > 1).length}",
		"${`a ${inputs.s} ${[1].map(x => `${x}`)}`}",
		"${f\"a {inputs.s}\"}", "${{ steps.order.outputs.id | upper }}",
		"${'a' if not inputs.n is None else [x.id for x in inputs.list if x > 1]}", "${$.nodes.order.result.items[?(@.n > 1)].id}",
		"${1 < len(inputs.s) <= 3 and 2 not in inputs.list}", "${inputs.list[-1] + inputs.list[1:2]}", "${nodes.open-node.output}",
		"x ${order.output.id} $${a} ${inputs.s.test(/a/)}", "${{a: 1, ...inputs.user}}",
		"${inputs.list.reduce((a, b) => a + b, 0)}", "${lambda x: x}", "${7 // 2}", "${[...inputs.list, 1]}",
		"${inputs.user.get('name', 'x') === undefined}", "${order_id}", "${nodes.many.output[0].x.length}",
		"{{ inputs.s }}", "$.nodes.order.output.id", "nodes.order.output.id", "%(s)s <% inputs.s %> {inputs.s} $s ${s}",
		"={{ $json.id }}", "${aAn(.Aputs%0) ", "${x[:order]} {x[order:]}", "${(/a/)} #{(/a/)}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) <= 2000 {
			fixesEnd(t, text)
		}
	})
}

// TestFixesOfAnyTokens: what is made of tokens of many languages at random gives findings whose fixes can be applied, compile, and come
// to an end.
func TestFixesOfAnyTokens(t *testing.T) {
	words := strings.Fields("inputs.list inputs.s inputs.n inputs.user nodes.order.output order.output steps.order.outputs nodes.order.result item order_id 1 'a' \"b\" " +
		"`c${inputs.s}` f'd{inputs.n}' true True None undefined /e/ x len( size( max( str( JSON.stringify( .map(x=> .filter( .includes( .length .get('k') ?.name ?? [ ] ( ) ) ) { } " +
		"[-1] [1:2] [*] [?(@.a>1)] and or not && || ! == === != < > <= in is = + - * ** / // % ? : , => lambda if else for ... | upper default( {{ }} $ $.inputs $json @ .output.id .? ; await")
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range 1 + random.IntN(9) {
			b.WriteString(words[random.IntN(len(words))])
			if random.IntN(3) > 0 {
				b.WriteByte(' ')
			}
		}
		fixesEnd(t, "${"+b.String()+"}")
	}
}

// fixesEnd checks a plan with a text in it, and applies its fixes until none is left.
func fixesEnd(t *testing.T, text string) {
	t.Helper()
	plan := foreignPlan(text)
	for round := 0; ; round++ {
		_, found := check(plan)
		fixes := 0
		for _, finding := range found {
			fixes += len(finding.Fix)
			for _, word := range parserWords {
				if strings.Contains(finding.Message, word) && !strings.Contains(text, word) {
					t.Fatalf("%q: %q is a word of the parser: %s", text, word, finding.Message)
				}
			}
		}
		if fixes == 0 {
			return
		}
		if round == 8 {
			t.Fatalf("%q: fixes without an end: %s", text, plan)
		}
		plan = applyFixes(t, plan, found)
		for _, finding := range found {
			var source string
			if len(finding.Fix) == 0 || json.Unmarshal(finding.Fix[0].Value, &source) != nil || !strings.Contains(finding.Message, ": write ") {
				continue
			}
			language := expr.NewEvaluator(expr.Limits{})
			template, bad := expr.NewText(source, language, expr.Limits{}.WithDefaults())
			if _, before := expr.NewText(text, language, expr.Limits{}.WithDefaults()); len(bad) > len(before) {
				t.Fatalf("%q: the fix %q cannot be read: %v", text, source, bad)
			}
			if len(bad) > 0 {
				continue
			}
			for h := range template.Placeholders() {
				if _, faults := language.Check(h.Text); !h.Plain && len(faults) > 0 && strings.Count(source, "${") == 1 {
					t.Fatalf("%q: the fix %q does not compile: %v", text, source, faults)
				}
			}
		}
	}
}
