package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Encode is json.Marshal without HTML escapes: the answer of a capability is stored and shown as it was received, "<b>" and
// not \u003cb\u003e.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Decode is json.Unmarshal that keeps the digits of numbers: those in an any are json.Number. Data after the first value is
// ignored.
func Decode(doc []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	return d.Decode(v)
}

// DecodeProblem says what is wrong with a document that could not be decoded, without the words of encoding/json. The errors of
// own UnmarshalJSON methods are for callers already, and keep their text.
func DecodeProblem(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at := ""
		if e.Field != "" {
			at = Cut(e.Field, 200, Ellipsis) + " "
		}
		got := e.Value
		if number, ok := strings.CutPrefix(got, "number "); ok {
			got = "the number " + Cut(number, 40, Ellipsis)
		} else if word := jsonWords[got]; word != "" {
			got = word
		}
		return fmt.Sprintf("%smust be %s, not %s", at, kindWords(e.Type), got)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("it is not valid JSON (at byte %d)", e.Offset)
	}
	if e, ok := errors.AsType[*time.ParseError](err); ok {
		return fmt.Sprintf("%s is not a time such as 2026-01-31T12:00:00Z", Quote(e.Value, 60))
	}
	return Cut(strings.TrimPrefix(err.Error(), "json: "), 300, Ellipsis)
}

// jsonWords are the words for what encoding/json calls a value.
var jsonWords = map[string]string{
	"string": "a string", "number": "a number", "bool": "true or false", "array": "a list", "object": "an object",
}

func kindWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number of at most 19 digits, without a point"
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a smaller whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Pointer:
		return kindWords(t.Elem())
	}
	return "an object"
}
