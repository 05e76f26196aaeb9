package realm

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestNewChecksTheSpecs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		spec    schemas.Realm
		message string // empty: it is valid
	}{
		{"a", schemas.Realm{Command: "x"}, ""},
		{"a", schemas.Realm{Type: "stdio", Command: "x"}, ""},
		{"a", schemas.Realm{URL: "https://h/mcp"}, ""},
		{"a", schemas.Realm{Type: "streamable-http", URL: "http://h"}, ""},
		{"a", schemas.Realm{Type: "sse", URL: "http://h/sse"}, ""},
		{"bad one", schemas.Realm{Disabled: true}, ""},
		{"a.b", schemas.Realm{Command: "x"}, `use "a-b"`},
		{"io.github/x y", schemas.Realm{Command: "x"}, `use "io-github-x-y"`},
		{"", schemas.Realm{Command: "x"}, "letters, digits"},
		{"a", schemas.Realm{}, "neither a command nor a url"},
		{"a", schemas.Realm{Command: "x", URL: "http://h"}, "only one of them"},
		{"a", schemas.Realm{Type: "http", Command: "x"}, "only one of them"},
		{"a", schemas.Realm{Type: "stdio"}, "needs a command"},
		{"a", schemas.Realm{URL: "ftp://h"}, "https://host/mcp"},
		{"a", schemas.Realm{URL: "not a url"}, "https://host/mcp"},
		{"a", schemas.Realm{URL: "https://user:pass@h/mcp"}, "put them in headers"},
		{"a", schemas.Realm{Type: "sdtio", Command: "x"}, `did you mean "stdio"`},
	} {
		_, err := New(Config{Realms: realms(tt.name, tt.spec)})
		switch {
		case tt.message == "" && err != nil:
			t.Errorf("%q %+v: %v", tt.name, tt.spec, err)
		case tt.message != "":
			e := wantError(t, err, schemas.CodeInvalidArgument, "", tt.message)
			if !strings.HasPrefix(e.Field, "/mcpServers/") || strings.Contains(e.Error(), "pass@") {
				t.Errorf("%q: field %q, %v", tt.name, e.Field, e)
			}
		}
	}
	var policies schemas.Policies
	policies.Default.Protocol = "2024"
	_, err := New(Config{Realms: realms("a", schemas.Realm{Command: "x"}), Policies: policies})
	wantError(t, err, schemas.CodeInvalidArgument, "", "2025-11-25")
}

func TestLimitsKeepWhatIsGiven(t *testing.T) {
	l := Limits{MaxTools: 7}.withDefaults()
	want := DefaultLimits
	want.MaxTools = 7
	if l != want {
		t.Errorf("got %+v, want %+v", l, want)
	}
}
