package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

const statelessMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// rawPost is a POST of the stateless era, byte by byte.
func rawPost(method, name, params string, more ...string) string {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s%s}}`, method, params, statelessMeta)
	headers := strings.Join(append(more, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: "+method, "Mcp-Name: "+name), "\r\n")
	return fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: %s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", both, headers, len(body), body)
}

func rawCall(tool string) string { return rawPost("tools/call", tool, fmt.Sprintf(`"name":%q,`, tool)) }

const begunPost = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"

// ways are how a client can hold a connection and what belongs to it.
var ways = []struct {
	name, sent string
	inUse      bool // it does not give way, since it may be honest work
}{
	{"nothing sent", "", false},
	{"unfinished first line", "POST /m", false},
	{"unfinished header", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: ", false},
	{"unfinished small body", fmt.Sprintf(begunPost, 1000, "{"), false},
	{"unfinished large body", fmt.Sprintf(begunPost, maxMessage, strings.Repeat(" ", maxMessage/2)), false},
	{"unfinished body of no length", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" +
		strings.Repeat(" ", 0x10000), false},
	{"kept alive", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
	{"unread answers", strings.Repeat(rawCall("big"), 50), false},
	{"SSE stream", "GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
	{"GET stream", "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", false},
	{"subscription", rawPost("subscriptions/listen", "", `"notifications":{"toolsListChanged":true},`), false},
	{"calls that wait", rawCall("slow"), true},
}

// oneRequest sends one request on a connection of its own and returns the status and the body.
func oneRequest(t *testing.T, url, raw string) (status int, header http.Header, body string, err error) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return 0, nil, "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, raw); err != nil {
		return 0, nil, "", err
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, nil, "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return a.StatusCode, a.Header, string(b), err
}

// Whatever one client holds, and however much of it, health and controls are answered, what it holds is bounded, and what does not
// work gives way to other clients, which learn until then when to try again.
func TestNoClientKeepsOthersOut(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			control := func(name string) tools.Method {
				return method(name, tools.Reads, func(context.Context, tools.Request) (any, error) { return map[string]any{"ok": true}, nil })
			}
			big := method("big", tools.Reads, func(context.Context, tools.Request) (any, error) {
				return map[string]any{"text": strings.Repeat("x", 1<<20)}, nil
			})
			s := New(Config{
				Methods: append(w.methods(), control("cancel_execution"), control("check_health"), big), Drain: time.Millisecond,
				Limits: Limits{Connections: 8, Streams: 4, Bytes: 24 << 20},
			})
			url, _, _ := serveHTTP(t, s)
			for range 5 * s.limits.Connections {
				c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				go func() { _, _ = io.WriteString(c, way.sent) }() // it may not be taken
			}
			bounded := func() {
				t.Helper()
				if n := s.connections.count(); n > s.limits.Connections {
					t.Errorf("%d connections", n)
				}
				if n := s.streams.count(); n > s.limits.Streams {
					t.Errorf("%d streams", n)
				}
				if n := s.bytes.held(); n > s.limits.Bytes {
					t.Errorf("%d bytes", n)
				}
			}
			served := false
			for deadline := time.Now().Add(patience); !served && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
				bounded()
				for name, raw := range map[string]string{
					"health":       "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
					"check_health": rawCall("check_health"),
					"cancel":       rawCall("cancel_execution"),
					"ping":         rawPost("ping", "", ""),
				} {
					if status, _, body, err := oneRequest(t, url, raw); err != nil || status == http.StatusServiceUnavailable {
						t.Fatalf("%s: %d %s %v", name, status, body, err)
					}
				}
				status, header, body, err := oneRequest(t, url, rawCall("zebra"))
				if err != nil {
					t.Fatal(err)
				}
				var refused struct{ Error struct{ Data schemas.Error } }
				switch {
				case status == http.StatusOK:
					served = true
				case status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" || json.Unmarshal([]byte(body), &refused) != nil ||
					refused.Error.Data.Code != schemas.CodeRateLimited || !strings.Contains(refused.Error.Data.Message, "limits."):
					t.Fatalf("refused with %d %v %s", status, header, body)
				case way.inUse:
					return
				}
			}
			if !served {
				t.Errorf("another client was not served within %s", patience)
			}
			bounded()
		})
	}
}
