package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	eventStream = "text/event-stream"
	// keepAlive is how often an open event stream says something, so that nobody between takes it for dead.
	keepAlive = 15 * time.Second
	// writeTime is how long a client may leave one write unread before its stream is given up.
	writeTime = 30 * time.Second
)

// stream is the response to one request on /mcp. mcp-go writes it, and progress of the call goes right into it: mcp-go's own
// way leads through a channel that all requests of a session share, so that progress reaches another call's stream, and the
// last of it comes too late. When progress comes first, the response becomes an event stream, and the answer that mcp-go then
// writes as plain JSON is made its last event.
type stream struct {
	http.ResponseWriter
	connection *http.ResponseController
	mayEvents  bool // the client takes event streams
	stopped    chan struct{}

	mu      sync.Mutex
	begun   bool         // the status has been sent
	events  bool         // as an event stream
	ours    bool         // which we began
	foreign bool         // mcp-go writes events as well
	plain   bytes.Buffer // what it writes as JSON meanwhile
	ended   bool
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	return &stream{
		ResponseWriter: w, connection: http.NewResponseController(w), stopped: make(chan struct{}),
		mayEvents: strings.Contains(strings.Join(r.Header.Values("Accept"), ","), eventStream),
	}
}

// notify implements outlet.
func (s *stream) notify(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun && s.mayEvents && !s.ended {
		eventHeader(s.Header())
		s.begin(http.StatusOK)
		s.ours = true
		s.Header().Del("Content-Type") // sent; what mcp-go sets now says how it goes on
	}
	if !s.events || s.ended {
		return errBroken
	}
	return s.event(b)
}

func eventHeader(h http.Header) {
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
}

func (s *stream) begin(status int) {
	s.begun = true
	s.events = strings.HasPrefix(s.Header().Get("Content-Type"), eventStream)
	if s.events {
		s.Header().Set("X-Accel-Buffering", "no")
		go s.stayAlive()
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *stream) event(message []byte) error {
	return s.put(fmt.Appendf(nil, "event: message\ndata: %s\n\n", message))
}

func (s *stream) put(b []byte) error {
	_ = s.connection.SetWriteDeadline(time.Now().Add(writeTime)) // unsupported only by recorders in tests
	if _, err := s.ResponseWriter.Write(b); err != nil {
		return errBroken
	}
	if s.events {
		_ = s.connection.Flush()
	}
	return nil
}

// WriteHeader implements http.ResponseWriter for mcp-go.
func (s *stream) WriteHeader(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ours {
		s.foreign = strings.HasPrefix(s.Header().Get("Content-Type"), eventStream)
		return
	}
	s.begin(status)
}

// Write implements http.ResponseWriter for mcp-go, which writes an event in one piece.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begin(http.StatusOK)
	}
	if s.ours && !s.foreign {
		return s.plain.Write(b)
	}
	if err := s.put(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Flush implements http.Flusher for mcp-go.
func (s *stream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		_ = s.connection.Flush()
	}
}

// end sends what is left; nothing is written after it.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	close(s.stopped)
	if answer := bytes.TrimSpace(s.plain.Bytes()); len(answer) > 0 {
		_ = s.event(answer)
	}
}

// stayAlive writes a comment from time to time until the stream ends.
func (s *stream) stayAlive() {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.stopped:
			return
		}
		s.mu.Lock()
		if s.ended || s.put([]byte(": keepalive\n\n")) != nil {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}
