package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrainAnswersCallsInFlight(t *testing.T) {
	for _, era := range eras {
		t.Run(era.name, func(t *testing.T) {
			w := newWorld()
			url, stop, done := serveHTTP(t, New(Config{Methods: w.methods()}))
			c := era.dial(t, url)
			answered := make(chan error, 1)
			go func() {
				r, err := c.CallTool(t.Context(), request("slow", "{}", nil))
				if err == nil && r.IsError {
					err = wireError(t, r)
				}
				answered <- err
			}()
			<-w.started
			stop()
			select {
			case err := <-done:
				t.Fatalf("HTTP returned %v with a call in flight", err)
			case <-time.After(50 * time.Millisecond):
			}
			close(w.release)
			if err := <-answered; err != nil {
				t.Errorf("the call in flight got %v", err)
			}
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Fatal("HTTP does not return after the last answer")
			}
		})
	}
}

func TestDrainCutsOffWhatTakesTooLong(t *testing.T) {
	for _, era := range eras {
		t.Run(era.name, func(t *testing.T) {
			w := newWorld()
			url, stop, done := serveHTTP(t, New(Config{Methods: w.methods(), Drain: time.Millisecond}))
			c := era.dial(t, url)
			answered := make(chan error, 1)
			go func() {
				r, err := c.CallTool(t.Context(), request("slow", "{}", "token"))
				if err == nil {
					err = wireError(t, r)
				}
				answered <- err
			}()
			<-w.started
			stop()
			if cause := <-w.ended; !errors.Is(cause, errStopping) {
				t.Errorf("the call ended with %v", cause)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := <-answered; err == nil {
				t.Error("the call was answered")
			}
		})
	}
}

func TestOpenStreamsDoNotHoldUpTheEnd(t *testing.T) {
	for _, path := range []string{"/mcp", "/sse"} {
		t.Run(path, func(t *testing.T) {
			url, stop, done := serveHTTP(t, New(Config{Methods: newWorld().methods(), Drain: 2 * patience}))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", eventStream)
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Body.Close()
			if a.StatusCode != http.StatusOK || a.Header.Get("X-Accel-Buffering") != "no" {
				t.Fatalf("got %d, %v", a.StatusCode, a.Header)
			}
			stop()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Error("HTTP waits for the stream")
			}
		})
	}
}

// A connection on which nothing was sent yet is not waited for: net/http would wait five seconds. A busy machine may be as
// slow for other reasons, but not each time.
func TestUnusedConnectionsDoNotHoldUpTheEnd(t *testing.T) {
	const tries = 5
	var took time.Duration
	for range tries {
		if took = endWithUnusedConnection(t); took < 3*time.Second {
			return
		}
	}
	t.Errorf("HTTP took %s to return, the last of %d times", took, tries)
}

func endWithUnusedConnection(t *testing.T) time.Duration {
	t.Helper()
	url, stop, done := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := http.Get(url + "/healthz") // connections are accepted in order
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	began := time.Now()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

// The time to finish begins once, when nothing new is accepted any more, and the rest of the program is notified when it ends.
func TestDrainBeginsOnce(t *testing.T) {
	for name, leave := range map[string]func(c *wire, cancel func()){
		"end of input":                    func(c *wire, _ func()) { c.in.Close() },
		"end of context":                  func(_ *wire, cancel func()) { cancel() },
		"end of input, then of context":   func(c *wire, cancel func()) { c.in.Close(); time.Sleep(time.Second); cancel() },
		"end of context, and later input": func(c *wire, cancel func()) { cancel(); time.Sleep(time.Millisecond); c.in.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := New(Config{Methods: w.methods(), Drain: 7 * time.Second})
				c := dial(ctx, t, s)
				c.call(1, "slow", "{}")
				<-w.started
				time.Sleep(time.Minute)
				if by := s.DrainedBy(); !by.IsZero() {
					t.Errorf("while it serves it is %s", by)
				}
				began := time.Now()
				leave(c, cancel)
				c.next()
				if err := <-c.done; err != nil {
					t.Error(err)
				}
				if by := s.DrainedBy(); by.Sub(began) != 7*time.Second || time.Now().After(by) {
					t.Errorf("%s after it began, now %s, want 7 s", by.Sub(began), time.Since(began))
				}
				c.in.Close()
			})
		})
	}
}
