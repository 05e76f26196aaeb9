package realm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// flood answers calls of the tool with a stream that never ends, in the way that msg names.
func flood(w http.ResponseWriter, id json.RawMessage, how string) {
	w.Header().Set("Content-Type", "text/event-stream")
	chunk := strings.Repeat("x", 64<<10)
	write := func(s string) bool {
		_, err := io.WriteString(w, s)
		return err == nil
	}
	switch how {
	case "line": // one event without an end
		for ok := write("data: {\"jsonrpc\":\"2.0\",\"id\":" + string(id) + ",\"result\":\""); ok; ok = write(chunk) {
		}
	case "event": // one event of lines without an end
		for write("data: " + chunk + "\n") {
		}
	case "comments": // nothing but comments
		for write(": " + chunk + "\n\n") {
		}
	case "events": // messages that no request waits for, without an end
		for write("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"data\":\"" + chunk + "\"}}\n\n") {
		}
	}
}

// TestEndlessStreams has HTTP realms that answer a call with a stream that never ends: one endless message is cut at the limit,
// many messages are cut by the timeout of the call, and memory does not grow.
func TestEndlessStreams(t *testing.T) {
	s := &legacyScript{refuse: 404}
	s.session.Store(1)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m message
		var call struct{ Arguments struct{ How string } }
		if err == nil && json.Unmarshal(body, &m) == nil && m.Method == "tools/call" && json.Unmarshal(m.Params, &call) == nil && call.Arguments.How != "" {
			flood(w, m.ID, call.Arguments.How)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.ServeHTTP(w, r)
	}))
	defer ts.Close()
	limits := quick
	limits.MaxMessage = 1 << 20
	p := run(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL}), Limits: limits})
	mustInvoke(t, p, "r", "go", `{}`)
	for _, tt := range []struct {
		how  string
		code schemas.Code
	}{
		{"line", schemas.CodePayloadTooLarge}, {"event", schemas.CodePayloadTooLarge},
		{"comments", schemas.CodeTimeout}, {"events", schemas.CodeTimeout},
	} {
		t.Run(tt.how, func(t *testing.T) {
			wait := patience
			if tt.code == schemas.CodeTimeout {
				wait = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			_, err := p.Invoke(ctx, ask("r", "go", fmt.Sprintf(`{"how":%q}`, tt.how)))
			wantError(t, err, tt.code, schemas.Unknown, "")
			mustInvoke(t, p, "r", "go", `{}`)
		})
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > 200<<20 {
		t.Errorf("the heap holds %d MiB", m.HeapInuse>>20)
	}
}
