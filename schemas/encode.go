package schemas

import (
	"bytes"
	"encoding/json"
)

// Encode is json.Marshal without its escapes for HTML: what a capability answered is stored and shown as it came, and a
// model that reads "<b>" does not have to know what \u003cb\u003e means.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
