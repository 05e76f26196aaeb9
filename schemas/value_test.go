package schemas

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestValueKeepsTheBytes(t *testing.T) {
	for _, in := range []string{`null`, `12345678901234567890`, `{"b":1,"a":2}`, `"x"`, `[1.50]`, `false`} {
		var v Value
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(v); err != nil || string(got) != in {
			t.Errorf("%s comes back as %s, %v", in, got, err)
		}
	}
}

func TestAbsentValues(t *testing.T) {
	var s struct {
		Value  Value  `json:"value"`
		Object Object `json:"object"`
		V      Value  `json:"v,omitempty"`
		O      Object `json:"o,omitempty"`
	}
	if got, err := json.Marshal(s); err != nil || string(got) != `{"value":null,"object":{}}` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestObjectTakesObjectsAlone(t *testing.T) {
	for in, want := range map[string]string{`{}`: `{}`, `{"z":1,"a":[2]}`: `{"z":1,"a":[2]}`, `null`: ``} {
		var o Object
		if err := json.Unmarshal([]byte(in), &o); err != nil || string(o) != want {
			t.Errorf("%s: got %q, %v, want %q", in, o, err, want)
		}
	}
	for _, in := range []string{`[]`, `"{}"`, `1`, `true`} {
		var o Object
		if err := json.Unmarshal([]byte(in), &o); err == nil || !strings.Contains(err.Error(), "want a JSON object, got "+in) {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

func TestValuesOwnTheirBytes(t *testing.T) {
	buf := []byte(`{"a":1}`)
	var v Value
	var o Object
	if err := v.UnmarshalJSON(buf); err != nil {
		t.Fatal(err)
	}
	if err := o.UnmarshalJSON(buf); err != nil {
		t.Fatal(err)
	}
	copy(buf, `XXXXXXX`)
	if string(v) != `{"a":1}` || string(o) != `{"a":1}` {
		t.Errorf("the reader's buffer shows through: %s %s", v, o)
	}
}
