package realm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

func TestRetryAfterIsBelievedWithinReason(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for header, want := range map[string]int64{
		"": 0, "7": 7, " 7 ": 7, "0": 0, "-3": 0, "1.2": 2, "soon": 0, "7 s": 0, "1e3": 0, "inf": 0, "NaN": 0, "0x10": 0, ".": 0, "1.2.3": 0, "\x00": 0,
		"86400": 86400, "86401": 0, "99999999999": 0, "9223372036854775807": 0, "99999999999999999999": 0, strings.Repeat("9", 400): 0,
		in(90 * time.Second): 90, in(-time.Hour): 0, in(1000 * time.Hour): 0, "Sun, 06 Nov 1994 08:49:37 GMT": 0, "Fri, 31 Dec 9999 23:59:59 GMT": 0,
	} {
		if got := retryAfter(header); got > want || got < want-1 {
			t.Errorf("retryAfter(%q) = %d, want %d", header, got, want)
		}
	}
}

// TestRefusalsOfARealm has each way in which a realm says that calls come too fast, and what only looks like it.
func TestRefusalsOfARealm(t *testing.T) {
	data := func(code int, data string) *fault {
		var v any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatal(err)
		}
		return &fault{sent: true, rpc: &mcp.JSONRPCErrorDetails{Code: code, Message: "no", Data: v}}
	}
	structured := func(s string) *fault {
		return &fault{sent: true, result: &toolResult{IsError: true, Structured: json.RawMessage(s)}}
	}
	header := func(code int, after int64) *fault {
		f := httpStatus(code)
		f.retryAfter = after
		return f
	}
	for _, tt := range []struct {
		name    string
		fault   *fault
		refused bool
		after   float64
	}{
		{"429", header(429, 0), true, 0},
		{"429 with a time", header(429, 30), true, 30},
		{"503 may have happened", header(503, 30), false, 30},
		{"503 without a time", header(503, 0), false, 0},
		{"result with seconds", isError(`{"error":"rate_limited","retry_after_seconds":8}`), true, 8},
		{"structured", structured(`{"retry_after": 2.5}`), true, 3},
		{"as text", structured(`{"retryAfter":"12"}`), true, 12},
		{"milliseconds", structured(`{"retry_after_ms":1500}`), true, 2},
		{"inside error", isError(`{"error":{"code":"rate_limit_exceeded","retryAfterSeconds":4}}`), true, 4},
		{"a code alone", isError(`{"code":"too_many_requests"}`), true, 0},
		{"a status alone", isError(`{"status":429,"message":"x"}`), true, 0},
		{"negative", structured(`{"retry_after":-5}`), true, 0},
		{"huge", structured(`{"retry_after":1e300}`), true, 0},
		{"too large for a number", structured(`{"retry_after":1e999}`), true, 0},
		{"a date, which is no number", structured(`{"retry_after":"tomorrow"}`), false, 0},
		{"null", structured(`{"retry_after":null}`), false, 0},
		{"text", isError("429 Too Many Requests"), true, 0},
		{"text with HTTP", isError("Error: HTTP 429: slow down"), true, 0},
		{"text of a limit", isError("Rate limit reached for requests"), true, 0},
		{"an SDK's", isError("MCP error 429: rate limited"), true, 0},
		{"about limits", isError("the document about rate limits was not found"), false, 0},
		{"an id", isError("order 429 was not found"), false, 0},
		{"a number that begins with it", isError("4291 rows are locked"), false, 0},
		{"the limit's value", isError("rate limit must be a number"), false, 0},
		{"error with data", data(-32000, `{"retryAfter":9}`), true, 9},
		{"error with its code", data(-32029, `null`), true, 0},
		{"another error", data(-32000, `{"retry":9}`), false, 0},
		{"a list", data(-32000, `[{"retry_after":9}]`), false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := classify("a.b", tt.fault, func(s string) string { return s })
			if e.Refused() != tt.refused || (e.RefusedBy == schemas.RefusedByRealm) != tt.refused || (e.Code == schemas.CodeRateLimited) != tt.refused {
				t.Errorf("got %s, refused by %q: %v", e.Code, e.RefusedBy, e)
			}
			if e.RetryAfterSeconds != tt.after {
				t.Errorf("again after %v s, want %v", e.RetryAfterSeconds, tt.after)
			}
		})
	}
	if e := classify("a.b", &fault{sent: true, result: &toolResult{Structured: json.RawMessage(`{"retry_after":3}`)}}, strings.ToLower); e.Refused() {
		t.Error("a result that is not an error is a refusal")
	}
}
