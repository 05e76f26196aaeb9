package realm

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An event stream of nothing but notifications or comments is read at the limited rate, one of answers at any.
func TestThrottleOfEventStreams(t *testing.T) {
	for name, tt := range map[string]struct {
		event string
		slow  bool
	}{
		"notifications": {"event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n", true},
		"spaced":        {"data: {\"params\":{}, \"method\": \"notifications/resources/updated\"}\n\n", true},
		"comments":      {": ping\n\n", true},
		"answers":       {"data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stream := strings.NewReader(strings.Repeat(tt.event, unaskedBurst+2*unaskedPerSecond))
				began := time.Now()
				body := &eventBody{body: io.NopCloser(stream), lines: newLineReader(stream, 1000), limit: 1000, unasked: newThrottle()}
				if _, err := io.Copy(io.Discard, body); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); tt.slow != (took > 1900*time.Millisecond) || took > 2100*time.Millisecond {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestThrottleSlowsAFloodDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle()
		began := time.Now()
		for range unaskedBurst {
			limit.wait(nil)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("a burst took %s", took)
		}
		for range 5 * unaskedPerSecond {
			limit.wait(nil)
		}
		if took := time.Since(began); took < 4900*time.Millisecond || took > 5100*time.Millisecond {
			t.Errorf("%d more took %s", 5*unaskedPerSecond, took)
		}
		done := make(chan struct{})
		close(done)
		began = time.Now()
		limit.wait(done)
		if took := time.Since(began); took != 0 {
			t.Errorf("at the end it waited %s", took)
		}
	})
}
