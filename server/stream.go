package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	eventStream = "text/event-stream"
	// keepAlive is how often a comment is written on an open event stream, so that proxies do not close it.
	keepAlive = 15 * time.Second
	// writeTime is how long one write may block before the stream is closed.
	writeTime = 30 * time.Second
)

// stream is the response to one request on /mcp. mcp-go writes it, and the progress of the call is written directly to it:
// mcp-go would send progress through a channel that all requests of a session share, so that it could reach another call's
// stream or come after the answer. When progress comes first, the response becomes an event stream, and the answer that mcp-go
// then writes as plain JSON becomes its last event.
type stream struct {
	http.ResponseWriter
	connection    *http.ResponseController
	client        *connection     // nil in tests
	ctx           context.Context //nolint:containedctx // of the request, whose response this is
	server        *Server
	endTurn       func() // when what it is about has been counted, or is not large; nil: none
	acceptsEvents bool   // the client accepts event streams
	stopped       chan struct{}
	id            json.RawMessage // of the request; nil: it has no answer
	fixedTools    bool            // the client's list of tools does not change, so that it is not notified of that
	alias         idAlias         // of id

	mu        sync.Mutex
	started   bool         // the status has been sent
	events    bool         // as an event stream
	ownEvents bool         // notify started it
	mcpEvents bool         // mcp-go writes events too
	plain     bytes.Buffer // what mcp-go writes as JSON instead
	ended     bool
}

func newStream(w http.ResponseWriter, r *http.Request, s *Server) *stream {
	return &stream{
		client: connectionOf(r), ctx: r.Context(), server: s,
		ResponseWriter: w, connection: http.NewResponseController(w), stopped: make(chan struct{}),
		acceptsEvents: strings.Contains(strings.Join(r.Header.Values("Accept"), ","), eventStream),
	}
}

// notify implements sender.
func (s *stream) notify(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started && s.acceptsEvents && !s.ended {
		eventHeader(s.Header())
		s.begin(http.StatusOK)
		s.ownEvents = true
		s.Header().Del("Content-Type") // sent; what mcp-go sets now is the type of what it writes
	}
	if !s.events || s.ended {
		return errBroken
	}
	return s.event(b, false)
}

func eventHeader(h http.Header) {
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
}

func (s *stream) begin(status int) {
	s.started = true
	s.events = strings.HasPrefix(s.Header().Get("Content-Type"), eventStream)
	if s.events {
		s.Header().Set("X-Accel-Buffering", "no")
		go s.stayAlive()
	}
	limitWrite(s.ResponseWriter)
	s.ResponseWriter.WriteHeader(status)
}

func (s *stream) event(message []byte, isAnswer bool) error {
	return s.put(asEvent(utf8Only(message)), isAnswer)
}

func asEvent(message []byte) []byte { return fmt.Appendf(nil, "event: message\ndata: %s\n\n", message) }

// put sends what is a part of the response. An answer for which there is no room is replaced by an error.
func (s *stream) put(b []byte, isAnswer bool) error {
	defer s.turnEnds()
	if len(b) > freeBytes {
		l := s.server.bytes
		held := l.answering(func() { _ = s.connection.SetWriteDeadline(time.Unix(1, 0)) })
		defer held.free()
		if !held.grow(s.ctx, l.forAnswer(len(b)), writeTime) {
			if !isAnswer || s.id == nil || s.ctx.Err() != nil || held.wasCut() {
				return errBroken
			}
			b = s.unsent(len(b))
		}
	}
	return s.send(b)
}

// unsent is what is sent in the place of an answer for which there is no room.
func (s *stream) unsent(size int) []byte {
	e := s.server.unsent(size)
	b, _ := json.Marshal(protocolError(s.id, busyCode, e.Message, e)) // it always encodes
	if s.events {
		return asEvent(b)
	}
	return b
}

func (s *stream) send(b []byte) error {
	s.turnEnds()
	s.client.enter(phaseWriting)
	defer s.client.enter(phaseAnswering)
	limitWrite(s.ResponseWriter)
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
	if s.ownEvents {
		s.mcpEvents = strings.HasPrefix(s.Header().Get("Content-Type"), eventStream)
		return
	}
	s.begin(status)
}

// Write implements http.ResponseWriter for mcp-go, which writes an event in one piece.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.begin(http.StatusOK)
	}
	if s.fixedTools && s.events && bytes.Contains(b, toolsChangedMark) {
		return len(b), nil
	}
	if s.ownEvents && !s.mcpEvents {
		s.plain.Write(s.alias.restore(utf8Only(b)))
		return len(b), nil
	}
	if err := s.put(s.alias.restore(utf8Only(b)), true); err != nil {
		return 0, err
	}
	return len(b), nil
}

// toolsChangedMark begins that notification as an event; within the string of another message its quotation marks would be escaped.
var toolsChangedMark = []byte(`data: {"jsonrpc":"2.0","method":"` + mcp.MethodNotificationToolsListChanged + `"`)

// Flush implements http.Flusher for mcp-go.
func (s *stream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		_ = s.connection.Flush()
	}
}

// end sends the answer if it is still buffered; nothing is written after it.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	defer s.turnEnds()
	close(s.stopped)
	if answer := bytes.TrimSpace(s.plain.Bytes()); len(answer) > 0 {
		_ = s.event(answer, true)
	}
}

// askToWait has the client of an event stream that ends wait before it opens another one.
func (s *stream) askToWait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events && !s.ended {
		_ = s.put(retryField(d), false)
	}
}

// retryField is the line of an event stream that says when a client may open another one.
func retryField(d time.Duration) []byte { return fmt.Appendf(nil, "retry: %d\n\n", d.Milliseconds()) }

// setTurn has the stream end a turn once the answer is being sent, see [Server.takeTurn].
func (s *stream) setTurn(end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turnEnds()
	s.endTurn = end
}

// turnEnds ends the turn, if any; the caller holds mu.
func (s *stream) turnEnds() {
	if s.endTurn != nil {
		s.endTurn()
		s.endTurn = nil
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
		if !s.mu.TryLock() {
			continue // something is being sent, or waits for room
		}
		if s.ended || s.put([]byte(": keepalive\n\n"), false) != nil {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}
