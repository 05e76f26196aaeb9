package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// A client on /sse cannot have more large messages in flight than half of what there is; small ones are not refused by that, nor other
// clients.
func TestLargeMessagesInFlightAreBounded(t *testing.T) {
	w := newWorld()
	s := New(Config{Methods: w.methods(), Limits: Limits{Bytes: 4 << 20}})
	for _, client := range floods(t, s) {
		if client.name == "stdio" {
			continue // its messages wait
		}
		t.Run(client.name, func(t *testing.T) {
			const sent = 12
			for id := range sent {
				client.send(largeCall("slow", id, 100<<10))
			}
			started := int(s.limits.Bytes / 2 / (messageCopies * (100 << 10)))
			for range started {
				<-w.started
			}
			for range sent - started {
				r := client.next()
				if r.Error == nil || r.Error.Code != busyCode {
					t.Fatalf("got %+v", r)
				}
				data, _ := json.Marshal(r.Error.Data)
				var e schemas.Error
				if err := json.Unmarshal(data, &e); err != nil || e.Code != schemas.CodeRateLimited || e.RetryAfter() == 0 || !strings.Contains(e.Message, "limits.max_client_bytes") {
					t.Errorf("got %s", data)
				}
			}
			if held := s.bytes.held(); held > s.limits.Bytes/2 || held < int64(started)*100<<10 {
				t.Errorf("%d bytes are held", held)
			}
			client.send(largeCall("slow", 100, 200))
			<-w.started
			for range started + 1 {
				w.release <- struct{}{}
				if r := client.next(); r.Result == nil || r.Result.IsError {
					t.Fatalf("got %+v", r)
				}
			}
			soonZero(t, s)
		})
	}
}

// soonZero waits until no bytes are held: they are freed after the answer was read.
func soonZero(t *testing.T, s *Server) {
	t.Helper()
	for deadline := time.Now().Add(patience); s.bytes.held() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held", s.bytes.held())
		}
	}
}

// A client on stdio that does not read is waited for, and loses nothing; meanwhile no more is made than there is room for.
func TestUnreadAnswersOnStdioAreBounded(t *testing.T) {
	var made atomic.Int64
	big := method("big", tools.Reads, func(context.Context, tools.Request) (any, error) {
		made.Add(1)
		return map[string]any{"text": strings.Repeat("x", 64<<10)}, nil
	})
	s := New(Config{Methods: []tools.Method{big}, Limits: Limits{Bytes: 2 << 20}})
	c := dial(t.Context(), t, s)
	const calls = 50
	for id := range calls {
		c.call(id, "big", "{}")
	}
	for deadline := time.Now().Add(patience); s.bytes.hasRoom(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held", s.bytes.held())
		}
	}
	for id := range calls {
		c.call(calls+id, "big", "{}")
	}
	if n := made.Load(); n > calls {
		t.Errorf("%d answers were made without room", n-calls)
	}
	answered := map[string]bool{}
	for range 2 * calls {
		if held := s.bytes.held(); held > s.limits.Bytes {
			t.Errorf("%d bytes are held", held)
		}
		r := c.next()
		if r.Result == nil || r.Result.IsError {
			t.Fatalf("got %+v", r)
		}
		answered[string(r.ID)] = true
	}
	if len(answered) != 2*calls {
		t.Errorf("%d of %d calls were answered", len(answered), 2*calls)
	}
	soonZero(t, s)
	c.in.Close()
	if err := <-c.done; err != nil {
		t.Error(err)
	}
}

// A client of /sse that does not read its stream is disconnected when others need the room.
func TestUnreadStreamGivesWay(t *testing.T) {
	big := method("big", tools.Reads, func(context.Context, tools.Request) (any, error) {
		return map[string]any{"text": strings.Repeat("x", 256<<10)}, nil
	})
	s := New(Config{Methods: []tools.Method{big}, Limits: Limits{Bytes: 4 << 20}})
	url, _, _ := serveHTTP(t, s)
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	var head string
	for !strings.Contains(head, "sessionId=") || !strings.HasSuffix(head, "\r\n") {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		head += string(buf[:n])
	}
	_, id, _ := strings.Cut(head, "sessionId=")
	id, _, _ = strings.Cut(id, "\n")
	var none string
	for i := range 60 {
		status, _, _ := post(t, url+"/message?sessionId="+strings.TrimSpace(id), &none, both,
			fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"big"}}`, i))
		if status/100 != 2 && status != 404 && status != 503 {
			t.Fatalf("posting gives %d", status)
		}
	}
	for range 5 { // others are answered, though not at once
		status, _, body, err := oneRequest(t, url, rawCall("big"))
		for deadline := time.Now().Add(patience); status == 503 && time.Now().Before(deadline); {
			status, _, body, err = oneRequest(t, url, rawCall("big"))
		}
		if err != nil || status != 200 {
			t.Fatalf("another client gets %d %.200s %v", status, body, err)
		}
	}
	if s.bytes.held() > s.limits.Bytes {
		t.Errorf("%d bytes are held", s.bytes.held())
	}
	for deadline := time.Now().Add(patience); s.streams.count() > 0 || s.bytes.held() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams, %d bytes are left", s.streams.count(), s.bytes.held())
		}
	}
}

func TestHealthShowsWhatClientsHold(t *testing.T) {
	s := New(Config{Methods: newWorld().methods(), Limits: Limits{Connections: 4, Streams: 2, Bytes: 16 << 20}})
	if c := s.check(); c.Status != schemas.HealthOK || c.Numbers["max_connections"] != 4 || c.Numbers["max_streams"] != 2 || c.Numbers["connections"] != 0 {
		t.Errorf("idle: %+v", c)
	}
	for key, fill := range map[string]func() func(){
		"limits.max_streams": func() func() {
			a, b := &openStream{}, &openStream{}
			s.streams.add(a)
			s.streams.add(b)
			return func() { s.streams.remove(a); s.streams.remove(b) }
		},
		"limits.max_client_bytes": func() func() {
			h := s.bytes.answering(nil)
			h.grow(t.Context(), 15<<20, 0)
			return h.free
		},
		"limits.max_connections": func() func() {
			var open []*connection
			for range 6 {
				open = append(open, in(accept(t, s.connections, "127.0.0.1"), phaseAnswering, 0))
			}
			return func() {
				for _, c := range open {
					c.Close()
				}
			}
		},
	} {
		empty := fill()
		if c := s.check(); c.Status != schemas.HealthDegraded || !strings.Contains(c.Cure, key) {
			t.Errorf("%s: %+v", key, c)
		}
		empty()
		if c := s.check(); c.Status != schemas.HealthOK || c.Cure != "" {
			t.Errorf("%s is free again: %+v", key, c)
		}
	}
}
