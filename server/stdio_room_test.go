package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
)

// largeCall is a call of a tool whose message has exactly size bytes.
func largeCall(tool string, id, size int) string {
	head := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{"s":"`, id, tool)
	return head + strings.Repeat("x", size-len(head)-len(`"}}}`)) + `"}}}`
}

// A client on stdio is alone: its large messages wait for room, as text, and are all handled, and what is small overtakes them. Only when as
// many wait as may, and none gets room for a while, further ones are refused, so that what comes after them is read.
func TestLargeMessagesOnStdioWait(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		limit                  int64
		size, handled, waiting int
		more                   int // those are refused
	}{
		{"there is room for all", 1 << 20, 72 << 10, 4, 0, 0},
		{"one waits", 1 << 20, 72 << 10, 4, 1, 0},
		{"as many wait as may", 1 << 20, 72 << 10, 4, 14, 0},
		{"more than may wait", 1 << 20, 72 << 10, 4, 14, 5},
		{"of 20 KiB", 1 << 20, 20 << 10, 14, 5, 0},
		{"the largest", 16 << 20, maxMessage, 1, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			s := New(Config{Methods: w.methods(), Limits: Limits{Bytes: tt.limit}})
			c := dial(t.Context(), t, s)
			began := time.Now()
			sent := tt.handled + tt.waiting + tt.more
			go func() {
				for id := range sent {
					c.send("%s", largeCall("slow", id, tt.size))
				}
				c.send(`{"jsonrpc":"2.0","id":"ping","method":"ping"}`)
				c.call(sent, "zebra", "{}")
			}()
			for id := tt.handled + tt.waiting; id < sent; id++ {
				if r := c.next(); string(r.ID) != fmt.Sprint(id) || r.Error == nil || r.Error.Code != busyCode {
					t.Fatalf("%s: got %+v, want that %d is refused", tt.name, r, id)
				}
			}
			for range 2 {
				if r := c.next(); r.Error != nil || string(r.ID) != `"ping"` && string(r.ID) != fmt.Sprint(sent) {
					t.Errorf("%s: what is small gets %+v", tt.name, r)
				}
			}
			if took, want := time.Since(began), stuckTime*time.Duration(min(tt.more, 1)); took != want {
				t.Errorf("%s: it took %s, want %s", tt.name, took, want)
			}
			synctest.Wait()
			if len(w.started) < tt.handled || tt.waiting > 0 && len(w.started) != tt.handled {
				t.Errorf("%s: %d are handled, want %d", tt.name, len(w.started), tt.handled)
			}
			if held := s.bytes.held(); held > s.limits.Bytes {
				t.Errorf("%s: %d bytes are held", tt.name, held)
			}
			left := tt.handled + tt.waiting
			if tt.waiting > 0 { // one that waits is cancelled, and one that is handled
				for _, id := range []int{left - 1, 0} {
					c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)
				}
				if cause := <-w.ended; cause == nil {
					t.Errorf("%s: a call ended well", tt.name)
				}
				left -= 2
			}
			close(w.release)
			answered := map[string]bool{}
			for range left {
				r := c.next()
				if r.Result == nil || r.Result.IsError {
					t.Fatalf("%s: got %+v", tt.name, r)
				}
				answered[string(r.ID)] = true
			}
			c.in.Close()
			if err := <-c.done; err != nil || len(answered) != left || s.bytes.held() != 0 {
				t.Errorf("%s: it ends with %v; %d of %d were answered; %d bytes are held", tt.name, err, len(answered), left, s.bytes.held())
			}
		})
	}
}

// Reading pauses as long as messages that wait get room from time to time.
func TestReadingPausesUntilThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := New(Config{Methods: w.methods(), Limits: Limits{Bytes: 1 << 20}})
		c := dial(t.Context(), t, s)
		const sent = 22
		go func() {
			for id := range sent {
				c.send("%s", largeCall("slow", id, 72<<10))
			}
		}()
		go func() {
			for range sent {
				time.Sleep(stuckTime - time.Second)
				w.release <- struct{}{}
			}
		}()
		for range sent {
			if r := c.next(); r.Result == nil || r.Result.IsError {
				t.Fatalf("got %+v", r)
			}
		}
		c.in.Close()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
	})
}

// What waits for room when the server stops is answered too, and when the client is gone nothing is left.
func TestWhatWaitsForRoomEnds(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			s := New(Config{Methods: w.methods(), Limits: Limits{Bytes: 1 << 20}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := dial(ctx, t, s)
			const sent = 6
			for id := range sent {
				c.send("%s", largeCall("slow", id, 72<<10))
			}
			synctest.Wait()
			if gone {
				c.in.CloseWithError(errPipe)
			} else {
				cancel()
				for range sent {
					if r := c.next(); r.code() != schemas.CodeUnavailable && (r.Error == nil || r.Error.Message != errStopping.Message) {
						t.Errorf("got %+v", r)
					}
				}
			}
			if err := <-c.done; (err != nil) != gone {
				t.Errorf("it ends with %v", err)
			}
			if s.bytes.held() != 0 || len(w.started) != 4 {
				t.Errorf("%d bytes are held, %d were handled", s.bytes.held(), len(w.started))
			}
			c.in.Close()
		})
	}
}

// The id of a request can be used again as soon as its answer is read. Until the answer is sent the request counts.
func TestIDIsFreeWhenItsAnswerIsSent(t *testing.T) {
	w := newWorld()
	s := New(Config{Methods: w.methods()})
	sent := make(chan string)
	var p *peer
	p = newPeer(t.Context(), s, "test", func([]byte) error {
		h, _ := s.parseEnvelope([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		busy := p.isBusy()
		refusal := p.begin(h, func(error) {})
		if refusal == "" && !busy {
			refusal = "the request is not counted any more"
		}
		p.answered("1")
		p.end()
		sent <- refusal
		return nil
	})
	for _, message := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"zebra"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"zebar"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refuse"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
		`{"jsonrpc":"2.0","id":1,"method":"nonsense"}`,
	} {
		p.receive(line{text: []byte(message)})
		if refusal := <-sent; refusal != "" {
			t.Errorf("%s: while its answer is sent: %s", message, refusal)
		}
	}
	p.drain(patience, nil)
	if p.isBusy() || len(p.inFlight) != 0 {
		t.Error("requests are in flight")
	}
}
