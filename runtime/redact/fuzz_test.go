package redact

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzJSON has any document: what comes out is JSON if that was, and has the secret in no string.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":"CANARY-KEY"}`, `["CANARY-\u004bEY",1e5]`, `"\\CANARY-KEY\""`, `{"CANARY-KEY":null}`, `"\ud800CANARY-KEY"`, `"`, `"\`,
		`{"a":"b\\"}`, "\"CANARY-KEY\xff\"",
	} {
		f.Add([]byte(seed))
	}
	var s Secrets
	s.Named(map[string]string{"API_KEY": "CANARY-KEY"})
	r := New()
	r.Add(&s)
	f.Fuzz(func(t *testing.T, raw []byte) {
		out := r.JSON(raw)
		if !json.Valid(raw) {
			return
		}
		var v any
		d := json.NewDecoder(bytes.NewReader(out))
		d.UseNumber() // of any size
		if err := d.Decode(&v); err != nil || !json.Valid(out) {
			t.Fatalf("%q becomes %q: %v", raw, out, err)
		}
		plain, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(plain), "CANARY-KEY") {
			t.Errorf("%q becomes %q", raw, out)
		}
	})
}

// FuzzText has any configuration and any text: nothing panics, and what was added is not in the text any more.
func FuzzText(f *testing.F) {
	f.Add("API_KEY", "Basic c2hvcDpDQU5BUlk=", "it was c2hvcDpDQU5BUlk=")
	f.Add("DATABASE_URL", "postgres://me:pass@host/db?x=%zz", "pass@host")
	f.Add("HEADERS", `{"a":{"b":["Bearer x"]}}`, "x")
	f.Add("TOKEN", "a=b;c=d, e f", "b")
	f.Fuzz(func(t *testing.T, name, value, text string) {
		var s Secrets
		s.Named(map[string]string{name: value})
		s.Args([]string{"--" + name, value, name + "=" + value, value})
		s.URL(value)
		r := New()
		r.Add(&s)
		got := r.Text(text + value)
		for v, l := range s.found {
			if l == secret && !strings.Contains(Mark, v) && strings.Contains(got, v) && !strings.Contains(strings.ReplaceAll(got, Mark, ""), v) {
				continue // made by a mark beside what remains
			}
			if l == secret && !strings.Contains(Mark, v) && strings.Contains(got, v) {
				t.Errorf("%q stays in %q", v, got)
			}
		}
		r.Data(text)
	})
}
