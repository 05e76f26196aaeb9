package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
)

func TestR5ForeignPagesAreRefused(t *testing.T) {
	w := newWorld()
	url, _, _ := serveHTTP(t, New(Config{Methods: w.methods()}))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	for _, tt := range []struct {
		name, host, origin string
		allowed            bool
	}{
		{"no browser", "", "", true},
		{"localhost", "localhost:" + port, "", true},
		{"a local page", "", "http://localhost:6274", true},
		{"a local page, IPv6", "[::1]:" + port, "http://[::1]:6274", true},
		{"a foreign host", "evil.example", "", false},
		{"a rebound name", "evil.example:" + port, "http://evil.example", false},
		{"a foreign page", "", "http://evil.example", false},
		{"a foreign page that looks near", "", "http://localhost.evil.example", false},
		{"another foreign page", "", "https://127.0.0.1.evil.example:443", false},
		{"a page of no origin", "", "null", false},
		{"a local page over TLS", "", "https://localhost:6274", true},
		{"a script", "", "javascript://localhost", false},
		{"a script on an address", "", "javascript://127.0.0.1:80", false},
		{"a file", "", "file://", false},
		{"a file of this host", "", "file://localhost", false},
		{"data", "", "data://localhost", false},
		{"an extension", "", "chrome-extension://localhost", false},
		{"a socket", "", "ws://localhost", false},
		{"no scheme", "", "//localhost", false},
		{"a host alone", "", "localhost:80", false},
		{"an unknown scheme", "", "x://[::1]", false},
		{"a user", "", "http://evil.example@localhost", false},
		{"a path", "", "http://localhost/evil.example", false},
		{"a query", "", "http://localhost?evil.example", false},
		{"two", "", "http://localhost http://evil.example", false},
		{"a list", "", "http://localhost, http://evil.example", false},
		{"no host", "127.0.0.1.evil.example", "", false},
	} {
		for _, path := range []string{"GET /healthz", "GET /readyz", "POST /mcp", "GET /mcp", "GET /nowhere", "POST /message?sessionId=x"} {
			method, path, _ := strings.Cut(path, " ")
			r, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tt.host
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			r.Header.Set("MCP-Protocol-Version", "2026-07-28") // else GET /mcp would stay open
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
			if (a.StatusCode != http.StatusForbidden) != tt.allowed {
				t.Errorf("%s: %s %s gives %d", tt.name, method, path, a.StatusCode)
			}
		}
	}
}

func TestBodyOverTheLimitIsRefused(t *testing.T) {
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	var session string
	post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
	call := func(n int) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"zebra","arguments":{"s":"` + strings.Repeat("x", n) + `"}}}`
	}
	status, _, lines := post(t, url+"/mcp", &session, both, call(maxMessage))
	if status != http.StatusRequestEntityTooLarge || len(lines) != 1 || !strings.Contains(lines[0], "payload_too_large") {
		t.Errorf("over the limit: %d, %v", status, lines)
	}
	if status, _, _ := post(t, url+"/mcp", &session, both, call(maxMessage-1000)); status != http.StatusOK {
		t.Errorf("under the limit: %d", status)
	}
	if status, _, _ := post(t, url+"/mcp", &session, both, `{"jsonrpc":`); status != http.StatusBadRequest {
		t.Errorf("no JSON: %d", status)
	}
	if status, _, _ := post(t, url+"/mcp", &session, both, strings.Repeat("[", 20000)); status != http.StatusBadRequest {
		t.Errorf("20,000 levels deep: %d", status)
	}
}

// Many clients send a whole message before they read: they too get the error that it is too large, although it exceeds socket buffers.
func TestWhoSendsTooMuchGetsToReadWhy(t *testing.T) {
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	host := strings.TrimPrefix(url, "http://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", host, 10*maxMessage); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(bytes.Repeat([]byte(" "), 10*maxMessage)); err != nil {
		t.Fatalf("cut off while sending: %v", err)
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d", a.StatusCode)
	}
}

func TestOtherMachinesCannotReachUs(t *testing.T) {
	s := New(Config{})
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		if ln, err := s.Listen(t.Context(), address); !errors.Is(err, &schemas.Error{Code: schemas.CodeDenied}) || !strings.Contains(err.Error(), "--insecure-no-auth") {
			t.Errorf("%s: got %v, %v", address, ln, err)
		}
	}
	if _, err := s.Listen(t.Context(), "8080"); !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
		t.Errorf("no port: got %v", err)
	}
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.HTTP(t.Context(), everywhere{open}); !errors.Is(err, &schemas.Error{Code: schemas.CodeDenied}) {
		t.Errorf("a foreign listener: got %v", err)
	}
	if _, err := open.Accept(); err == nil {
		t.Error("the refused listener is still open")
	}
}

// everywhere is a listener with a public address.
type everywhere struct{ net.Listener }

func (everywhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 80} }

func TestInsecureServerStillRefusesForeignPages(t *testing.T) {
	s := New(Config{Methods: newWorld().methods(), InsecureNoAuth: true})
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.HTTP(ctx, everywhere{open}) }()
	for origin, want := range map[string]int{
		"": 200, "http://runplane.example": 200, "https://runplane.example": 200, "http://evil.example": 403, "null": 403,
		"javascript://runplane.example": 403, "file://runplane.example": 403, "http://localhost": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+open.Addr().String()+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "runplane.example"
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("origin %q: got %d, want %d", origin, a.StatusCode, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// deadlines is a response that records the deadlines set on its connection.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = append(d.read, t); return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = append(d.write, t); return nil }

// A message must arrive in time, but neither that deadline nor that of the previous request may end later requests on the connection.
func TestDeadlinesOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", strings.NewReader("{}"))
		guard(true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if message, _, ok := New(Config{}).readMessage(w, r); !ok || string(message) != "{}" {
				t.Errorf("read %q, %v", message, ok)
			}
		})).ServeHTTP(w, r)
		if len(w.write) != 1 || !w.write[0].IsZero() {
			t.Errorf("write deadlines %v, want that none is left", w.write)
		}
		if len(w.read) != 2 || !w.read[0].Equal(time.Now().Add(bodyTime)) || !w.read[1].IsZero() {
			t.Errorf("read deadlines %v, want %s and then none", w.read, bodyTime)
		}
	})
}

// slowBody is a body that does not arrive before the deadline.
type slowBody struct{}

func (slowBody) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestSlowBodyIsGivenUp(t *testing.T) {
	w := httptest.NewRecorder()
	if _, _, ok := New(Config{}).readMessage(w, httptest.NewRequest(http.MethodPost, "/mcp", slowBody{})); ok || w.Code != http.StatusRequestTimeout {
		t.Errorf("got %v, %d", ok, w.Code)
	}
}
