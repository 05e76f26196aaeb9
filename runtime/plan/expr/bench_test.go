package expr

import (
	"encoding/json"
	"strings"
	"testing"
)

func BenchmarkRender(b *testing.B) {
	big := NewValue(json.RawMessage(`{"items":[` + strings.Repeat(`{"sku":"x","n":1},`, 5000) + `{"sku":"y","n":2}]}`))
	for _, bm := range []struct{ name, template string }{
		{"Paths", `{"id":"${inputs.order_id}","n":"${nodes.a.output.n}"}`},
		{"Text", `{"text":"Refund ${inputs.order_id}: ${nodes.a.output.n}"}`},
		{"WholeOutput", `{"all":"${nodes.big.output}"}`},
		{"CEL", `{"ok":"${nodes.a.output.n > 3 && inputs.order_id != ''}"}`},
		{"CELMap", `{"skus":"${nodes.a.output.items.map(x, x.sku)}"}`},
		{"CELFilter5000", `{"n":"${size(nodes.big.output.items.filter(x, x.n > 1))}"}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			lim := Limits{}.WithDefaults()
			template, bad := NewTemplate(json.RawMessage(bm.template), NewEvaluator(lim), lim)
			if len(bad) > 0 {
				b.Fatal(bad)
			}
			s := sampleScope()
			s.nodes["big"] = NodeValue{Output: big}
			if _, err := template.Render(b.Context(), s, lim); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := template.Render(b.Context(), s, lim); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
