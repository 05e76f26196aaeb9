package realm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

func deep(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// say has the liar write a message and returns what becomes of the call.
func say(t *testing.T, p *Pool, message string) (*call.Result, error) {
	t.Helper()
	return invoke(t, p, "liar", "say", fmt.Sprintf(`{"msg":%q}`, base64.StdEncoding.EncodeToString([]byte(message))))
}

// What a realm answers is replaced and noted where other readers could not read it, and refused where that is impossible.
func TestAnswersThatOthersCannotRead(t *testing.T) {
	answers := []struct {
		name, result, output, note string
		code                       schemas.Code // of the error; empty: none
		says                       string
	}{
		{name: "nothing special", result: `{"content":[],"structuredContent":{"v":9007199254740993,"w":-0,"t":"\ud83d\ude00"}}`,
			output: `{"v":9007199254740993,"w":-0,"t":"\ud83d\ude00"}`},
		{name: "bytes", result: "{\"content\":[],\"structuredContent\":{\"v\":\"A\xff\xfeB\"}}", output: "{\"v\":\"A\ufffd\ufffdB\"}",
			note: "2 bytes that are not UTF-8 were replaced by U+FFFD, first at /structuredContent/v"},
		{name: "bytes in a text", result: "{\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\"}]}", output: "\"caf\ufffd\"",
			note: "1 bytes that are not UTF-8"},
		{name: "bytes in a block", result: "{\"content\":[{\"type\":\"image\",\"data\":\"\xff\"},{\"type\":\"text\",\"text\":\"\"}]}",
			output: "[{\"type\":\"image\",\"data\":\"\ufffd\"},{\"type\":\"text\",\"text\":\"\"}]", note: "1 bytes that are not UTF-8"},
		{name: "names that become equal", result: "{\"content\":[],\"structuredContent\":{\"\xff\":1,\"\xfe\":2}}",
			output: "{\"\ufffd\":1,\"\ufffd (2)\":2}", note: "2 bytes that are not UTF-8"},
		{name: "half a character", result: `{"content":[],"structuredContent":{"v":"\ud800"}}`, output: `{"v":"\ufffd"}`,
			note: "1 escapes of half"},
		{name: "half a character in JSON in a text", result: `{"content":[{"type":"text","text":"{\"v\":\"\\ud800\"}"}]}`,
			output: `{"v":"\ufffd"}`,
			note:   "1 escapes of half"},
		{name: "a name twice", result: `{"content":[],"structuredContent":{"v":1,"v":2}}`, output: `{"v":2}`, note: "1 values were dropped"},
		{name: "a number", result: `{"content":[],"structuredContent":{"v":1e999999}}`, code: schemas.CodeToolError,
			says: "/structuredContent/v the number 1e999999"},
		{name: "many digits", result: `{"content":[],"structuredContent":{"v":` + strings.Repeat("1", 500_000) + `}}`,
			code: schemas.CodeToolError,
			says: "500000 characters"},
		{name: "NaN", result: `{"content":[],"structuredContent":{"v":NaN}}`, code: schemas.CodeToolError, says: "malformed JSON"},
		{name: "a number in JSON in a text", result: `{"content":[{"type":"text","text":"{\"v\":1e999}"}]}`, output: `"{\"v\":1e999}"`,
			note: "the output is a text"},
		{name: "9,000 levels", result: `{"content":[],"structuredContent":{"v":` + deep(9000) + `}}`, code: schemas.CodePayloadTooLarge,
			says: "limits.max_depth"},
		{name: "20,000 levels", result: `{"content":[],"structuredContent":{"v":` + deep(20_000) + `}}`, code: schemas.CodeToolError,
			says: "malformed JSON"},
		{name: "9,000 levels in a text", result: `{"content":[{"type":"text","text":"` + deep(9000) + `"}]}`, output: `"` + deep(9000) + `"`,
			note: "the output is a text"},
		{name: "bytes in an error", result: "{\"isError\":true,\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\\ud800 \\u202e\"}]}",
			code: schemas.CodeToolError, says: "caf"},
	}
	overAll(t, quick, func(t *testing.T, p *Pool) {
		for _, row := range answers {
			got, err := say(t, p, `{"jsonrpc":"2.0","id":ID,"result":`+row.result+`}`)
			if row.code != "" {
				e := schemas.AsError(err)
				if e == nil || e.Code != row.code || !strings.Contains(e.Message, row.says) || !utf8.ValidString(e.Message) ||
					strings.ContainsFunc(e.Message, schemas.Hidden) || len(e.Message) > 500 {
					t.Errorf("%s: %v, want %s that says %q", row.name, err, row.code, row.says)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", row.name, err)
				continue
			}
			if string(got.Output) != row.output || row.note == "" && got.Notes != nil ||
				!strings.Contains(strings.Join(got.Notes, "; "), row.note) ||
				!utf8.ValidString(got.Text) {
				t.Errorf("%s: %.200s with %q, want %.200s with %q", row.name, got.Output, got.Notes, row.output, row.note)
			}
		}
		_, err := say(t, p, "{\"jsonrpc\":\"2.0\",\"id\":ID,\"error\":{\"code\":-32000,\"message\":\"caf\xe9 \\u001b[1m\\ud800\"}}")
		if e := schemas.AsError(err); e == nil || e.Code != schemas.CodeToolError || !utf8.ValidString(e.Message) ||
			!strings.Contains(e.Message, "caf") {
			t.Errorf("an error with bad bytes: %v", err)
		}
		for _, notification := range []string{ // ignored, or cleaned
			"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1e999,\"message\":\"\xff\"}}",
			"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":" + deep(9000) + "}}",
			"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"sampling/createMessage\"}",
		} {
			message := `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"after"}]}}`
			if _, ok := p.members.Load().realms["liar"]; ok && strings.HasPrefix(notification, "{") {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				_, _ = p.Invoke(ctx, &call.Call{Realm: "liar", Capability: "say",
					Inputs: fmt.Appendf(nil, `{"msg":%q}`, base64.StdEncoding.EncodeToString([]byte(notification)))}) // it has no answer
				cancel()
			}
			if got, err := say(t, p, message); err != nil || got.Text != "after" {
				t.Errorf("after %.60q: %v", notification, err)
			}
		}
	})
}

// The same over HTTP without a stream.
func TestMalformedJSONAsABody(t *testing.T) {
	for _, result := range []string{`{"content":[],"structuredContent":{"v":NaN}}`, `{"content":[}`, deep(20_000)} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var m message
			if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			answer := map[string]string{
				"initialize": `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"w","version":"1"}}`,
				"tools/list": `{"tools":[{"name":"bad","inputSchema":{"type":"object"}}]}`, "tools/call": result,
			}[m.Method]
			if len(m.ID) == 0 || answer == "" {
				w.WriteHeader(http.StatusAccepted)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, answer)
		}))
		t.Cleanup(web.Close)
		p := run(t, Config{Realms: realms("w", schemas.Realm{Type: transportHTTP, URL: web.URL}), Limits: quick, Policies: pinned()})
		_, err := invoke(t, p, "w", "bad", `{}`)
		wantError(t, err, schemas.CodeToolError, schemas.Unknown, "malformed JSON")
	}
}

// Definitions are mended or left out, one by one.
func TestDefinitionsThatOthersCannotRead(t *testing.T) {
	more := strings.Join([]string{
		"{\"name\":\"bytes\",\"description\":\"caf\xe9\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[\"\xff\"]}}}}",
		`{"name":"half","inputSchema":{"type":"object","description":"\ud800"}}`,
		`{"name":"twice","name":"thrice","inputSchema":{"type":"object"}}`,
		`{"name":"number","inputSchema":{"type":"object","maxProperties":1e999}}`,
		`{"name":"deep","inputSchema":{"type":"object","default":` + deep(9000) + `}}`,
		"{\"name\":\"n\xff\",\"inputSchema\":{\"type\":\"object\"}}",
		"{\"name\":\"fine\",\"inputSchema\":{\"type\":\"object\"}}",
	}, ",")
	p := run(t, Config{Realms: realms("liar", server("liar")), Limits: quick, Policies: pinned()})
	mustInvoke(t, p, "liar", "define", fmt.Sprintf(`{"msg":%q}`, base64.StdEncoding.EncodeToString([]byte(more))))
	eventually(t, "the tools are listed", func() bool {
		_, ok := p.Catalog(t.Context(), nil).Tool("liar", "fine")
		return ok
	})
	for name, listed := range map[string]bool{"bytes": true, "half": true, "thrice": true, "twice": true, "number": false, "deep": false,
		"n\xff": false, "n\ufffd": false} {
		c, err := p.Resolve(t.Context(), "liar", name)
		if (err == nil) != listed {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if err == nil && (name == "bytes" || name == "half" || name == "thrice") && len(c.Warnings) == 0 {
			t.Errorf("%q has no warning", name)
		}
		b, encodeErr := schemas.Encode(c)
		if encodeErr != nil || schemas.FindFlaw(b, 0) != nil {
			t.Errorf("%q is described as %q, %v", name, b, encodeErr)
		}
	}
	for _, definition := range p.members.Load().realms["liar"].listing.raw { // what the store keeps
		if flaw := schemas.FindFlaw(definition, 0); flaw != nil {
			t.Errorf("kept with %+v", flaw)
		}
	}
}

// FuzzPipe has a realm write any bytes: what comes of a call is a result or an error that every reader reads.
func FuzzPipe(f *testing.F) {
	for _, line := range []string{
		"{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"content\":[],\"structuredContent\":{\"a\":\"\xff\",\"a\":1e400}}}",
		"{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"a\\\":\\\"\\\\ud800\\\"}\"}],\"isError\":false}}",
		"{\"jsonrpc\":\"2.0\",\"id\":ID,\"error\":{\"code\":1,\"message\":\"\xff\\ud800\x1b[1m\"}}",
		`{"jsonrpc":"2.0","id":ID,"result":{"content":` + deep(200) + `}}`, "\n{\n", `{"method":"ping","id":"` + "\xff" + `"}`,
		`{"method":"notifications/progress","params":{"progressToken":ID,"progress":1,"message":"` + "\xff" + `"}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		c := &conn{realm: "r", kind: transportStdio, log: hclog.NewNullLogger(), maxDepth: schemas.DefaultMaxDepth,
			done: make(chan struct{}), abandoned: make(chan int64, 8)}
		p := newPipe(ours, ours, 1<<20, c.log)
		c.tr = p
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.SetNotificationHandler(c.onNotification)
		go func() {
			lines := newLineReader(theirs, 1<<20)
			for {
				line, _, err := lines.next()
				if err != nil {
					return
				}
				var m message
				if json.Unmarshal(line, &m) != nil || m.Method != string(mcp.MethodToolsCall) {
					continue
				}
				answer := bytes.ReplaceAll(said, []byte("ID"), m.ID)
				answer = append(answer, "\n"+`{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":{"content":[]}}`+"\n"...)
				_, _ = theirs.Write(answer)                                                                                      // the pipe may be closed
				_, _ = io.WriteString(theirs, `{"jsonrpc":"2.0","id":"`+strconv.Itoa(len(said))+`","method":"roots/list"}`+"\n") // it is declined
			}
		}()
		ask := &call.Call{Realm: "r", Capability: "c", Progress: func(p call.Progress) {
			if !utf8.ValidString(p.Message) {
				t.Errorf("progress %q", p.Message)
			}
		}}
		result, fault := c.callTool(t.Context(), ask, json.RawMessage("{}"), nil)
		theirs.Close()
		if fault != nil {
			e := classify("r.c", fault, func(s string) string { return clean(s, 1000) })
			if b, err := schemas.Encode(e); err != nil || schemas.FindFlaw(b, 0) != nil {
				t.Fatalf("%q: error %s, %v", said, b, err)
			}
			return
		}
		out := result.result(ask)
		if flaw := schemas.FindFlaw(out.Output, 0); flaw != nil || !json.Valid(out.Output) || !utf8.ValidString(out.Text) {
			t.Fatalf("%q: %q with %+v", said, out.Output, flaw)
		}
		if slices.ContainsFunc(out.Notes, func(s string) bool { return !utf8.ValidString(s) }) {
			t.Fatalf("%q: notes %q", said, out.Notes)
		}
	})
}

var _ transport.Interface = (*pipe)(nil)
