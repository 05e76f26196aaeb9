package server

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// sseStream opens /sse and returns its messages and the address to post to.
func sseStream(t *testing.T, url string) (messages <-chan string, address string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Body.Close() })
	read := make(chan string, 4*maxInFlight)
	go func() {
		defer close(read)
		events := bufio.NewScanner(a.Body)
		events.Buffer(nil, 2*maxMessage)
		for events.Scan() {
			if data, ok := strings.CutPrefix(events.Text(), "data: "); ok {
				read <- data
			}
		}
	}()
	return read, url + <-read
}

// What is not one meaning is not executed, in any era and on any transport.
func TestContradictingHeadersAreRefused(t *testing.T) {
	w := newWorld()
	url, _, _ := serveHTTP(t, New(Config{Methods: w.methods()}))
	var session string
	post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
	other := session[:len(session)-1] + "0"
	if other == session {
		other = session[:len(session)-1] + "1"
	}
	const legacy = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{}}}`
	const modern = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	stateless := []string{"Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: slow"}
	with := func(more ...string) []string { return append(more, stateless...) }
	for _, tt := range []struct {
		name, body string
		headers    []string
		allowed    bool
	}{
		{"nothing beside the session", legacy, nil, true},
		{"the same session twice", legacy, []string{"Mcp-Session-Id: " + session}, true},
		{"two sessions", legacy, []string{"Mcp-Session-Id: " + other}, false},
		{"the method", legacy, []string{"Mcp-Method: tools/call", "Mcp-Name: slow"}, true},
		{"the method twice", legacy, []string{"Mcp-Method: tools/call", "Mcp-Method: tools/call"}, true},
		{"another method", legacy, []string{"Mcp-Method: tools/list"}, false},
		{"another method second", legacy, []string{"Mcp-Method: tools/call", "Mcp-Method: tools/list"}, false},
		{"another method first", legacy, []string{"Mcp-Method: tools/list", "Mcp-Method: tools/call"}, false},
		{"methods in a list", legacy, []string{"Mcp-Method: tools/call, tools/list"}, false},
		{"another name", legacy, []string{"Mcp-Name: zebra"}, false},
		{"the name encoded", legacy, []string{"Mcp-Name: =?base64?c2xvdw==?="}, true},
		{"another name encoded", legacy, []string{"Mcp-Name: =?base64?emVicmE=?="}, false},
		{"a broken encoding", legacy, []string{"Mcp-Name: =?base64?!?="}, false},
		{"two versions", legacy, []string{"Mcp-Protocol-Version: 2025-11-25", "Mcp-Protocol-Version: 2025-06-18"}, false},
		{"two eras", legacy, []string{"Mcp-Protocol-Version: 2025-11-25", "Mcp-Protocol-Version: 2026-07-28"}, false},
		{"two types", legacy, []string{"Content-Type: text/plain"}, false},
		{"two identities", legacy, []string{"Authorization: Bearer a", "Authorization: Bearer b"}, false},
		{"two places to resume", legacy, []string{"Last-Event-Id: 1", "Last-Event-Id: 2"}, false},
		{"two arguments", legacy, []string{"Mcp-Param-Tenant: a", "Mcp-Param-Tenant: b"}, false},
		{"what MCP does not define", legacy, []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"}, true},
		{"stateless", modern, with(), true},
		{"stateless, another method first", modern, with("Mcp-Method: tools/list"), false},
		{"stateless, another method second", modern, append(with(), "Mcp-Method: tools/list"), false},
		{"stateless, another name", modern, append(with(), "Mcp-Name: zebra"), false},
		{"stateless, another era", modern, append(with(), "Mcp-Protocol-Version: 2025-11-25"), false},
		{"stateless, one name that is not the message's", modern, append(stateless[:2:2], "Mcp-Name: zebra"), false},
		{"stateless, one method that is not the message's", modern, []string{stateless[0], "Mcp-Method: tools/list", stateless[2]}, false},
	} {
		for _, path := range []string{"/mcp", "/message"} {
			address := url + path
			if path == "/message" {
				if tt.body == modern {
					continue // that transport has no stateless protocol
				}
				_, address = sseStream(t, url)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", both)
			r.Header.Set("Mcp-Session-Id", session)
			for _, header := range tt.headers {
				name, value, _ := strings.Cut(header, ": ")
				r.Header.Add(name, value)
			}
			answered := make(chan *http.Response, 1)
			go func() {
				a, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
				}
				answered <- a
			}()
			var a *http.Response
			select {
			case <-w.started:
				w.release <- struct{}{}
				<-w.ended
				a = <-answered
				if !tt.allowed {
					t.Errorf("%s: %s: the call was executed", path, tt.name)
				}
			case a = <-answered:
				if a != nil && a.StatusCode == http.StatusAccepted { // the answer comes on the stream
					<-w.started
					w.release <- struct{}{}
					<-w.ended
				}
			}
			if a == nil {
				t.FailNow()
			}
			var body struct{ Error *mcp.JSONRPCErrorDetails }
			text, _ := io.ReadAll(a.Body)
			a.Body.Close()
			switch {
			case tt.allowed:
				if a.StatusCode/100 != 2 {
					t.Errorf("%s: %s gives %d, %s", path, tt.name, a.StatusCode, text)
				}
			case a.StatusCode != http.StatusBadRequest || json.Unmarshal(text, &body) != nil || body.Error == nil || body.Error.Code != mcp.HEADER_MISMATCH:
				t.Errorf("%s: %s gives %d, %s", path, tt.name, a.StatusCode, text)
			}
		}
	}
}
