package realm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

func TestOddFieldsOfAHandshakeCountAsAbsent(t *testing.T) {
	for _, tt := range []struct{ name, raw, want, odd string }{
		{
			"as it should be", `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"x","version":"1"}}`,
			`{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"x","version":"1"}}`, "",
		},
		{
			"a capability is true", `{"protocolVersion":"2025-11-25","capabilities":{"tools":true,"logging":true},"serverInfo":{"name":"x","version":"1"}}`,
			`{"capabilities":{"logging":{},"tools":{}},"protocolVersion":"2025-11-25","serverInfo":{"name":"x","version":"1"}}`, "",
		},
		{
			"a capability is false", `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":false},"serverInfo":{"name":"x","version":"1"}}`,
			`{"capabilities":{"tools":{}},"protocolVersion":"2025-11-25","serverInfo":{"name":"x","version":"1"}}`, "capabilities.prompts",
		},
		{
			"a list where an object belongs", `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"experimental":[]},"serverInfo":{"name":"x","version":"1"}}`,
			`{"capabilities":{"tools":{}},"protocolVersion":"2025-11-25","serverInfo":{"name":"x","version":"1"}}`, "capabilities.experimental",
		},
		{
			"a word for a boolean", `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":"yes"}},"serverInfo":{"name":"x","version":"1"}}`,
			`{"capabilities":{"tools":{}},"protocolVersion":"2025-11-25","serverInfo":{"name":"x","version":"1"}}`, "capabilities.tools.listChanged",
		},
		{
			"a number for a text", `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"x","version":2.10}}`,
			`{"capabilities":{},"protocolVersion":"2025-11-25","serverInfo":{"name":"x","version":"2.10"}}`, "serverInfo.version",
		},
		{
			"instructions that are a list", `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"x","version":"1"},"instructions":["a"]}`,
			`{"capabilities":{},"protocolVersion":"2025-11-25","serverInfo":{"name":"x","version":"1"}}`, "instructions",
		},
		{"capabilities are null", `{"protocolVersion":"2025-11-25","capabilities":null}`, `{"protocolVersion":"2025-11-25","capabilities":null}`, ""},
		{"the first weeks", `{"protocolVersion":"2024-10-07","capabilities":{}}`, `{"capabilities":{},"protocolVersion":"2024-11-05"}`, ""},
		{"no object", `[1]`, `[1]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, odd := readableHandshake(json.RawMessage(tt.raw))
			if string(got) != tt.want || strings.Join(odd, " ") != tt.odd {
				t.Errorf("got %s, odd %q", got, odd)
			}
			if err := json.Unmarshal(got, new(mcp.InitializeResult)); err != nil && tt.raw != "[1]" {
				t.Error(err)
			}
		})
	}
}

// A log that repeats what the realm reads is no message, and neither is what looks like an answer behind words while more requests wait.
func TestWordsAreNoMessages(t *testing.T) {
	p := &pipe{waiting: map[int64]waiter{1: {call: true}, 2: {call: true}}}
	for _, line := range []string{
		`received: {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`,
		`searching: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}`,
		`a {b} {"jsonrpc":"2.0","id":1,"result":{}}`,
		`no message at all`,
	} {
		if message, _ := p.within([]byte(line)); message {
			t.Errorf("it counts as a message: %s", line)
		}
	}
	p.waiting = map[int64]waiter{1: {answer: make(chan *transport.JSONRPCResponse, 1), call: true}, 2: {}}
	for _, tt := range []struct {
		line string
		want bool
	}{
		{`Loading... {"jsonrpc":"2.0","id":2,"result":{"tools":[]}}`, false}, // the call's arguments may have it
		{`Loading... {"jsonrpc":"2.0","id":1,"result":{}}`, true},
	} {
		if message, _ := p.within([]byte(tt.line)); message != tt.want {
			t.Errorf("%s: it counts as a message: %v, want %v", tt.line, message, tt.want)
		}
	}
}

// What stands before a message on its line is no part of it, also where the id comes last.
func TestMessageThatDoesNotBeginItsLine(t *testing.T) {
	p := run(t, Config{Realms: realms("liar", server("liar"))})
	for _, before := range []string{"", "  ", "\t", byteOrderMark, byteOrderMark + " ", "\x1b]1337;RemoteHost=box\x07\r\x1b[2K", "Loading... ", "[info] "} {
		for _, message := range []string{
			`{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"a {b}"}]}}`,
			`{"result":{"content":[{"type":"text","text":"a {b}"}]},"jsonrpc":"2.0","id":ID}`,
		} {
			got, err := say(t, p, before+message)
			if err != nil || got.Text != "a {b}" {
				t.Errorf("%q before %s: %+v, %v", before, message, got, err)
			}
		}
	}
}
