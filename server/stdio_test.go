package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// wire is the client's side of Stdio, line by line.
type wire struct {
	t    *testing.T
	in   *io.PipeWriter
	out  *bufio.Reader
	done chan error
}

func dial(ctx context.Context, t *testing.T, s *Server) *wire {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	w := &wire{t: t, in: inW, out: bufio.NewReader(outR), done: make(chan error, 1)}
	go func() {
		err := s.Stdio(ctx, inR, outW)
		outW.Close()
		w.done <- err
	}()
	t.Cleanup(func() { inW.Close(); outR.Close() })
	return w
}

func (w *wire) send(format string, args ...any) {
	w.t.Helper()
	if _, err := fmt.Fprintf(w.in, format+"\n", args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) call(id int, tool, arguments string) {
	w.t.Helper()
	w.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s,"_meta":{"progressToken":%d}}}`, id, tool, arguments, id)
}

// received is any message of the server.
type received struct {
	ID     json.RawMessage
	Method string
	Params progressParams
	Result *struct {
		IsError           bool
		StructuredContent json.RawMessage
		Content           []struct{ Text string }
	}
	Error *mcp.JSONRPCErrorDetails
}

func (r received) code() schemas.Code {
	var body struct{ Error schemas.Error }
	if r.Result == nil || !r.Result.IsError || json.Unmarshal([]byte(r.Result.Content[0].Text), &body) != nil {
		return ""
	}
	return body.Error.Code
}

func (w *wire) next() received {
	w.t.Helper()
	l, err := w.out.ReadBytes('\n')
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	return parse(w.t, l)
}

func parse(t *testing.T, l []byte) (r received) {
	t.Helper()
	if err := json.Unmarshal(l, &r); err != nil {
		t.Fatalf("line %.200s: %v", l, err)
	}
	return r
}

func TestProgressComesWholeAndBeforeTheAnswer(t *testing.T) {
	w := newWorld()
	c := dial(t.Context(), t, New(Config{Methods: w.methods()}))
	const calls = 50
	go func() {
		for id := range calls {
			c.call(id, "count", "{}")
		}
	}()
	last := map[string]float64{}
	for answered := 0; answered < calls; {
		r := c.next()
		if r.Method == "notifications/progress" {
			token := fmt.Sprint(r.Params.ProgressToken)
			if r.Params.Progress != last[token]+1 || r.Params.Total != 10 || r.Params.Message != fmt.Sprintf("{} %v", r.Params.Progress) {
				t.Fatalf("after %v came %+v", last[token], r.Params)
			}
			last[token]++
			continue
		}
		if r.Error != nil || r.Result == nil || last[string(r.ID)] != 10 {
			t.Fatalf("answer %s came after %v of 10: %+v", r.ID, last[string(r.ID)], r)
		}
		last[string(r.ID)] = -1 // one more would not rise from here
		answered++
	}
	for range calls {
		(<-w.stray)(99, 100, "after the answer")
	}
	c.call(1000, "zebra", "{}")
	if r := c.next(); string(r.ID) != "1000" {
		t.Errorf("after the answers came %+v", r)
	}
}

func TestProgressOnlyOnRequest(t *testing.T) {
	c := dial(t.Context(), t, New(Config{Methods: newWorld().methods()}))
	c.send(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"count"}}`)
	if r := c.next(); string(r.ID) != `"a"` || r.Result == nil {
		t.Errorf("got %+v, want the answer and nothing else", r)
	}
}

// More slow calls than may run at once delay neither requests that are not calls nor each other's end.
func TestSlowCallsDelayNoOthers(t *testing.T) {
	w := newWorld()
	c := dial(t.Context(), t, New(Config{Methods: w.methods()}))
	for id := range 200 {
		c.call(id, "slow", "{}")
	}
	for range 200 {
		<-w.started
	}
	c.call(1000, "zebra", "{}")
	if r := c.next(); string(r.ID) != "1000" || r.Result == nil {
		t.Fatalf("got %+v", r)
	}
	for id := 200; id < maxCalls; id++ {
		c.call(id, "slow", "{}")
		<-w.started
	}
	c.call(2000, "slow", `{"queued":true}`) // waits for a slot
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2000}}`)
	c.send(`{"jsonrpc":"2.0","id":2001,"method":"ping"}`)
	if r := c.next(); string(r.ID) != "2001" || r.Error != nil {
		t.Fatalf("got %+v", r)
	}
	close(w.release)
	for range maxCalls {
		if r := c.next(); string(r.ID) == "2000" || r.Result == nil || r.Result.IsError {
			t.Fatalf("got %+v", r)
		}
	}
	c.in.Close()
	if err := <-c.done; err != nil || len(w.started) != 0 {
		t.Errorf("Stdio: %v; the cancelled call started: %v", err, len(w.started) != 0)
	}
}

func TestCancelEndsTheWaitWithoutAnAnswer(t *testing.T) {
	w := newWorld()
	c := dial(t.Context(), t, New(Config{Methods: w.methods()}))
	c.call(1, "slow", "{}")
	c.call(2, "slow", "{}")
	<-w.started
	<-w.started
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"enough"}}`)
	if cause := <-w.ended; !errors.Is(cause, errClientCancelled) {
		t.Errorf("the call ended with %v", cause)
	}
	close(w.release)
	if r := c.next(); string(r.ID) != "2" {
		t.Errorf("got %+v, want the answer of 2 alone", r)
	}
}

const hello = `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
`

func TestEndOfInputAnswersEverything(t *testing.T) {
	s := New(Config{Methods: newWorld().methods()})
	for range 20 {
		in := bytes.NewBufferString(hello)
		for id := range 20 {
			fmt.Fprintf(in, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"zebra","arguments":{}}}`+"\n", id)
		}
		in.WriteString(`{"jsonrpc":"2.0","id":"last","method":"tools/list"}`) // without an end of line
		var out bytes.Buffer
		if err := s.Stdio(t.Context(), in, &out); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for l := range bytes.Lines(out.Bytes()) {
			if r := parse(t, l); r.Error == nil {
				seen[string(r.ID)] = true
			}
		}
		if len(seen) != 22 {
			t.Fatalf("%d of 22 were answered", len(seen))
		}
	}
}

func TestEndOfInputCutsOffWhatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := dial(t.Context(), t, New(Config{Methods: w.methods(), Drain: 10 * time.Second}))
		c.call(1, "slow", "{}")
		<-w.started
		began := time.Now()
		c.in.Close()
		if r := c.next(); r.code() != schemas.CodeUnavailable {
			t.Errorf("got %+v", r)
		}
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %s, want 10 s", took)
		}
	})
}

// A client that closes stdin and then terminates the process leaves little time.
func TestEndOfContextHurries(t *testing.T) {
	for name, closeFirst := range map[string]bool{"at once": false, "while draining": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				ctx, cancel := context.WithCancel(t.Context())
				c := dial(ctx, t, New(Config{Methods: w.methods()}))
				c.call(1, "slow", "{}")
				<-w.started
				if closeFirst {
					c.in.Close()
				}
				time.Sleep(2 * time.Second)
				cancel()
				began := time.Now()
				if r := c.next(); r.code() != schemas.CodeUnavailable {
					t.Errorf("got %+v", r)
				}
				if err := <-c.done; err != nil || time.Since(began) > 2*time.Second {
					t.Errorf("Stdio returned %v after %s", err, time.Since(began))
				}
				c.in.Close()
			})
		})
	}
}

// A call whose client is gone cannot delay the end.
func TestCallThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		deaf := method("deaf", tools.Acts, func(context.Context, tools.Request) (any, error) { <-forever; return nil, nil })
		c := dial(t.Context(), t, New(Config{Methods: []tools.Method{deaf}}))
		c.call(1, "deaf", "{}")
		c.in.Close()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		close(forever)
	})
}

func TestBadMessagesAreAnsweredAndTheNextOneServed(t *testing.T) {
	big := strings.Repeat("x", maxMessage)
	for _, tt := range []struct {
		name, message string
		id            string
		code          int
		says          string
	}{
		{"no JSON", `{"jsonrpc":`, "null", mcp.PARSE_ERROR, "not JSON"},
		{"a batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "null", mcp.INVALID_REQUEST, "batches"},
		{"a wrong id", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, "null", mcp.INVALID_REQUEST, "id"},
		{"no method", `{"jsonrpc":"2.0","id":7}`, "7", mcp.INVALID_REQUEST, "method"},
		{"another version", `{"jsonrpc":"1.0","id":7,"method":"ping"}`, "7", mcp.INVALID_REQUEST, "version"},
		{"an unknown method", `{"jsonrpc":"2.0","id":7,"method":"tools/lst"}`, "7", mcp.METHOD_NOT_FOUND, "tools/lst"},
		{"an unknown tool", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"zebar"}}`, "7", mcp.INVALID_PARAMS, `no tool "zebar"; did you mean "zebra"?`},
		{"too long, id first", `{"jsonrpc":"2.0","id":8,"method":"ping","params":{"x":"` + big + `"}}`, "8", mcp.INVALID_REQUEST, "larger than 4 MiB"},
		{"too long, id last", `{"method":"ping","params":{"id":5,"x":"` + big + `"},"jsonrpc":"2.0","id":"a-9"}`, `"a-9"`, mcp.INVALID_REQUEST, "larger than 4 MiB"},
		{"too long, id hidden", `{"method":"ping","id":8,"params":{"x":"` + big + `","id":5}}`, "null", mcp.INVALID_REQUEST, "larger than 4 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t.Context(), t, New(Config{Methods: newWorld().methods()}))
			c.send("%s", tt.message)
			r := c.next()
			if r.Error == nil || string(r.ID) != tt.id || r.Error.Code != tt.code || !strings.Contains(r.Error.Message, tt.says) {
				t.Errorf("got id %s, %+v; want id %s, %d that says %q", r.ID, r.Error, tt.id, tt.code, tt.says)
			}
			c.send("\r\n  \n" + `{"jsonrpc":"2.0","id":99,"result":{}}`) // empty lines, and a response to no request
			c.send(`{"jsonrpc":"2.0","id":100,"method":"ping"}`)
			if r := c.next(); string(r.ID) != "100" || r.Error != nil {
				t.Errorf("then got %+v", r)
			}
		})
	}
}

func TestIDInUseIsRefused(t *testing.T) {
	w := newWorld()
	c := dial(t.Context(), t, New(Config{Methods: w.methods()}))
	c.call(1, "slow", "{}")
	<-w.started
	c.call(1, "slow", "{}")
	if r := c.next(); r.Error == nil || !strings.Contains(r.Error.Message, "in flight") {
		t.Errorf("got %+v", r)
	}
	close(w.release)
	if r := c.next(); r.Error != nil || string(r.ID) != "1" {
		t.Errorf("got %+v", r)
	}
}

func TestFloodOfRequestsIsRefusedNotKept(t *testing.T) {
	w := newWorld()
	c := dial(t.Context(), t, New(Config{Methods: w.methods()}))
	for id := range maxInFlight {
		c.call(id, "slow", "{}")
	}
	c.call(maxInFlight, "slow", "{}")
	if r := c.next(); r.Error == nil || string(r.ID) != fmt.Sprint(maxInFlight) {
		t.Errorf("got %+v", r)
	}
	close(w.release)
	for range maxInFlight {
		if r := c.next(); r.Error != nil {
			t.Fatalf("got %+v", r)
		}
	}
}

type failing struct{}

var errPipe = errors.New("broken pipe")

func (failing) Read([]byte) (int, error)  { return 0, errPipe }
func (failing) Write([]byte) (int, error) { return 0, errPipe }

func TestBrokenStreamsEndStdio(t *testing.T) {
	s := New(Config{Methods: newWorld().methods()})
	if err := s.Stdio(t.Context(), failing{}, io.Discard); !errors.Is(err, errPipe) {
		t.Errorf("reading: got %v", err)
	}
	in, out := io.Pipe()
	defer out.Close()
	go io.WriteString(out, hello)
	if err := s.Stdio(t.Context(), in, failing{}); err == nil || !strings.Contains(err.Error(), "write") {
		t.Errorf("writing: got %v", err)
	}
}

// mcp-go's client uses the newest protocol.
func TestClientOverStdio(t *testing.T) {
	c, in, done := stdioClient(t, New(Config{Methods: newWorld().methods()}))
	if v := c.ProtocolVersion(); v != mcp.LATEST_PROTOCOL_VERSION {
		t.Errorf("protocol %s, want %s", v, mcp.LATEST_PROTOCOL_VERSION)
	}
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil || len(list.Tools) == 0 || list.Tools[0].Name != "zebra" {
		t.Fatalf("got %v, %v", list, err)
	}
	r, err := c.CallTool(t.Context(), request("refuse", "{}", nil))
	if err != nil || wireError(t, r).Code != schemas.CodeNotFound {
		t.Errorf("got %v, %v", r, err)
	}
	in.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClientContextEndReachesTheCall(t *testing.T) {
	w := newWorld()
	c, _, _ := stdioClient(t, New(Config{Methods: w.methods()}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-w.started; cancel() }()
	if _, err := c.CallTool(ctx, request("slow", "{}", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if cause := <-w.ended; !errors.Is(cause, errClientCancelled) {
		t.Errorf("the call ended with %v", cause)
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\nb"), 3)
	f.Add([]byte("\n\n{}\r\n"), 16)
	f.Fuzz(func(t *testing.T, data []byte, _ int) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 16)
		var got []string
		for {
			l := readLine(r)
			if l.err != nil {
				break
			}
			if len(l.text) > 0 {
				got = append(got, string(l.text))
			}
		}
		var want []string
		for l := range bytes.SplitSeq(data, []byte("\n")) {
			if l = bytes.TrimSpace(l); len(l) > 0 {
				want = append(want, string(l))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
