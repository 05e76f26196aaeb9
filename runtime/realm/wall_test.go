package realm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// patient is a server whose calls take a requested time, over pipes in a synctest bubble.
type patient struct {
	conns  chan net.Conn
	over   chan struct{}
	once   sync.Once
	mu     sync.Mutex
	stream io.Writer // the SSE stream
}

func (p *patient) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *patient) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *patient) Addr() net.Addr { return &net.TCPAddr{} }

func (p *patient) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

// answer returns the response to a message after the requested time; nil: there is none.
func (p *patient) answer(m *message) []byte {
	result := `{}`
	switch m.Method {
	case "initialize":
		result = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"patient","version":"1"}}`
	case "tools/call":
		var call struct {
			Arguments struct{ Take string }
		}
		if json.Unmarshal(m.Params, &call) != nil {
			return nil
		}
		take, _ := time.ParseDuration(call.Arguments.Take)
		time.Sleep(take)
		result = `{"content":[{"type":"text","text":"at last"}]}`
	}
	if len(m.ID) == 0 {
		return nil
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
}

func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m message
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/sse":
		w.Header().Set("Content-Type", "text/event-stream")
		p.mu.Lock()
		p.stream = w
		fmt.Fprint(w, "event: endpoint\ndata: /message\n\n")
		_ = http.NewResponseController(w).Flush() // a pipe takes it
		p.mu.Unlock()
		<-r.Context().Done()
		p.mu.Lock()
		p.stream = nil
		p.mu.Unlock()
	case r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case r.URL.Path == "/message":
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		if answer := p.answer(&m); answer != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.stream == nil {
				return
			}
			fmt.Fprintf(p.stream, "event: message\ndata: %s\n\n", answer)
			_ = http.NewResponseController(p.stream.(http.ResponseWriter)).Flush()
		}
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(p.answer(&m)) // an empty body to a notification
	}
}

// TestNoHiddenLimit makes calls of a minute, of ten and of a day on every transport with the default limits.
func TestNoHiddenLimit(t *testing.T) {
	for _, kind := range []string{transportStdio, transportHTTP, transportSSE} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := connectPatient(t, kind)
				for _, take := range []string{"1s", "65s", "10m", "24h"} {
					began := time.Now()
					result, f := call(t.Context(), take)
					if f != nil || result != `{"content":[{"type":"text","text":"at last"}]}` {
						t.Fatalf("a call of %s ends with %q, %+v", take, result, f)
					}
					if want, _ := time.ParseDuration(take); time.Since(began) < want {
						t.Errorf("a call of %s took %s", take, time.Since(began))
					}
				}
				cause := schemas.Errorf(schemas.CodeTimeout, "the timeout of the node")
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, cause)
				defer cancel()
				began := time.Now()
				_, f := call(ctx, "2h")
				if f == nil || !errors.Is(f.cause, cause) || !f.sent || time.Since(began) != time.Hour {
					t.Errorf("the timeout gives %+v after %s", f, time.Since(began))
				}
				time.Sleep(2 * time.Hour) // until the server is done with it
			})
		})
	}
}

// connectPatient connects to a new server and returns what calls it.
func connectPatient(t *testing.T, kind string) func(ctx context.Context, take string) (string, *fault) {
	p := &patient{conns: make(chan net.Conn), over: make(chan struct{})}
	var c *conn
	if kind == transportStdio {
		in, theirOut := io.Pipe()
		theirIn, out := io.Pipe()
		var serving sync.WaitGroup
		serving.Go(func() {
			for lines := bufio.NewScanner(theirIn); lines.Scan(); {
				var m message
				if json.Unmarshal(lines.Bytes(), &m) == nil {
					if answer := p.answer(&m); answer != nil {
						_, _ = theirOut.Write(append(answer, '\n')) // the request may have ended
					}
				}
			}
		})
		c = &conn{kind: kind, tr: newPipe(in, out, DefaultLimits.MaxMessage, hclog.NewNullLogger()), done: make(chan struct{}), abandoned: make(chan int64, 8)}
		if err := c.tr.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = theirOut.Close()
			_ = c.tr.Close()
			serving.Wait()
		})
	} else {
		srv := &http.Server{Handler: p, ReadHeaderTimeout: time.Second}
		var serving sync.WaitGroup
		serving.Go(func() { _ = srv.Serve(p) })
		path := map[string]string{transportHTTP: "/mcp", transportSSE: "/sse"}[kind]
		d := dialer{
			name: "patient", kind: kind, protocol: "2025-06-18", limits: DefaultLimits, log: hclog.NewNullLogger(), network: p.dial,
			spec: schemas.Realm{URL: "http://patient.example" + path},
		}
		var err error
		if c, err = d.dial(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			c.fail(net.ErrClosed)
			c.close()
			_ = srv.Close()
			serving.Wait()
		})
	}
	return func(ctx context.Context, take string) (string, *fault) {
		params := fmt.Appendf(nil, `{"name":"wait","arguments":{"take":%q}}`, take)
		result, f := c.request(ctx, c.ids.Add(1), "tools/call", params, nil)
		return string(result), f
	}
}
