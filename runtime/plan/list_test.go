package plan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// eachItem is a scope with an item and its index.
type eachItem struct {
	fixed
	item *expr.Value
}

func (s eachItem) Item() (*expr.Value, int, error) { return s.item, 2, nil }

func TestItemsHaveNamesOfTheirOwn(t *testing.T) {
	for _, tt := range []struct{ name, list, set, want string }{
		{"bare", `"${inputs.l}"`, `"${item.a} ${index}"`, `"1 2"`},
		{"items alone", `{items: "${inputs.l}"}`, `"${item.a + index}"`, `3`},
		{"plain", `{items: "${inputs.l}", as: order, index_as: n}`, `{a: "${order.a}", all: "${order}", n: "${n}"}`, `{"a":1,"all":{"a":1,"b":[3]},"n":2}`},
		{"expression", `{items: "${inputs.l}", as: order, index_as: n}`, `"${order.a + order.b[0] + n}"`, `6`},
		{"has", `{items: "${inputs.l}", as: order}`, `"${has(order.c) ? 1 : order.?a.orValue(2)}"`, `1`},
		{"a macro of the same name", `{items: "${inputs.l}", as: order}`, `"${order.b.map(order, order + 1)}"`, `[4]`},
		{"a macro named item", `{items: "${inputs.l}", as: order}`, `"${order.b.map(item, item + order.a)}"`, `[4]`},
		{"an input of the same name", `{items: "${inputs.l}", as: l}`, `"${l.a + size(inputs.l)}"`, `2`},
		{"a function on it", `{items: "${inputs.texts}", as: word}`, `"${word.replace('x', 'y')}"`, `"ay"`},
		{"the usual names", `{items: "${inputs.l}", as: item, index_as: index}`, `"${item.a + index}"`, `3`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustProgram(t, "plan: v1\ninputs: {l: [{a: 1, b: [3]}], texts: [ax]}\nnodes:\n  - {id: a, for_each: "+tt.list+", set: "+tt.set+"}")
			stored, err := json.Marshal(p.Definition)
			if err != nil {
				t.Fatal(err)
			}
			var d Definition
			if err := json.Unmarshal(stored, &d); err != nil {
				t.Fatal(err)
			}
			loaded, err := Load(d)
			if err != nil {
				t.Fatal(err)
			}
			item := `{"a":1,"b":[3]}`
			if strings.Contains(tt.list, "texts") {
				item = `"ax"`
			}
			s := eachItem{fixed{inputs: expr.NewValue([]byte(`{"l":[{"a":1,"b":[3]}],"texts":["ax"]}`))}, expr.NewValue([]byte(item))}
			for name, p := range map[string]*Program{"compiled": p, "loaded": loaded} {
				if got, err := p.Nodes[0].Value.Render(t.Context(), s, expr.Limits{}); err != nil || string(got) != tt.want {
					t.Errorf("%s: got %s, %v, want %s", name, got, err, tt.want)
				}
			}
		})
	}
}

// A list without names of its own is stored as it always was.
func TestListIsStoredAsItWasWritten(t *testing.T) {
	for written, stored := range map[string]string{
		`"${inputs.l}"`: `"${inputs.l}"`, `[1]`: `[1]`, `{"items":[1]}`: `[1]`, `{"items":[1],"as":"x"}`: `{"items":[1],"as":"x"}`,
	} {
		var f schemas.ForEach
		if err := json.Unmarshal([]byte(written), &f); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(&f); err != nil || string(got) != stored {
			t.Errorf("%s: got %s, %v, want %s", written, got, err, stored)
		}
	}
}

func TestNamesOfItemsAreChecked(t *testing.T) {
	for _, tt := range []struct{ list, set, code, says string }{
		{`{items: [1], as: nodes}`, `1`, codeInvalidName, "already means something"},
		{`{items: [1], as: index}`, `1`, codeInvalidName, "already means something"},
		{`{items: [1], as: math}`, `1`, codeInvalidName, "already means something"},
		{`{items: [1], as: in}`, `1`, codeInvalidName, "already means something"},
		{`{items: [1], as: a-b}`, `1`, codeInvalidName, "begins with a letter"},
		{`{items: [1], as: x, index_as: x}`, `1`, codeInvalidName, `the same name, "x"`},
		{`{as: x}`, `1`, codeMissingField, "for_each has no items"},
		{`{items: [1], as: x}`, `"${item}"`, expr.CodeUnknownRoot, "item is named x here"},
		{`{items: [1], index_as: i}`, `"${index + 1}"`, expr.CodeUnknownRoot, "index is named i here"},
		{`{items: [1], as: x}`, `"${y.a}"`, expr.CodeUnknownRoot, "here x and index"},
		{`{items: [{a: 1}], as: x}`, `"${x.b}"`, codeUnknownOutput, `the item has no "b"`},
		{`{items: "${x}", as: x}`, `1`, codeMisplacedRoot, "x is not known in for_each"},
		{`{item: 1, sets: 2}`, `1`, codeUnknownField, "sets"},
		{`{a: 1}`, `1`, codeInvalidList, "got an object"},
	} {
		_, found := check([]byte("plan: v1\nnodes:\n  - {id: a, for_each: " + tt.list + ", set: " + tt.set + "}"))
		ok := false
		for _, f := range found {
			ok = ok || f.Code == tt.code && strings.Contains(f.Message, tt.says)
		}
		if !ok {
			t.Errorf("%s, %s: got %+v, want %s %q", tt.list, tt.set, found, tt.code, tt.says)
		}
	}
}
