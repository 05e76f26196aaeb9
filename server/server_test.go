package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// method is a method for tests. It is only a tools.Method, so that the server is tested without a runtime.
func method(name string, effect tools.Effect, call func(ctx context.Context, r tools.Request) (any, error)) tools.Method {
	return tools.Method{
		Contract: "Test", Name: name, Title: "The " + name, Description: "Does " + name + ".", Effect: effect,
		Input:  json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}`),
		Output: json.RawMessage(`{"type":"object"}`),
		Call: func(ctx context.Context, _ *runtime.Runtime, r tools.Request) (any, error) {
			return call(ctx, r)
		},
	}
}

// world is a set of methods with every behaviour that matters here.
type world struct {
	started chan string                                    // a slow call began
	ended   chan error                                     // and ended, with the cause of its context
	release chan struct{}                                  // ends slow calls well
	stray   chan func(done, total float64, message string) // progress of calls that have ended
}

func newWorld() *world {
	return &world{started: make(chan string, 2*maxInFlight), ended: make(chan error, 2*maxInFlight), release: make(chan struct{}), stray: make(chan func(float64, float64, string), 2*maxInFlight)}
}

var errInside = errors.New("disk /var/secret is full")

func (w *world) methods() []tools.Method {
	return []tools.Method{
		method("zebra", tools.Reads, func(_ context.Context, r tools.Request) (any, error) {
			return map[string]any{"got": r.Arguments, "mark": "<&>"}, nil
		}),
		method("slow", tools.Acts, func(ctx context.Context, r tools.Request) (any, error) {
			w.started <- string(r.Arguments)
			select {
			case <-w.release:
				w.ended <- nil
				return map[string]any{"done": true}, nil
			case <-ctx.Done():
				w.ended <- context.Cause(ctx)
				return nil, fmt.Errorf("wait: %w", ctx.Err())
			}
		}),
		method("count", tools.Adds, func(_ context.Context, r tools.Request) (any, error) {
			if r.Progress != nil {
				for i := range 10 {
					r.Progress(float64(i+1), 10, fmt.Sprintf("%s %d", r.Arguments, i+1))
				}
				r.Progress(3, 10, "does not rise")
				w.stray <- r.Progress
			}
			return map[string]any{"ok": true}, nil
		}),
		method("refuse", tools.Sets, func(context.Context, tools.Request) (any, error) {
			return nil, fmt.Errorf("look: %w", schemas.Errorf(schemas.CodeNotFound, "no execution %q", "x").WithField("execution_id"))
		}),
		method("break", tools.Destroys, func(context.Context, tools.Request) (any, error) { return nil, errInside }),
		method("panic", tools.Reads, func(context.Context, tools.Request) (any, error) { panic("out of cheese") }),
		method("unprintable", tools.Reads, func(context.Context, tools.Request) (any, error) { return map[string]any{"f": func() {}}, nil }),
	}
}

// logOf collects what a server logs.
func logOf(level hclog.Level) (hclog.Logger, *lockedBuffer) {
	b := &lockedBuffer{}
	return hclog.New(&hclog.LoggerOptions{Level: level, Output: b}), b
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// connect initializes a client and returns it with a function that calls a tool.
func connect(t testing.TB, c *client.Client) *client.Client {
	t.Helper()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var r mcp.InitializeRequest
	r.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	r.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if _, err := c.Initialize(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return c
}

func request(name, arguments string, token any) mcp.CallToolRequest {
	var r mcp.CallToolRequest
	r.Params.Name = name
	r.Params.Arguments = json.RawMessage(arguments)
	if token != nil {
		r.Params.Meta = &mcp.Meta{ProgressToken: token}
	}
	return r
}

func text(t testing.TB, r *mcp.CallToolResult) string {
	t.Helper()
	if len(r.Content) != 1 {
		t.Fatalf("got %d blocks, want 1", len(r.Content))
	}
	c, ok := r.Content[0].(mcp.TextContent)
	if !ok {
		t.Fatalf("got a %T, want text", r.Content[0])
	}
	return c.Text
}

// wireError decodes the error of a result and checks its form.
func wireError(t testing.TB, r *mcp.CallToolResult) *schemas.Error {
	t.Helper()
	if !r.IsError || r.StructuredContent != nil {
		t.Fatalf("isError %v, structuredContent %v; want an error without structuredContent", r.IsError, r.StructuredContent)
	}
	var body struct{ Error *schemas.Error }
	if err := json.Unmarshal([]byte(text(t, r)), &body); err != nil || body.Error == nil {
		t.Fatalf("text %q is no error: %v", text(t, r), err)
	}
	return body.Error
}

func inProcess(t *testing.T, s *Server) *client.Client {
	c, err := client.NewInProcessClient(s.mcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return connect(t, c)
}

func TestToolsAreListedInOrderAndWhole(t *testing.T) {
	methods := newWorld().methods()
	c := inProcess(t, New(Config{Methods: methods}))
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, tool := range list.Tools {
		got = append(got, tool.Name)
	}
	for _, m := range methods {
		want = append(want, m.Name)
	}
	if !slices.Equal(got, want) || list.NextCursor != "" {
		t.Fatalf("got %v and cursor %q, want %v on one page", got, list.NextCursor, want)
	}
	for i, tool := range list.Tools {
		h, a := methods[i].Effect.Hints(), tool.Annotations
		if a.ReadOnlyHint == nil || a.DestructiveHint == nil || a.IdempotentHint == nil || a.OpenWorldHint == nil {
			t.Fatalf("%s: an annotation is missing: %+v", tool.Name, a)
		}
		if (schemas.Hints{ReadOnly: *a.ReadOnlyHint, Destructive: *a.DestructiveHint, Idempotent: *a.IdempotentHint, OpenWorld: *a.OpenWorldHint}) != h {
			t.Errorf("%s: got annotations %+v, want %+v", tool.Name, a, h)
		}
		if tool.Title != methods[i].Title || tool.Description != methods[i].Description || tool.OutputSchema.Type != "object" || tool.InputSchema.Type != "object" {
			t.Errorf("%s is listed as %+v", tool.Name, tool)
		}
	}
}

func TestSuccessIsStructuredAndTheSameText(t *testing.T) {
	c := inProcess(t, New(Config{Methods: newWorld().methods()}))
	r, err := c.CallTool(t.Context(), request("zebra", `{"n":9007199254740993}`, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"got":{"n":9007199254740993},"mark":"<&>"}`
	if got := text(t, r); got != want {
		t.Errorf("text %s, want %s", got, want)
	}
	var a, b any
	structured, err := json.Marshal(r.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal(structured, &a) != nil || json.Unmarshal([]byte(want), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) || r.IsError {
		t.Errorf("structuredContent %s, want %s", structured, want)
	}
}

func TestErrorsReachTheModel(t *testing.T) {
	for _, tt := range []struct {
		tool      string
		code      schemas.Code
		says      string
		mustLog   []string
		mustNotGo string // to the client
	}{
		{"refuse", schemas.CodeNotFound, `no execution "x"`, []string{"[DEBUG] call: tool=refuse", "code=not_found"}, "look:"},
		{"break", schemas.CodeInternal, "trace 0af7651916cd43dd8448eb211c80319c", []string{"[WARN]", "tool=break", "trace_id=0af7651916cd43dd8448eb211c80319c", errInside.Error()}, "secret"},
		{"panic", schemas.CodeInternal, "trace 0af7651916cd43dd8448eb211c80319c", []string{"[ERROR]", "out of cheese", "server_test.go", "code=internal"}, "cheese"},
		{"unprintable", schemas.CodeInternal, "trace", []string{"[WARN]", "encode result"}, "func"},
		{"zebra", "", "", []string{"[DEBUG] call: tool=zebra", "code=ok", "ms="}, ""},
	} {
		t.Run(tt.tool, func(t *testing.T) {
			log, logged := logOf(hclog.Debug)
			c := inProcess(t, New(Config{Methods: newWorld().methods(), Log: log}))
			call := request(tt.tool, `{"n":424242}`, nil)
			call.Params.Meta = &mcp.Meta{AdditionalFields: map[string]any{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
			r, err := c.CallTool(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			if tt.code != "" {
				if e := wireError(t, r); e.Code != tt.code || !strings.Contains(e.Message, tt.says) || e.Hint == "" {
					t.Errorf("got %+v, want %s that says %q", e, tt.code, tt.says)
				}
				if strings.Contains(text(t, r), tt.mustNotGo) {
					t.Errorf("the client reads %s", text(t, r))
				}
			}
			for _, want := range tt.mustLog {
				if !strings.Contains(logged.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, logged)
				}
			}
			if strings.Contains(logged.String(), "424242") {
				t.Errorf("the log has the arguments:\n%s", logged)
			}
		})
	}
}

// A call without a valid traceparent gets a new trace id.
func TestEveryCallHasATraceID(t *testing.T) {
	seen := map[string]bool{}
	h := traced(func(_ context.Context, c *call) (json.RawMessage, error) {
		if len(c.traceID) != 32 || seen[c.traceID] || strings.Trim(c.traceID, "0") == "" {
			t.Errorf("trace id %q for traceparent %q", c.traceID, c.traceparent)
		}
		seen[c.traceID] = true
		return nil, nil
	})
	for _, parent := range []string{"", "00-zz", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nx"} {
		_, _ = h(t.Context(), &call{traceparent: parent})
	}
}

func TestTwoMethodsOfOneNamePanicAtStart(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	m := newWorld().methods()[0]
	New(Config{Methods: []tools.Method{m, m}})
}

// A call whose context ended returns the cause; other errors are unchanged.
func TestEndedSaysWhy(t *testing.T) {
	live := t.Context()
	plain, cancel := context.WithCancel(live)
	cancel()
	stopping, stop := context.WithCancelCause(live)
	stop(errStopping)
	for _, tt := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a row
		err  error
		want schemas.Code
	}{
		{"cancelled", plain, fmt.Errorf("wait: %w", context.Canceled), schemas.CodeCancelled},
		{"stopping", stopping, context.Canceled, schemas.CodeUnavailable},
		{"stopping, as its cause", stopping, context.Cause(stopping), schemas.CodeUnavailable},
		{"another error after the end", stopping, errInside, schemas.CodeInternal},
		{"another context", live, context.Canceled, schemas.CodeInternal},
		{"a real error after the end", stopping, schemas.Errorf(schemas.CodeTimeout, "x"), schemas.CodeTimeout},
	} {
		if got := schemas.AsError(ended(tt.ctx, tt.err)).Code; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// stdioClient serves s over pipes to a client of mcp-go. done gets what Stdio returns; closing in is the end of input.
func stdioClient(t *testing.T, s *Server, options ...client.ClientOption) (c *client.Client, in io.Closer, done chan error) {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	t.Cleanup(func() { inW.Close(); outR.Close() })
	done = make(chan error, 1)
	go func() {
		err := s.Stdio(t.Context(), inR, outW)
		outW.Close()
		done <- err
	}()
	c = connect(t, client.NewClient(transport.NewIO(outR, inW, io.NopCloser(strings.NewReader(""))), options...))
	return c, inW, done
}
