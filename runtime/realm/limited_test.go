package realm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

func TestRetryAfterIsBelievedWithinReason(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for header, want := range map[string]int64{
		"": 0, "7": 7, " 7 ": 7, "0": 0, "-3": 0, "1.2": 2, "soon": 0, "7 s": 0, "1e3": 0, "inf": 0, "NaN": 0, "0x10": 0, ".": 0, "1.2.3": 0,
		"\x00":  0,
		"86400": 86400, "86401": 0, "99999999999": 0, "9223372036854775807": 0, "99999999999999999999": 0, strings.Repeat("9", 400): 0,
		in(90 * time.Second): 90, in(-time.Hour): 0, in(1000 * time.Hour): 0, "Sun, 06 Nov 1994 08:49:37 GMT": 0,
		"Fri, 31 Dec 9999 23:59:59 GMT": 0,
	} {
		if got := retryAfter(header); got > want || got < want-1 {
			t.Errorf("retryAfter(%q) = %d, want %d", header, got, want)
		}
	}
}

// TestRefusalsOfARealm has each way in which a realm says that calls come too fast, and what only looks like it.
func TestRefusalsOfARealm(t *testing.T) {
	const (
		always     = "all"
		repeatable = "those that may run twice"
		never      = "none"
	)
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
		refused string // which calls
		after   float64
	}{
		{"429", header(429, 0), always, 0},
		{"429 with a time", header(429, 30), always, 30},
		{"503 may have happened", header(503, 30), never, 30},
		{"503 without a time", header(503, 0), never, 0},
		{"result with seconds", isError(`{"error":"rate_limited","retry_after_seconds":8}`), always, 8},
		{"structured", structured(`{"retry_after": 2.5}`), repeatable, 3},
		{"as text", structured(`{"retryAfter":"12"}`), repeatable, 12},
		{"milliseconds", structured(`{"retry_after_ms":1500}`), repeatable, 2},
		{"inside error", isError(`{"error":{"code":"rate_limit_exceeded","retryAfterSeconds":4}}`), always, 4},
		{"a code alone", isError(`{"code":"too_many_requests"}`), always, 0},
		{"a status alone", isError(`{"status":429,"message":"x"}`), always, 0},
		{"negative", structured(`{"retry_after":-5}`), repeatable, 0},
		{"huge", structured(`{"retry_after":1e300}`), repeatable, 0},
		{"too large for a number", structured(`{"retry_after":1e999}`), repeatable, 0},
		{"a date, which is no number", structured(`{"retry_after":"tomorrow"}`), never, 0},
		{"null", structured(`{"retry_after":null}`), never, 0},
		{"a time alone, of a call that ran", isError(`{"status":"processing","retry_after":30}`), repeatable, 30},
		{"that inside error", isError(`{"error":{"code":"in_progress","retryAfter":30}}`), repeatable, 30},
		{"a time with a code", structured(`{"status":429,"retry_after":30}`), always, 30},
		{"a time beside its code", isError(`{"error":{"code":"rate_limited"},"retry_after":30}`), always, 30},
		{"a time with words", isError(`{"error":"Rate limit exceeded. Retry after 8 seconds","retry_after":8}`), always, 8},
		{"a time with a message", isError(`{"message":"Too Many Requests","retry_after":8}`), always, 8},
		{"a time with other words", isError(`{"message":"order 429 is being processed","retry_after":8}`), repeatable, 8},
		{"seconds in words", isError("Please retry after 30 seconds."), repeatable, 30},
		{"a duration in words", isError("Rate limit reached for requests. Please try again in 6m0s."), always, 360},
		{"short seconds", isError("Too many requests, try again in 20s"), always, 20},
		{"milliseconds in words", isError("slow down; try again in 1500 ms"), repeatable, 2},
		{"minutes in words", isError("Quota used. Try again in about 2 minutes"), repeatable, 120},
		{"minutes joined", isError("try again in 5min"), repeatable, 300},
		{"a header in words", isError("upstream said Retry-After: 7"), repeatable, 7},
		{"a sentence that ends", isError("Retry after 9. Then it works."), repeatable, 9},
		{"in a message of JSON", isError(`{"message":"try again in 3 seconds"}`), repeatable, 3},
		{"days, which are not believed", isError("try again in 40 days"), repeatable, 0},
		{"negative in words", isError("retry after -5 seconds"), never, 0},
		{"huge in words", isError("retry after 99999999999999999999 seconds"), repeatable, 0},
		{"an exponent in words", isError("retry after 1e300 seconds"), never, 0},
		{"a number of something else", isError("retry after 3 attempts failed"), never, 0},
		{"words without a number", isError("try again in a moment"), never, 0},
		{"an error in words", &fault{sent: true, rpc: &mcp.JSONRPCErrorDetails{Code: -32000, Message: "busy, try again in 4 seconds"}}, repeatable, 4},
		{"text", isError("429 Too Many Requests"), always, 0},
		{"text with HTTP", isError("Error: HTTP 429: slow down"), always, 0},
		{"text of a limit", isError("Rate limit reached for requests"), always, 0},
		{"an SDK's", isError("MCP error 429: rate limited"), always, 0},
		{"about limits", isError("the document about rate limits was not found"), never, 0},
		{"an id", isError("order 429 was not found"), never, 0},
		{"a number that begins with it", isError("4291 rows are locked"), never, 0},
		{"the limit's value", isError("rate limit must be a number"), never, 0},
		{"error with data", data(-32000, `{"retryAfter":9}`), repeatable, 9},
		{"error with its code", data(-32029, `null`), always, 0},
		{"another error", data(-32000, `{"retry":9}`), never, 0},
		{"error with data, and a code in it", data(-32000, `{"code":"rate_limited","retryAfter":9}`), always, 9},
		{"a list", data(-32000, `[{"retry_after":9}]`), never, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for effect, refused := range map[schemas.Effect]bool{
				schemas.EffectRead: tt.refused != never, schemas.EffectIdempotent: tt.refused != never,
				schemas.EffectOnce: tt.refused == always, "": tt.refused == always,
			} {
				tt.fault.repeatable = mayRunTwice(&call.Call{Effect: effect})
				e := classify("a.b", tt.fault, func(s string) string { return s })
				if e.Refused() != refused || (e.RefusedBy == schemas.RefusedByRealm) != refused || (e.Code == schemas.CodeRateLimited) != refused {
					t.Errorf("effect %q: got %s, refused by %q: %v", effect, e.Code, e.RefusedBy, e)
				}
				if e.RetryAfterSeconds != tt.after {
					t.Errorf("effect %q: again after %v s, want %v", effect, e.RetryAfterSeconds, tt.after)
				}
			}
		})
	}
	for _, result := range []*toolResult{{Structured: json.RawMessage(`{"retry_after":3}`)}, {Structured: json.RawMessage(`"try again in 3 seconds"`)}} {
		if e := classify("a.b", &fault{sent: true, repeatable: true, result: result}, strings.ToLower); e.Refused() {
			t.Errorf("a result that is not an error is a refusal: %v", e)
		}
	}
}
