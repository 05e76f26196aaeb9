package schemas

import (
	"bytes"
	"encoding/json"
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
