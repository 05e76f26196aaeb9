package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// FuzzStdio sends any bytes as lines: every answer is a line of JSON that a strict client reads, a request is answered under its
// id, and the next one is served.
func FuzzStdio(f *testing.F) {
	for _, h := range hostile {
		if len(h.json) < 1000 {
			f.Add([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"zebra","arguments":{"n":` + h.json + `}}}`))
			f.Add([]byte(`{"jsonrpc":"2.0","id":` + h.json + `,"method":"ping","params":` + h.json + `}`))
		}
	}
	f.Add([]byte(`{"jsonrpc":"2.0","id":9007199254740993,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"é","method":"tools/list","params":{"cursor":"x","_meta":{}}}` + "\n" + `{"id":1,"ID":2}`))
	f.Add([]byte("{\"jsonrpc\":\"2.0\",\"id\":\",,&\",000000000000000000000000000\x800"))
	s := New(Config{Methods: newWorld().methods()[:1]})
	// value is an id without the form in which it is written: & and \u0026 are one.
	value := func(id json.RawMessage) string {
		var v any
		if schemas.Decode(id, &v) != nil {
			return string(id)
		}
		return fmt.Sprintf("%T %v", v, v)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var out bytes.Buffer
		last := `{"jsonrpc":"2.0","id":"the last","method":"ping"}`
		if err := s.Stdio(t.Context(), io.MultiReader(bytes.NewReader(input), strings.NewReader("\n"+last+"\n")), &out); err != nil {
			t.Fatal(err)
		}
		given := map[string]bool{value(json.RawMessage("null")): true, "string the last": true, "": true}
		for l := range bytes.Lines(input) {
			var m struct{ ID json.RawMessage }
			if json.Unmarshal(l, &m) == nil {
				given[value(m.ID)] = true
			}
			if id := messageID(bytes.TrimSpace(l)); id != nil {
				given[value(id)] = true
			}
		}
		served := false
		for l := range strings.Lines(out.String()) {
			r := strict(t, strings.TrimSuffix(l, "\n"))
			if r.Method == "" && !given[value(r.ID)] {
				t.Fatalf("%q: answer under id %s", input, r.ID)
			}
			served = served || string(r.ID) == `"the last"` && r.Result != nil
		}
		if !served {
			t.Fatalf("%q: the next request is not served: %s", input, out.String())
		}
	})
}
