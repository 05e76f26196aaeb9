package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// What an expression makes is JSON that every client reads, or an error.
func TestValuesAreReadable(t *testing.T) {
	for _, expression := range []string{
		`string(base64.decode('//8='))`, `string(b'\xff')`, `1.0 / 0.0`, `0.0 / 0.0`, `-1.0 / 0.0`, `1e308 * 10.0`, `double('inf')`, `[double('nan')]`,
		`json.decode('1e400')`, `json.decode('"\\ud800"')`, `json.decode('{"a":1,"a":2}')`, `json.encode(1.0 / 0.0)`, `'\ud800'`, `{1: 'a', '1': 'b'}`,
	} {
		for _, form := range []string{"${%s}", "x${%s}"} {
			raw, err := json.Marshal(fmt.Sprintf(form, expression))
			if err != nil {
				t.Fatal(err)
			}
			out, err := render(t, string(raw), sampleScope(), Limits{})
			if !errors.Is(err, &schemas.Error{Code: schemas.CodeExpressionError}) {
				t.Errorf(form+" gives %q, %v", expression, out, err)
			}
		}
	}
	for _, expression := range []string{`base64.decode('//8=')`, `-0.0`, `'%s'.format([base64.decode('//8=')])`, `json.decode('{"a":9007199254740993}')`} {
		raw, err := json.Marshal("${" + expression + "}")
		if err != nil {
			t.Fatal(err)
		}
		out, err := render(t, string(raw), sampleScope(), Limits{})
		if err != nil || schemas.FindFlaw([]byte(out), 0) != nil || !json.Valid([]byte(out)) {
			t.Errorf("%s gives %q, %v", expression, out, err)
		}
	}
}

// A value that nests deeper than clients read ends its node, whether it is copied or computed.
func TestDeepValuesAreRefused(t *testing.T) {
	deep := func(levels int) *Value {
		return NewValue(json.RawMessage(strings.Repeat("[", levels) + strings.Repeat("]", levels)))
	}
	for levels, fits := range map[int]bool{schemas.DefaultMaxDepth - 2: true, schemas.DefaultMaxDepth + 1: false, 900: false} {
		for _, template := range []string{`"${inputs}"`, `{"a":["${inputs}"]}`, `"${[inputs]}"`} {
			s := sampleScope()
			s.inputs = deep(levels)
			_, err := render(t, template, s, Limits{})
			if (err == nil) != fits || !fits && !errors.Is(err, &schemas.Error{Code: schemas.CodePayloadTooLarge}) {
				t.Errorf("%s with %d levels: %v", template, levels, err)
			}
		}
	}
}
