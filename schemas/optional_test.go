package schemas

import "testing"

func TestOptional(t *testing.T) {
	for _, tt := range []struct{ schema, member, want string }{
		{`{"type":"object","required":["a","key"]}`, "key", `{"required":["a"],"type":"object"}`},
		{`{"required":["key"],"type":"object"}`, "key", `{"type":"object"}`},
		{`{"required":["a"]}`, "key", `{"required":["a"]}`},
		{`{"required":["key"]}`, "", `{"required":["key"]}`},
		{`{"required":true}`, "key", `{"required":true}`},
		{`{"properties":{"o":{"required":["key"]}}}`, "key", `{"properties":{"o":{"required":["key"]}}}`},
		{`true`, "key", `true`},
		{``, "key", ``},
	} {
		if got := string(Optional([]byte(tt.schema), tt.member)); got != tt.want {
			t.Errorf("%s without %q: %s, want %s", tt.schema, tt.member, got, tt.want)
		}
	}
}
