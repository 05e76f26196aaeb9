package schemas

import "testing"

// The cases of RFC 7396, appendix A, and values that must keep their bytes.
func TestMergePatch(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{``, `{"a":1}`, `{"a":1}`},
		{`{"n":12345678901234567890,"x":1.0}`, `{"h":"<b>"}`, `{"h":"<b>","n":12345678901234567890,"x":1.0}`},
		{`{}`, `{"l":[1,null,{"q":null}]}`, `{"l":[1,null,{"q":null}]}`},
	} {
		got, err := MergePatch([]byte(tt.target), []byte(tt.patch))
		if err != nil || string(got) != tt.want {
			t.Errorf("MergePatch(%s, %s) = %s, %v, want %s", tt.target, tt.patch, got, err, tt.want)
		}
	}
	for _, bad := range [][2]string{{`{`, `{}`}, {`{}`, `{"a"`}, {`{}`, ``}} {
		if got, err := MergePatch([]byte(bad[0]), []byte(bad[1])); err == nil {
			t.Errorf("MergePatch(%s, %s) = %s, want an error", bad[0], bad[1], got)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		filter, document string
		want             bool
	}{
		{``, `7`, true},
		{`{}`, `7`, true},
		{`{"a":1}`, `7`, false},
		{`{"a":1}`, `{"a":1.0,"b":2}`, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":null}`, `{}`, false},
		{`{"a":null}`, `{"a":null}`, true},
		{`{"a":{"x":1,"y":[true]}}`, `{"a":{"y":[true],"x":1}}`, true},
		{`{"a":{"x":1}}`, `{"a":{"x":1,"y":2}}`, false},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{`{"a":[1,2]}`, `{"a":[1]}`, false},
		{`{"a":12345678901234567890}`, `{"a":12345678901234567891}`, false},
		{`{"a":12345678901234567890}`, `{"a":12345678901234567890}`, true},
		{`{"a":"x","b":"y"}`, `{"a":"x","b":"z"}`, false},
		{`{}`, ``, true},
		{`{"a":1}`, ``, false},
	} {
		if got := Matches(Object(tt.filter), []byte(tt.document)); got != tt.want {
			t.Errorf("Matches(%s, %s) = %v, want %v", tt.filter, tt.document, got, tt.want)
		}
	}
}
