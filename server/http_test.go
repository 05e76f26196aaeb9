package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// patience bounds what should happen at once, on a machine that may be busy.
const patience = time.Minute

// serveHTTP serves s on a free loopback port and returns its address, a function that stops it, and what HTTP returned.
func serveHTTP(t *testing.T, s *Server) (url string, stop context.CancelFunc, done chan error) {
	t.Helper()
	ln, err := s.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done = make(chan error, 1)
	go func() { done <- s.HTTP(ctx, ln); close(done) }()
	t.Cleanup(func() {
		stop()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("HTTP does not return")
		}
	})
	return "http://" + ln.Addr().String(), stop, done
}

// eras are the ways in which clients connect over HTTP.
var eras = []struct {
	name string
	dial func(t *testing.T, url string) *client.Client
}{
	{"stateless", func(t *testing.T, url string) *client.Client { return httpClient(t, url, nil) }},
	{"session", func(t *testing.T, url string) *client.Client {
		return httpClient(t, url, nil, client.WithProtocolVersion(mcp.ProtocolVersion20251125))
	}},
	{"session with a GET stream", func(t *testing.T, url string) *client.Client {
		return httpClient(t, url, []transport.StreamableHTTPCOption{transport.WithContinuousListening()}) //nolint:staticcheck // as older clients do
	}},
	{"SSE", func(t *testing.T, url string) *client.Client {
		tr, err := transport.NewSSE(url + "/sse")
		if err != nil {
			t.Fatal(err)
		}
		c := client.NewClient(tr)
		t.Cleanup(func() { c.Close() })
		return connect(t, c)
	}},
}

func httpClient(t *testing.T, url string, with []transport.StreamableHTTPCOption, options ...client.ClientOption) *client.Client {
	tr, err := transport.NewStreamableHTTP(url+"/mcp", with...)
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewClient(tr, options...)
	t.Cleanup(func() { c.Close() })
	return connect(t, c)
}

func TestEveryEraListsCallsAndFails(t *testing.T) {
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	for _, era := range eras {
		t.Run(era.name, func(t *testing.T) {
			c := era.dial(t, url)
			if modern := mcp.IsModernProtocol(c.ProtocolVersion()); modern != (era.name == "stateless") {
				t.Errorf("protocol %s", c.ProtocolVersion())
			}
			list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
			if err != nil || len(list.Tools) != 7 || list.Tools[0].Name != "zebra" {
				t.Fatalf("got %+v, %v", list, err)
			}
			r, err := c.CallTool(t.Context(), request("zebra", `{"n":1}`, nil))
			if err != nil || !strings.Contains(text(t, r), `{"got":{"n":1}`) {
				t.Fatalf("got %+v, %v", r, err)
			}
			r, err = c.CallTool(t.Context(), request("refuse", `{}`, nil))
			if err != nil || wireError(t, r).Code != schemas.CodeNotFound {
				t.Fatalf("got %+v, %v", r, err)
			}
			if _, err = c.CallTool(t.Context(), request("zebar", `{}`, nil)); err == nil || !strings.Contains(err.Error(), `did you mean "zebra"?`) {
				t.Errorf("unknown tool: got %v", err)
			}
		})
	}
}

// Progress of calls at the same time reaches each call's own client, in order and whole, although the calls of a session share
// a channel in mcp-go.
func TestEveryEraGetsAllProgress(t *testing.T) {
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	for _, era := range eras {
		t.Run(era.name, func(t *testing.T) {
			c := era.dial(t, url)
			var mu sync.Mutex
			last := map[string]float64{}
			arrived := make(chan struct{}, 1000)
			c.OnNotification(func(n mcp.JSONRPCNotification) {
				if n.Method != "notifications/progress" {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				token := fmt.Sprint(n.Params.AdditionalFields["progressToken"])
				if v, _ := n.Params.AdditionalFields["progress"].(float64); v != last[token]+1 {
					t.Errorf("%s: %v came after %v", token, v, last[token])
				}
				last[token]++
				arrived <- struct{}{}
			})
			var wg sync.WaitGroup
			const calls = 50
			for i := range calls {
				wg.Go(func() {
					if _, err := c.CallTool(t.Context(), request("count", fmt.Sprintf(`{"n":%d}`, i), fmt.Sprintf("t%d", i))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			deadline := time.After(patience)
			for n := range calls * 10 {
				select {
				case <-arrived:
				case <-deadline:
					t.Fatalf("%d of %d arrived", n, calls*10)
				}
			}
		})
	}
}

// post sends one message of the session era and returns the status, the type and the lines of the answer.
func post(t *testing.T, url string, session *string, accept, body string) (int, string, []string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	if *session != "" {
		r.Header.Set("Mcp-Session-Id", *session)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if id := a.Header.Get("Mcp-Session-Id"); id != "" {
		*session = id
	}
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); l != "" && l != "event: message" {
			lines = append(lines, strings.TrimPrefix(l, "data: "))
		}
	}
	return a.StatusCode, a.Header.Get("Content-Type"), lines
}

const both = "application/json, text/event-stream"

// On the wire: progress makes the response an event stream whose last event is the answer; without it, or for a client that
// accepts only JSON, the response is plain.
func TestResponseOnTheWire(t *testing.T) {
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	var session string
	if status, _, _ := post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0]); status != 200 || session == "" {
		t.Fatalf("initialize: %d, session %q", status, session)
	}
	for _, tt := range []struct {
		name, accept, meta, kind string
		lines                    int
	}{
		{"progress", both, `,"_meta":{"progressToken":1}`, eventStream, 11},
		{"no token", both, ``, "application/json", 1},
		{"JSON alone", "application/json", `,"_meta":{"progressToken":1}`, "application/json", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 {
				status, kind, lines := post(t, url+"/mcp", &session, tt.accept, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"count"`+tt.meta+`}}`)
				if status != 200 || kind != tt.kind || len(lines) != tt.lines {
					t.Fatalf("got %d, %s, %d lines; want %s, %d lines: %v", status, kind, len(lines), tt.kind, tt.lines, lines)
				}
				if last := parse(t, []byte(lines[len(lines)-1])); string(last.ID) != "5" || last.Result == nil {
					t.Fatalf("the last line is %s", lines[len(lines)-1])
				}
			}
		})
	}
}

func TestClientGoneEndsTheWait(t *testing.T) {
	for _, era := range eras {
		t.Run(era.name, func(t *testing.T) {
			w := newWorld()
			url, _, _ := serveHTTP(t, New(Config{Methods: w.methods()}))
			c := era.dial(t, url)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-w.started
				cancel()
				if era.name == "SSE" { // that client sends nothing when a call's context ends
					c.Close()
				}
			}()
			if _, err := c.CallTool(ctx, request("slow", "{}", nil)); err == nil {
				t.Error("the call was answered")
			}
			select {
			case cause := <-w.ended:
				if cause == nil {
					t.Error("the call ended well")
				}
				if era.name == "SSE" && !errors.Is(cause, errClientGone) {
					t.Errorf("the call ended with %v", cause)
				}
			case <-time.After(patience):
				t.Error("the call goes on")
			}
		})
	}
}

// Two clients of the stateless era use the same request id; the cancellation of one does not touch the other.
func TestStrangersCannotCancel(t *testing.T) {
	w := newWorld()
	url, _, _ := serveHTTP(t, New(Config{Methods: w.methods()}))
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	send := func(method, name, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/mcp", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		for k, v := range map[string]string{"Content-Type": "application/json", "Accept": both, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name} {
			r.Header.Set(k, v)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(b)
	}
	answered := make(chan string, 1)
	go func() {
		_, body := send("tools/call", "slow", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow",`+meta+`}}`)
		answered <- body
	}()
	<-w.started
	send("notifications/cancelled", "", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,`+meta+`}}`)
	if status, body := send("tools/call", "zebra", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"zebra",`+meta+`}}`); status != 200 || !strings.Contains(body, "got") {
		t.Errorf("the other client got %d, %s", status, body)
	}
	close(w.release)
	if cause := <-w.ended; cause != nil {
		t.Errorf("the call ended with %v", cause)
	}
	if body := <-answered; !strings.Contains(body, `"done":true`) {
		t.Errorf("got %s", body)
	}
}

func TestHealthAndReadiness(t *testing.T) {
	var mu sync.Mutex
	var notReady error
	s := New(Config{Methods: newWorld().methods(), Ready: func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		return notReady
	}})
	url, _, _ := serveHTTP(t, s)
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(b)
	}
	if status, body := get("/readyz"); status != 200 || body != "ready\n" {
		t.Errorf("ready: %d %q", status, body)
	}
	mu.Lock()
	notReady = schemas.Errorf(schemas.CodeUnavailable, "the store does not answer")
	mu.Unlock()
	if status, body := get("/readyz"); status != 503 || body != "the store does not answer\n" {
		t.Errorf("not ready: %d %q", status, body)
	}
	if status, _ := get("/healthz"); status != 200 {
		t.Errorf("health: %d", status)
	}
}

// A message that is posted to an unknown stream, or is invalid, gets an error.
func TestSSEMessages(t *testing.T) {
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	var none string
	if status, _, _ := post(t, url+"/message?sessionId=guess", &none, both, "{}"); status != http.StatusNotFound {
		t.Errorf("unknown session: %d", status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	events := bufio.NewReader(a.Body)
	next := func() string {
		t.Helper()
		for {
			l, err := events.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := strings.CutPrefix(strings.TrimSpace(l), "data: "); ok {
				return data
			}
		}
	}
	address := url + next()
	if status, _, _ := post(t, address, &none, both, strings.Repeat(" ", maxMessage+1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("over the limit: %d", status)
	}
	if status, _, _ := post(t, address, &none, both, `{"jsonrpc":"2.0","id":4,"method":"ping"}`); status != http.StatusAccepted {
		t.Errorf("a message: %d", status)
	}
	if got := parse(t, []byte(next())); string(got.ID) != "4" {
		t.Errorf("got %+v", got)
	}
}

func TestClientsAreLogged(t *testing.T) {
	log, logged := logOf(hclog.Info)
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods(), Log: log}))
	var session string
	post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
	if !strings.Contains(logged.String(), "client connected: client=t version=1 protocol=2025-11-25") {
		t.Errorf("the log says\n%s", logged)
	}
}

// A call that outlives its client writes nothing to a response that has ended.
func TestNothingIsWrittenToAnSSEStreamThatEnded(t *testing.T) {
	s := New(Config{Methods: newWorld().methods()})
	old := newSSE(s, nil)
	ctx, gone := context.WithCancel(t.Context())
	gone()
	w := httptest.NewRecorder()
	var left *ssePeer
	old.listen(&spy{w, func() {
		old.mu.Lock()
		defer old.mu.Unlock()
		for _, p := range old.peers {
			left = p
		}
	}}, httptest.NewRequestWithContext(ctx, http.MethodGet, "/sse", nil))
	before := w.Body.Len()
	if err := left.notify("late"); !errors.Is(err, errBroken) || w.Body.Len() != before || len(old.peers) != 0 {
		t.Errorf("got %v and %q", err, w.Body)
	}
	if left.receive([]byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`), nil) {
		t.Error("a message was taken")
	}
}

// spy calls a function at every flush.
type spy struct {
	*httptest.ResponseRecorder
	look func()
}

func (s *spy) Flush() { s.look(); s.ResponseRecorder.Flush() }
