package realm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// remote is an MCP server over HTTP in this process.
type remote struct {
	mcp       *mcpserver.MCPServer
	cancelled chan struct{} // a sleeping call noticed its end
	running   chan struct{} // a call began to sleep
}

func newRemote() *remote {
	r := &remote{mcp: mcpserver.NewMCPServer("remote", "2", mcpserver.WithToolCapabilities(true)), cancelled: make(chan struct{}, 16), running: make(chan struct{}, 16)}
	r.mcp.AddTools(
		mcpserver.ServerTool{Tool: mcp.NewTool("echo", mcp.WithString("msg")), Handler: func(_ context.Context, q mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText(q.GetString("msg", "")), nil
		}},
		mcpserver.ServerTool{Tool: mcp.NewTool("big", mcp.WithNumber("bytes")), Handler: func(_ context.Context, q mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText(strings.Repeat("x", q.GetInt("bytes", 0))), nil
		}},
		mcpserver.ServerTool{Tool: mcp.NewTool("steps"), Handler: func(ctx context.Context, q mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			for i := 1; i <= 3; i++ {
				if err := r.mcp.SendNotificationToClient(ctx, "notifications/progress", map[string]any{"progressToken": q.Params.Meta.ProgressToken, "progress": i, "total": 3}); err != nil {
					return nil, err
				}
				time.Sleep(20 * time.Millisecond) // the library may lose one that comes with the result
			}
			return mcp.NewToolResultText("done"), nil
		}},
		mcpserver.ServerTool{Tool: mcp.NewTool("sleep"), Handler: func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			r.running <- struct{}{}
			<-ctx.Done()
			r.cancelled <- struct{}{}
			return nil, ctx.Err()
		}},
	)
	return r
}

// handler serves streamable HTTP at /mcp and SSE at /sse.
func (r *remote) handler(base string) http.Handler {
	sse := mcpserver.NewSSEServer(r.mcp, mcpserver.WithBaseURL(base))
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcpserver.NewStreamableHTTPServer(r.mcp, mcpserver.WithStateful(true)))
	mux.Handle("/sse", sse.SSEHandler())
	mux.Handle("/message", sse.MessageHandler())
	return mux
}

// host is a listener that can be stopped and started again on the same address.
type host struct {
	addr string
	srv  *http.Server
	wg   sync.WaitGroup
}

func (h *host) start(t *testing.T, handler func(base string) http.Handler) {
	t.Helper()
	if h.addr == "" {
		h.addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	h.srv = &http.Server{Handler: handler("http://" + h.addr), ReadHeaderTimeout: time.Second}
	h.wg.Go(func() { _ = h.srv.Serve(l) }) // it ends by stop
}

func (h *host) stop() {
	_ = h.srv.Close()
	h.wg.Wait()
}

// transports are the ways to reach a remote: the protocol is chosen by the handshake or pinned to the older one.
var transports = []struct{ name, kind, path, protocol string }{
	{"http modern", "http", "/mcp", ""},
	{"http legacy", "streamable-http", "/mcp", "2025-11-25"},
	{"sse", "sse", "/sse", ""},
}

func overHTTP(t *testing.T, test func(t *testing.T, p *Pool, r *remote, h *host)) {
	for _, tt := range transports {
		t.Run(tt.name, func(t *testing.T) {
			r, h := newRemote(), &host{}
			h.start(t, r.handler)
			defer func() { h.stop() }()
			limits := quick
			limits.MaxMessage = 1 << 20
			var policies schemas.Policies
			policies.Default.Protocol = tt.protocol
			p := run(t, Config{Realms: realms("remote", schemas.Realm{Type: tt.kind, URL: "http://" + h.addr + tt.path}), Limits: limits, Policies: policies})
			test(t, p, r, h)
		})
	}
}

func TestHTTPCallsListsAndProgress(t *testing.T) {
	overHTTP(t, func(t *testing.T, p *Pool, _ *remote, _ *host) {
		if got := mustInvoke(t, p, "remote", "echo", `{"msg":"hi"}`); got.Text != "hi" {
			t.Errorf("got %q", got.Text)
		}
		if names, err := p.Catalog(t.Context(), nil).Tools("remote"); err != nil || len(names) != 4 {
			t.Errorf("tools are %v, %v", names, err)
		}
		var steps []float64
		c := ask("remote", "steps", `{}`)
		c.Progress = func(p call.Progress) { steps = append(steps, p.Done) }
		if _, err := p.Invoke(t.Context(), c); err != nil || !slices.Equal(steps, []float64{1, 2, 3}) {
			t.Errorf("steps %v, %v", steps, err)
		}
		if h := health(p, "remote"); h.State != schemas.RealmReady || h.Server != "remote 2" || h.Protocol == "" {
			t.Errorf("health is %+v", h)
		}
	})
}

func TestCancelOverHTTPReachesTheRealm(t *testing.T) {
	overHTTP(t, func(t *testing.T, p *Pool, r *remote, _ *host) {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := p.Invoke(ctx, ask("remote", "sleep", `{}`))
			failed <- err
		}()
		await(t, r.running)
		cancel()
		wantError(t, await(t, failed), schemas.CodeCancelled, schemas.Unknown, "cancelled")
		await(t, r.cancelled)
		mustInvoke(t, p, "remote", "echo", `{}`)
	})
}

func TestHTTPDeadlineIsNotAFailureOfTheRealm(t *testing.T) {
	overHTTP(t, func(t *testing.T, p *Pool, r *remote, _ *host) {
		mustInvoke(t, p, "remote", "echo", `{}`)
		for range 6 {
			cause := schemas.Errorf(schemas.CodeTimeout, "the timeout of the node")
			ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
			_, err := p.Invoke(ctx, ask("remote", "sleep", `{}`))
			cancel()
			wantError(t, err, schemas.CodeTimeout, schemas.Unknown, "the timeout of the node")
			await(t, r.running)
			await(t, r.cancelled)
		}
	})
}

func TestRestartedServerIsConnectedAgain(t *testing.T) {
	overHTTP(t, func(t *testing.T, p *Pool, r *remote, h *host) {
		mustInvoke(t, p, "remote", "echo", `{}`)
		failed := make(chan error, 1)
		go func() {
			_, err := p.Invoke(context.Background(), ask("remote", "sleep", `{}`))
			failed <- err
		}()
		await(t, r.running)
		h.stop()
		wantError(t, await(t, failed), schemas.CodeUnavailable, schemas.Unknown, "before the answer")
		// One more call may fail on a connection whose end was not detected yet.
		eventually(t, "calls are refused for certain", func() bool {
			_, err := invoke(t, p, "remote", "echo", `{}`)
			e, ok := errors.AsType[*schemas.Error](err)
			return ok && e.Outcome == schemas.NotRun && strings.Contains(e.Message, "refused")
		})

		h.start(t, newRemote().handler)
		eventually(t, "calls succeed again", func() bool {
			_, err := invoke(t, p, "remote", "echo", `{}`)
			return err == nil
		})
	})
}

func TestAnswerOverHTTPLargerThanTheLimit(t *testing.T) {
	overHTTP(t, func(t *testing.T, p *Pool, _ *remote, _ *host) {
		_, err := invoke(t, p, "remote", "big", `{"bytes":3000000}`)
		wantError(t, err, schemas.CodePayloadTooLarge, schemas.RanFailed, "larger than the limit")
		if got := mustInvoke(t, p, "remote", "big", `{"bytes":1000000}`); len(got.Text) != 1_000_000 {
			t.Errorf("got %d bytes", len(got.Text))
		}
	})
}

func TestHTTPUnknownToolIsNotFound(t *testing.T) {
	overHTTP(t, func(t *testing.T, p *Pool, _ *remote, _ *host) {
		_, err := invoke(t, p, "remote", "ecoh", `{}`)
		wantError(t, err, schemas.CodeNotFound, schemas.NotRun, "no such tool")
		mustInvoke(t, p, "remote", "echo", `{}`)
	})
}

// legacyScript is a server of the older streamable HTTP that drops its sessions on request.
type legacyScript struct {
	refuse   int          // the status with which an unknown session is refused
	words    string       // the answer to one; empty: as the TypeScript SDK has it
	session  atomic.Int64 // the one it knows
	starts   atomic.Int64
	executed atomic.Int64
}

func (s *legacyScript) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var m message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	reply := func(result string) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	}
	current := fmt.Sprint(s.session.Load())
	switch {
	case m.Method == "initialize":
		s.starts.Add(1)
		w.Header().Set("Mcp-Session-Id", current)
		reply(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}`)
	case m.Method == "server/discover":
		reply(`{}`) // as servers do that answer everything
	case r.Header.Get("Mcp-Session-Id") != current:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(s.refuse)
		fmt.Fprint(w, strings.ReplaceAll(cmp.Or(s.words, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}`), "ID", string(m.ID)))
	case m.Method == "tools/list":
		reply(`{"tools":[{"name":"go","inputSchema":{"type":"object"}}]}`)
	case m.Method == "tools/call":
		s.executed.Add(1)
		reply(`{"content":[{"type":"text","text":"ok"}]}`)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func TestLostSessionIsReplacedOnceAndTheCallRepeated(t *testing.T) {
	for _, tt := range []struct {
		refuse int
		words  string
	}{
		{404, ""},
		{400, ""},
		{400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}`},
		{410, "Gone"},
		{200, `{"jsonrpc":"2.0","id":ID,"error":{"code":-32600,"message":"Session not found"}}`},
		{200, `{"jsonrpc":"2.0","id":ID,"error":{"code":-32001,"message":"session expired."}}`},
		{200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}`},
	} {
		t.Run(fmt.Sprint(tt.refuse, tt.words), func(t *testing.T) {
			s := &legacyScript{refuse: tt.refuse, words: tt.words}
			s.session.Store(1)
			ts := httptest.NewServer(s)
			defer ts.Close()
			p := run(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL})})
			mustInvoke(t, p, "r", "go", `{}`)
			if got := health(p, "r").Protocol; got != "2025-11-25" {
				t.Errorf("a server that answers server/discover with {} is spoken to in %s", got)
			}
			s.session.Store(2)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if _, err := p.Invoke(context.Background(), ask("r", "go", `{}`)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if got := s.executed.Load(); got != 21 {
				t.Errorf("the tool ran %d times for 21 calls", got)
			}
			if got := s.starts.Load(); got > 4 {
				t.Errorf("20 calls made %d sessions", got-1)
			}
			if h := health(p, "r"); h.ConsecutiveFailures != 0 || h.State != schemas.RealmReady {
				t.Errorf("health is %+v", h)
			}
		})
	}
}

// Only an error that says that the session is unknown, and nothing more, proves that the server did not look at the request.
func TestErrorsThatSpeakOfASession(t *testing.T) {
	for _, tt := range []struct {
		code  int
		words string
		want  bool
	}{
		{-32600, "Session not found", true},
		{-32600, "Bad Request: No valid session ID provided", true},
		{-32001, "Session has expired", true},
		{-32001, "Invalid session ID", true},
		{-32000, "Session expired", false}, // a tool may have that error
		{-32600, "Invalid or expired session", true},
		{-32600, "Unknown session", true},
		{-32600, "Session terminated", true},
		{-32600, "MCP server is not initialized", true},
		{-32603, "Session not found", false},
		{-32000, "Session not found: browser 5 was closed", false},
		{-32000, "the session of user ada is invalid", false},
		{-32602, "Invalid session ID", false},
		{-32000, "quota of this session exceeded", false},
		{-32000, "session limit reached", false},
	} {
		if got := forgetsSession(&mcp.JSONRPCErrorDetails{Code: tt.code, Message: tt.words}, false); got != tt.want {
			t.Errorf("%d %q: got %v", tt.code, tt.words, got)
		}
	}
}

// A server that forgets each session at once is told of as such, and its calls are not made again and again.
func TestServerThatForgetsEverySession(t *testing.T) {
	for _, words := range []string{"Gone", `{"jsonrpc":"2.0","id":ID,"error":{"code":-32600,"message":"Session not found"}}`} {
		s := &legacyScript{refuse: 410, words: words}
		if words[0] == '{' {
			s.refuse = 200
		}
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Body = io.NopCloser(bytes.NewReader(body)); bytes.Contains(body, []byte(`"tools/call"`)) {
				r.Header.Set("Mcp-Session-Id", "forgotten")
			}
			s.ServeHTTP(w, r)
		}))
		p := run(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL})})
		_, err := invoke(t, p, "r", "go", `{}`)
		wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, "does not keep the session")
		if n := s.starts.Load(); n > 4 {
			t.Errorf("one call made %d sessions", n)
		}
		ts.Close()
	}
}

// A proxy that adds a slash answers 301, which would turn a POST into a GET.
func TestRedirectsWithinTheOriginKeepThePost(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		s := &legacyScript{refuse: 404}
		var redirected atomic.Int64
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/mcp" {
				redirected.Add(1)
				http.Redirect(w, r, "/mcp/", status)
				return
			}
			s.ServeHTTP(w, r)
		}))
		p := run(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL + "/mcp"})})
		for range 20 {
			if got := mustInvoke(t, p, "r", "go", `{}`); got.Text != "ok" {
				t.Errorf("%d: got %q", status, got.Text)
			}
		}
		if n := redirected.Load(); (status == 301 || status == 308) && n > 5 {
			t.Errorf("%d, which is for good, was followed %d times", status, n)
		}
		ts.Close()
	}
	// A call that is answered with a redirect may have been made: it is not made again.
	s := &legacyScript{refuse: 404}
	var calls atomic.Int64
	done := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte(`"tools/call"`)) {
			calls.Add(1)
			http.Redirect(w, r, "/result", http.StatusFound)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.ServeHTTP(w, r)
	}))
	defer done.Close()
	led := run(t, Config{Realms: realms("r", schemas.Realm{URL: done.URL})})
	_, err := invoke(t, led, "r", "go", `{}`)
	wantError(t, err, schemas.CodeUnavailable, schemas.Unknown, "redirect")
	if n := calls.Load(); n != 1 {
		t.Errorf("the call was made %d times", n)
	}
	circle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }))
	defer circle.Close()
	p := run(t, Config{Realms: realms("r", schemas.Realm{URL: circle.URL})})
	if _, err := invoke(t, p, "r", "go", `{}`); err == nil {
		t.Error("a redirect to itself ends well")
	}
}

// TestStreamThatCannotBeResumedIsUnknown has a server that runs the call, ends the stream before the answer and then
// does not know it: a 404 to the attempt to resume is not about the call.
func TestStreamThatCannotBeResumedIsUnknown(t *testing.T) {
	s := &legacyScript{refuse: 404}
	var executed atomic.Int64
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch {
		case r.Header.Get("Last-Event-ID") != "":
			w.WriteHeader(http.StatusNotFound)
		case strings.Contains(string(body), `"tools/call"`):
			executed.Add(1)
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "retry: 10\nid: 1\ndata: \n\n")
		default:
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			s.ServeHTTP(w, r)
		}
	}))
	defer ts.Close()
	p := run(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL})})
	_, err := invoke(t, p, "r", "go", `{}`)
	wantError(t, err, schemas.CodeUnavailable, schemas.Unknown, "before the answer")
	if got := executed.Load(); got != 1 {
		t.Errorf("the tool ran %d times", got)
	}
}

func TestCredentialsDoNotFollowARedirect(t *testing.T) {
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Store(true) }))
	defer other.Close()
	ts := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer ts.Close()
	for _, kind := range []string{"http", "sse"} {
		p := run(t, Config{Realms: realms("r", schemas.Realm{Type: kind, URL: ts.URL, Headers: map[string]string{"X-Api-Key": "canary-secret"}})})
		_, err := invoke(t, p, "r", "go", `{}`)
		wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, "redirects to "+other.URL)
	}
	if leaked.Load() {
		t.Error("the other host got a request")
	}
}

func TestStatusOfARealmThatRefuses(t *testing.T) {
	for _, tt := range []struct {
		status  int
		code    schemas.Code
		message string
	}{
		{401, schemas.CodeDenied, "mcpServers.r.headers"},
		{404, schemas.CodeUnavailable, `"type": "sse"`},
		{405, schemas.CodeUnavailable, `"type": "sse"`},
		{500, schemas.CodeUnavailable, "500"},
	} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
			defer ts.Close()
			p := run(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL + "?key=canary-secret"})})
			_, err := invoke(t, p, "r", "go", `{}`)
			if e := wantError(t, err, tt.code, schemas.NotRun, tt.message); strings.Contains(e.Error(), "canary") {
				t.Errorf("the error holds the url's secret: %v", e)
			}
		})
	}
}

func TestEventsThatAreTooLargeBecomeErrors(t *testing.T) {
	big := strings.Repeat("x", 5000)
	stream := "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"" + big + "\"}\n\n" +
		"data: {\"result\":{\"a\":\"" + big + "\"},\"jsonrpc\":\"2.0\",\"id\":8}\n\n" +
		"data: {\"id\":9}\n\n"
	body := &eventBody{body: io.NopCloser(strings.NewReader(stream)), lines: newLineReader(strings.NewReader(stream), 1000), limit: 1000}
	got, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"id":7,"error":{"code":-1000001`, `"id":8,"error":{"code":-1000001`, "data: {\"id\":9}\n\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	many := strings.Repeat("data: "+strings.Repeat("x", 900)+"\n", 5) // one event of many lines
	body = &eventBody{body: io.NopCloser(strings.NewReader(many)), lines: newLineReader(strings.NewReader(many), 1000), limit: 1000}
	if _, err := io.ReadAll(body); !errors.Is(err, errTooLarge) {
		t.Errorf("an event of many lines ends with %v", err)
	}
}
