package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// exchange runs a handler on a stream, as mcp-go's would run, and returns what the client reads.
func exchange(accept string, handle func(s *stream)) *httptest.ResponseRecorder {
	return exchangeOn(New(Config{}), accept, handle)
}

func exchangeOn(server *Server, accept string, handle func(s *stream)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	s := newStream(w, r, server)
	handle(s)
	s.end()
	return w
}

// plainAnswer and eventAnswer are the two ways in which mcp-go answers.
func plainAnswer(s *stream) {
	s.Header().Set("Content-Type", "application/json")
	s.WriteHeader(http.StatusOK)
	_, _ = s.Write([]byte("{\"id\":1}\n"))
}

func eventAnswer(s *stream) {
	s.Header().Set("Content-Type", eventStream)
	s.WriteHeader(http.StatusOK)
	_, _ = s.Write([]byte("event: message\ndata: {\"id\":1}\n\n"))
	s.Flush()
}

func TestStreamJoinsProgressAndAnswer(t *testing.T) {
	const one, answer = "event: message\ndata: {\"p\":1}\n\n", "event: message\ndata: {\"id\":1}\n\n"
	report := func(s *stream) error { return s.notify(map[string]int{"p": 1}) }
	for _, tt := range []struct {
		name, accept, kind, body string
		handle                   func(s *stream)
	}{
		{"answer alone", both, "application/json", "{\"id\":1}\n", plainAnswer},
		{"progress, answer as JSON", both, eventStream, one + answer, func(s *stream) { _ = report(s); plainAnswer(s) }},
		{"progress, answer as event", both, eventStream, one + answer, func(s *stream) { _ = report(s); eventAnswer(s) }},
		{"progress between events", both, eventStream, answer + one, func(s *stream) { eventAnswer(s); _ = report(s) }},
		{"progress, and the call was cut off", both, eventStream, one, func(s *stream) { _ = report(s) }},
		{"progress for a client of JSON alone", "application/json", "application/json", "{\"id\":1}\n", func(s *stream) {
			if err := report(s); !errors.Is(err, errBroken) {
				t.Errorf("got %v", err)
			}
			plainAnswer(s)
		}},
		{"progress after a plain answer", both, "application/json", "{\"id\":1}\n", func(s *stream) {
			plainAnswer(s)
			if err := report(s); !errors.Is(err, errBroken) {
				t.Errorf("got %v", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := exchange(tt.accept, tt.handle)
			a := w.Result()
			if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != tt.kind || w.Body.String() != tt.body {
				t.Errorf("got %d, %s, %q; want %s, %q", a.StatusCode, a.Header.Get("Content-Type"), w.Body, tt.kind, tt.body)
			}
		})
	}
	var late *stream
	exchange(both, func(s *stream) { late = s })
	if err := report(late); !errors.Is(err, errBroken) {
		t.Errorf("after the end: got %v", err)
	}
}

func TestOpenStreamSaysThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchange(both, func(s *stream) {
			eventAnswer(s)
			time.Sleep(3*keepAlive + time.Second)
		})
		time.Sleep(10 * keepAlive)
		if n := strings.Count(w.Body.String(), ": keepalive\n\n"); n != 3 {
			t.Errorf("%d signs of life, want 3: %q", n, w.Body)
		}
	})
}
