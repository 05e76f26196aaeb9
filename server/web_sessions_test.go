package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const pingMessage = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// A client that opens sessions and forgets them does not keep their memory, nor that of the others' sessions, whose clients go on.
func TestForgottenSessionsAreBounded(t *testing.T) {
	s := New(Config{Methods: newWorld().methods(), Limits: Limits{Streams: 2, Sessions: 10}})
	url, _, _ := serveHTTP(t, s)
	begin := func() (session string) {
		if status, _, _ := post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0]); status != http.StatusOK || session == "" {
			t.Fatalf("initialize gives %d, session %q", status, session)
		}
		return session
	}
	works := begin()
	post(t, url+"/mcp", &works, both, pingMessage)
	streams := begin()
	get(t, url, streams)
	var dropped string
	for i := range 50 {
		id := begin()
		if i == 0 {
			dropped = id
		}
	}
	for i := range 50 { // ids that are made up are as many
		id := fmt.Sprintf("%s%026d", sessionPrefix, i)
		if status, _, lines := post(t, url+"/mcp", &id, both, pingMessage); status != http.StatusOK {
			t.Fatalf("an id of another replica gives %d %v", status, lines)
		}
	}
	if n := s.sessions.count(); n != 10 {
		t.Errorf("%d sessions are kept", n)
	}
	if _, kept := s.sessions.byID[streams]; !kept {
		t.Error("a session with a stream was dropped")
	}
	for _, id := range []string{works, dropped, streams} {
		if status, _, lines := post(t, url+"/mcp", &id, both, pingMessage); status != http.StatusOK {
			t.Errorf("a session of before gives %d %v", status, lines)
		}
	}
}

// Sessions that were only initialized are dropped before those that are used.
func TestUsedSessionsAreKeptLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forgotten := map[string]bool{}
		w := newWebSessions(3, func(string) bool { return false })
		w.forget = func(id string) { forgotten[id] = true }
		begin := func() string {
			id := w.Generate()
			w.initialized(id)
			return id
		}
		used, fresh := begin(), begin()
		if ended, err := w.Validate(used); ended || err != nil || !w.isUsed(used) || w.isUsed(fresh) {
			t.Fatalf("a session in use: %v, %v", ended, err)
		}
		pending := w.Generate()
		for range 10 {
			begin()
		}
		if forgotten[used] || !forgotten[fresh] || forgotten[pending] || w.count() != 3 {
			t.Errorf("the used one was dropped: %v, the other one: %v, the one that begins: %v; %d are kept",
				forgotten[used], forgotten[fresh], forgotten[pending], w.count())
		}
		time.Sleep(2 * initializeTime)
		for range 3 {
			id := begin()
			_, _ = w.Validate(id)
		}
		if !forgotten[used] || !forgotten[pending] || w.count() != 3 {
			t.Errorf("the least recently used one was dropped: %v, the one that did not begin: %v; %d are kept", forgotten[used], forgotten[pending], w.count())
		}
	})
}

// What a client has ended stays ended, also its stream.
func TestEndedSessionStaysEnded(t *testing.T) {
	s := New(Config{Methods: newWorld().methods(), Limits: Limits{Streams: 2, Sessions: 5}})
	url, _, _ := serveHTTP(t, s)
	var session string
	post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
	stream := get(t, url, session)
	end := func(id string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url+"/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Mcp-Session-Id", id)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	if status := end(session); status != http.StatusOK {
		t.Errorf("DELETE gives %d", status)
	}
	if n, err := stream.Body.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("its stream goes on")
	}
	for range 3 {
		for range 20 { // others begin
			var other string
			post(t, url+"/mcp", &other, both, strings.SplitN(hello, "\n", 2)[0])
		}
		status, _, lines := post(t, url+"/mcp", &session, both, pingMessage)
		if status != http.StatusNotFound || len(lines) != 1 || !strings.Contains(lines[0], "not_found") {
			t.Errorf("a message gives %d %v", status, lines)
		}
		if a := get(t, url, session); a.StatusCode != http.StatusNotFound {
			t.Errorf("GET gives %d", a.StatusCode)
		}
		if status := end(session); status != http.StatusNotFound {
			t.Errorf("a second DELETE gives %d", status)
		}
	}
	for _, id := range []string{"", "x", "mcp-session-", sessionPrefix + strings.Repeat("x", 1000), session[1:]} {
		end(id)
		if status, _, _ := post(t, url+"/mcp", &id, both, pingMessage); status != http.StatusNotFound {
			t.Errorf("the session %.50q gives %d", id, status)
		}
	}
	if n := len(s.sessions.ended); n != 1 {
		t.Errorf("%d ids are remembered as ended", n)
	}
	for range 10 * 5 * 2 {
		s.sessions.end(newSessionID())
	}
	if len(s.sessions.ended) > 10*5 || len(s.sessions.order) > 10*5 {
		t.Errorf("%d ids are remembered as ended", len(s.sessions.ended))
	}
}

// get opens the stream of a session.
func get(t *testing.T, url, session string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", eventStream)
	r.Header.Set("Mcp-Session-Id", session)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Body.Close() })
	return a
}
