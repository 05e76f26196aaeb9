package schemas

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSettleLeavesOutAndFillsInBySchema(t *testing.T) {
	const object = `{"type":"object","properties":{"id":{"type":"string"},"note":{"type":"string"},"any":{},
		"maybe":{"type":["string","null"]},"old":{"type":"string","nullable":true},"choice":{"enum":["a",null]},
		"mode":{"type":"string","default":"overwrite"},"limit":{"type":"integer","default":10}},"required":["id","mode"]}`
	within := func(schema string) string {
		return `{"type":"object","properties":{"in":` + schema + `},"required":["in"]}`
	}
	for _, tt := range []struct {
		name, schema, doc, want string // want empty: nothing changes
		open                    []string
	}{
		{"complete", object, `{"id":"x","mode":"append"}`, "", nil},
		{"null that is not taken", object, `{"id":"x","mode":"append","note":null}`, `{"id":"x","mode":"append"}`, nil},
		{"null that is required", object, `{"id":null,"mode":"append"}`, "", nil},
		{"null that has a default and is required", object, `{"id":"x","mode":null}`, "", nil},
		{"null that is taken", object, `{"id":"x","mode":"a","any":null,"maybe":null,"old":null,"choice":null}`, "", nil},
		{"null of no declared name", object, `{"id":"x","mode":"a","other":null}`, "", nil},
		{"default", object, `{"id":"x"}`, `{"id":"x","mode":"overwrite"}`, nil},
		{"default of what is not required", object, `{"id":"x","mode":"a","limit":null}`, `{"id":"x","mode":"a"}`, nil},
		{"open", object, `{"id":"x","mode":"a","note":null}`, "", []string{"/note"}},
		{"object within", within(object), `{"in":{"id":"x","note":null}}`, `{"in":{"id":"x","mode":"overwrite"}}`, nil},
		{"open within", within(object), `{"in":{"id":"x","note":null}}`, `{"in":{"id":"x","mode":"overwrite","note":null}}`, []string{"/in/note"}},
		{"no object is made", within(`{"type":"object","properties":{"m":{"type":"string","default":"a"}},"required":["m"]}`), `{}`, "", nil},
		{"items", within(`{"type":"array","items":` + object + `}`), `{"in":[{"id":"x","mode":"a","note":null},{"id":"y"}]}`,
			`{"in":[{"id":"x","mode":"a"},{"id":"y","mode":"overwrite"}]}`, nil},
		{"a null item stays", within(`{"type":"array","items":{"type":"string"}}`), `{"in":[null,"a"]}`, "", nil},
		{"items of a tuple", within(`{"prefixItems":[{"type":"string"},` + object + `]}`), `{"in":["a",{"id":"x","mode":"a","note":null}]}`,
			`{"in":["a",{"id":"x","mode":"a"}]}`, nil},
		{"members of a map", within(`{"type":"object","additionalProperties":` + object + `}`), `{"in":{"k":{"id":"x","mode":"a","note":null}}}`,
			`{"in":{"k":{"id":"x","mode":"a"}}}`, nil},
		{"a null in a map stays", within(`{"type":"object","additionalProperties":{"type":"string"}}`), `{"in":{"k":null}}`, "", nil},
		{"reference", `{"$ref":"#/$defs/o~1x","$defs":{"o/x":` + object + `}}`, `{"id":"x","note":null}`, `{"id":"x","mode":"overwrite"}`, nil},
		{"allOf", `{"allOf":[` + object + `,{"required":["note"]}]}`, `{"id":"x","mode":"a","note":null}`, "", nil},
		{"object or null", within(`{"anyOf":[` + object + `,{"type":"null"}]}`), `{"in":{"id":"x","note":null}}`,
			`{"in":{"id":"x","mode":"overwrite"}}`, nil},
		{"two kinds of objects", within(`{"oneOf":[` + object + `,{"type":"object","required":["b"]}]}`), `{"in":{"id":"x","note":null}}`, "", nil},
		{"default that is not valid", `{"properties":{"a":{"type":"string","default":null}},"required":["a"]}`, `{}`, "", nil},
		{"default beside a reference", `{"$defs":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/s","default":"x"}},"required":["a"]}`,
			`{}`, `{"a":"x"}`, nil},
		{"recursive schema", `{"type":"object","properties":{"next":{"$ref":"#"},"v":{"type":"integer"}}}`,
			`{"next":{"next":{"v":null},"v":1},"v":null}`, `{"next":{"next":{},"v":1}}`, nil},
		{"large numbers are exact", object, `{"id":"x","mode":"a","note":null,"any":9007199254740993}`, `{"any":9007199254740993,"id":"x","mode":"a"}`, nil},
		{"absent document", `{"properties":{"a":{"default":1}},"required":["a"]}`, ``, `{"a":1}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewChecker(json.RawMessage(tt.schema))
			if err != nil {
				t.Fatal(err)
			}
			got, changed := c.Settle(json.RawMessage(tt.doc), tt.open)
			want := tt.want
			if want == "" {
				want = tt.doc
			}
			if string(got) != want || changed != (tt.want != "") {
				t.Errorf("got %s (changed %v), want %s", got, changed, want)
			}
		})
	}
}

// A document that is valid is never changed, whatever Settle would do.
func TestCheckSettledTakesWhatIsValidAsItIs(t *testing.T) {
	c, err := NewChecker(json.RawMessage(`{"properties":{"a":{"type":"string"},"m":{"type":"string","default":"x"}},"required":["m"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for doc, want := range map[string]string{
		`{"m": "y", "a": "b"}`: `{"m": "y", "a": "b"}`,
		`{"a":null}`:           `{"m":"x"}`,
	} {
		if got, problems := c.CheckSettledToEnd(json.RawMessage(doc)); len(problems) > 0 || string(got) != want {
			t.Errorf("%s: got %s, %v", doc, got, problems)
		}
	}
	if _, problems := c.CheckSettledToEnd(json.RawMessage(`{"a":null,"m":5}`)); len(problems) != 1 || problems[0].Field != "/m" {
		t.Errorf("got %v, want the problem that remains", problems)
	}
}

// A schema whose alternatives double at each level costs no more than a check of it.
func TestSettleOfAHostileSchemaEnds(t *testing.T) {
	schema := `{"$defs":{"l0":{"type":"object"}`
	for i := range 40 {
		n := string(rune('0'+i/10)) + string(rune('0'+i%10))
		below := `"#/$defs/l0"`
		if i > 0 {
			m := string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
			below = `"#/$defs/d` + m + `"`
		}
		schema += `,"d` + n + `":{"allOf":[{"$ref":` + below + `},{"$ref":` + below + `}]}`
	}
	schema += `},"$ref":"#/$defs/d39"}`
	c, err := NewChecker(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	doc := json.RawMessage(`{"a":[` + strings.TrimSuffix(strings.Repeat(`{"b":null},`, 1000), ",") + `]}`)
	if got, changed := c.Settle(doc, nil); changed || string(got) != string(doc) {
		t.Errorf("changed %v", changed)
	}
}
