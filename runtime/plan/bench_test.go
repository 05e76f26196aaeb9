package plan

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
)

// benchPlan is a chain of n nodes that pass values on by plain paths; every tenth has a condition.
func benchPlan(n int, distinct bool) []byte {
	var b strings.Builder
	b.WriteString(`{"plan":"v1","inputs":{"order_id":"A-17"},"nodes":[`)
	for i := range n {
		if i == 0 {
			b.WriteString(`{"id":"n0","capability":"shop.get_order","inputs":{"id":"${inputs.order_id}"}}`)
			continue
		}
		when := ""
		if i%10 == 0 || distinct {
			when = fmt.Sprintf(`"when":"${nodes.n%d.output.total > %d}",`, i-1, i%3)
		}
		fmt.Fprintf(&b, `,{"id":"n%d","capability":"shop.get_order",%s"inputs":{"id":"${nodes.n%d.output.id}","depth":3}}`, i, when, i-1)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkParse1000(b *testing.B) {
	source := benchPlan(1000, false)
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		if p, _ := Parse(context.Background(), source, Limits{}); p == nil {
			b.Fatal("no plan")
		}
	}
}

func BenchmarkCompile1000(b *testing.B) {
	for name, distinct := range map[string]bool{"PlainPaths": false, "ConditionEverywhere": true} {
		b.Run(name, func(b *testing.B) {
			p, _ := Parse(context.Background(), benchPlan(1000, distinct), Limits{})
			w := sampleWorld()
			expr.NewEvaluator(expr.Limits{}).Check("1")
			for b.Loop() {
				if prog, found := Compile(context.Background(), p, w, Limits{}); prog == nil {
					b.Fatal(found)
				}
			}
		})
	}
}

func BenchmarkLoad1000(b *testing.B) {
	p, _ := Parse(context.Background(), benchPlan(1000, true), Limits{})
	prog, found := Compile(context.Background(), p, sampleWorld(), Limits{})
	if prog == nil {
		b.Fatal(found)
	}
	for b.Loop() {
		if _, err := Load(prog.Definition); err != nil {
			b.Fatal(err)
		}
	}
}
