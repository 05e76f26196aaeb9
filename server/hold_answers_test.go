package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// fill has another answer take all the room of a server.
func fill(t *testing.T, s *Server) *hold {
	t.Helper()
	h := s.bytes.answering(nil)
	if !h.grow(t.Context(), s.limits.Bytes, 0) {
		t.Fatal("no room")
	}
	return h
}

// isUnsent reports whether a message is the error of an answer that was not sent.
func isUnsent(t *testing.T, message, id string) bool {
	t.Helper()
	var r struct {
		ID    json.RawMessage
		Error struct {
			Code int
			Data schemas.Error
		}
	}
	if err := json.Unmarshal([]byte(message), &r); err != nil {
		t.Fatalf("%v: %.200s", err, message)
	}
	return string(r.ID) == id && r.Error.Code == busyCode && r.Error.Data.Code == schemas.CodeUnavailable && r.Error.Data.Hint != "" &&
		strings.Contains(r.Error.Data.Message, "limits.max_client_bytes") && len(message) < 1<<10
}

// A client whose answer finds no room gets an error in its place, which is small, on every transport with other clients.
func TestAnswerWithoutRoomIsAnError(t *testing.T) {
	large := `{"jsonrpc":"2.0","id":"x","result":{"text":"` + strings.Repeat("x", freeBytes) + `"}}`
	as := func(kind, message string) func(*stream) {
		return func(s *stream) {
			s.Header().Set("Content-Type", kind)
			s.WriteHeader(http.StatusOK)
			if _, err := s.Write([]byte(message)); err != nil {
				t.Errorf("writing: %v", err)
			}
		}
	}
	event := string(asEvent([]byte(large)))
	progress := func(s *stream) { _ = s.notify(map[string]int{"p": 1}) }
	for _, tt := range []struct {
		name   string
		handle func(s *stream)
		event  bool
	}{
		{"answer alone", as("application/json", large), false},
		{"answer as event", as(eventStream, event), true},
		{"progress, answer as JSON", func(s *stream) { progress(s); as("application/json", large)(s) }, true},
		{"progress, answer as event", func(s *stream) { progress(s); as(eventStream, event)(s) }, true},
		{"large progress is no answer", func(s *stream) {
			progress(s)
			if err := s.notify(map[string]string{"p": strings.Repeat("x", freeBytes)}); err == nil {
				t.Error("progress was sent without room")
			}
			as(eventStream, event)(s)
		}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := New(Config{})
			defer fill(t, server).free()
			w := exchangeOn(server, both, func(s *stream) {
				s.id = json.RawMessage(`"x"`)
				tt.handle(s)
			})
			parts := strings.Split(strings.TrimSpace(w.Body.String()), "\n\n")
			last := parts[len(parts)-1]
			if tt.event {
				last, _ = strings.CutPrefix(last, "event: message\ndata: ")
			}
			if !isUnsent(t, last, `"x"`) || strings.Count(w.Body.String(), `"id"`) != 1 {
				t.Errorf("%s: the client reads %.300s", tt.name, w.Body.String())
			}
		})
	}
}

func TestAnswerWithoutRoomOnSSE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Methods: newWorld().methods()})
		var sent []string
		p := newPeer(t.Context(), s, "test", func(b []byte) error { sent = append(sent, string(b)); return nil })
		p.cut = func() { t.Error("the client is disconnected") }
		full := fill(t, s)
		response := mcp.JSONRPCResponse{JSONRPC: "2.0", Result: map[string]string{"text": strings.Repeat("x", freeBytes)}}
		const id = `12345678901234567890`
		if err := p.encode(idAlias{}, response, json.RawMessage(id)); err != nil || len(sent) != 1 || !isUnsent(t, sent[0], id) {
			t.Errorf("%v; the client reads %.300s", err, sent)
		}
		if err := p.notify(map[string]string{"p": strings.Repeat("x", freeBytes)}); err != nil || len(sent) != 1 {
			t.Errorf("%v; a notification without room is sent: %.300s", err, sent)
		}
		full.free()
		if err := p.encode(idAlias{}, response, json.RawMessage(`1`)); err != nil || len(sent) != 2 || len(sent[1]) < freeBytes {
			t.Errorf("%v; with room the client reads %.300s", err, sent)
		}
	})
}

// Bodies that do not end keep out neither small messages nor, once they are stalled, large ones; one that makes progress does not give way.
func TestBodiesThatDoNotEndLeaveRoom(t *testing.T) {
	s := New(Config{Methods: newWorld().methods(), Limits: Limits{Connections: 100, Bytes: 32 << 20}})
	url, _, _ := serveHTTP(t, s)
	begin := func(size int) net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() { _, _ = io.WriteString(c, fmt.Sprintf(begunPost, maxMessage, strings.Repeat(" ", size))) }()
		return c
	}
	for range 20 {
		begin(maxMessage - 3)
	}
	for deadline := time.Now().Add(patience); s.bytes.held() < s.limits.Bytes/2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held", s.bytes.held())
		}
	}
	sized := func(n int) string {
		return rawPost("tools/call", "zebra", fmt.Sprintf(`"name":"zebra","arguments":{"s":%q},`, strings.Repeat("x", n-200)))
	}
	for range 10 {
		for _, n := range []int{200, freeBytes, freeBytes + 200, smallMessage - 500} {
			if status, _, body, err := oneRequest(t, url, sized(n)); err != nil || status != http.StatusOK {
				t.Errorf("a message of %d bytes gets %d %.300s %v", n, status, body, err)
			}
		}
	}
	served := false
	for deadline := time.Now().Add(patience); !served && time.Now().Before(deadline); {
		status, header, body, err := oneRequest(t, url, sized(1<<20))
		if served = status == http.StatusOK; !served && (err != nil || status != http.StatusServiceUnavailable || header.Get("Retry-After") == "") {
			t.Fatalf("a large message gets %d %v %.300s %v", status, header, body, err)
		}
	}
	if !served {
		t.Error("no large message was served")
	}
}
