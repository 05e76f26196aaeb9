package realm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

func rpcError(code int, text string) *fault {
	return &fault{sent: true, rpc: &mcp.JSONRPCErrorDetails{Code: code, Message: text}}
}

func isError(text string) *fault {
	return &fault{sent: true, result: &toolResult{IsError: true, Content: []contentBlock{{Type: "text", Text: text}}}}
}

func httpStatus(code int) *fault {
	return &fault{sent: true, status: code, err: fmt.Errorf("request failed with status %d: no", code)}
}

func TestEveryFailureIsClassified(t *testing.T) {
	own := schemas.Errorf(schemas.CodeHeartbeatLost, "no progress for 5s")
	tests := []struct {
		name    string // of the row in cases; empty for those that ctx ended
		fault   *fault
		code    schemas.Code
		outcome schemas.Outcome
		message string
	}{
		{"", &fault{cause: own}, schemas.CodeHeartbeatLost, schemas.NotRun, "no progress"},
		{"", &fault{cause: own, sent: true}, schemas.CodeHeartbeatLost, schemas.Unknown, "no progress"},
		{"", &fault{cause: fmt.Errorf("wrapped: %w", own), sent: true}, schemas.CodeHeartbeatLost, schemas.Unknown, "no progress"},
		{"", &fault{cause: context.DeadlineExceeded, sent: true}, schemas.CodeTimeout, schemas.Unknown, "deadline"},
		{"", &fault{cause: context.Canceled}, schemas.CodeCancelled, schemas.NotRun, "cancelled"},
		{"", &fault{cause: errors.New("secret of the caller"), sent: true}, schemas.CodeCancelled, schemas.Unknown, "cancelled"},

		{"answer larger than the limit", rpcError(rpcTooLarge, ""), schemas.CodePayloadTooLarge, schemas.RanFailed, "the tool ran"},
		{"answer larger than the limit", &fault{sent: true, tooLarge: true, status: 200, err: errTooLarge}, schemas.CodePayloadTooLarge, schemas.RanFailed, "the tool ran"},
		{"stream without end", &fault{sent: true, err: fmt.Errorf("read: %w", errEndless)}, schemas.CodePayloadTooLarge, schemas.Unknown, "larger than the limit"},
		{"stream without end", &fault{err: errEndless}, schemas.CodePayloadTooLarge, schemas.NotRun, "larger than the limit"},
		{"answer nested too deep", &fault{sent: true, err: unreadable{&schemas.Flaw{Kind: schemas.FlawDepth, Pointer: "/a", Text: "it is deep"}}},
			schemas.CodePayloadTooLarge, schemas.RanFailed, "could not read its answer: at /a it is deep"},
		{"answer with a number that has no reader", &fault{sent: true,
			err: unreadable{&schemas.Flaw{Kind: schemas.FlawNumber, Text: "the number 1e999 …"}}},
			schemas.CodeToolError, schemas.RanFailed, "could not read its answer: the number 1e999"},
		{"answer that is not JSON", &fault{sent: true, err: fmt.Errorf("decode: %w", json.Unmarshal([]byte("{"), new(any)))},
			schemas.CodeToolError, schemas.Unknown, "malformed"},
		{"answer that is not JSON", rpcError(rpcMalformed, ""), schemas.CodeToolError, schemas.Unknown, "malformed"},
		{"result of another shape", &fault{sent: true, err: errNoResult}, schemas.CodeToolError, schemas.Unknown, "not a tool result"},

		{"HTTP 401", httpStatus(401), schemas.CodeDenied, schemas.NotRun, "credentials"},
		{"HTTP 403", httpStatus(403), schemas.CodeDenied, schemas.NotRun, "403"},
		{"HTTP 413", httpStatus(413), schemas.CodePayloadTooLarge, schemas.NotRun, "inputs"},
		{"HTTP 429", httpStatus(429), schemas.CodeRateLimited, schemas.NotRun, "rate"},
		{"rate limit, as an error", rpcError(429, "no"), schemas.CodeRateLimited, schemas.RanFailed, "no"},
		{"rate limit, as an error", rpcError(-32000, "Too Many Requests"), schemas.CodeRateLimited, schemas.RanFailed, "rate"},
		{"rate limit, as a result", isError("Rate limit exceeded, try later"), schemas.CodeRateLimited, schemas.RanFailed, "try later"},
		{"redirect to another host", &fault{sent: true, status: 307, err: &url.Error{Op: "Post", URL: "http://a/?key=x", Err: errRedirect{"http://a", "http://b"}}}, schemas.CodeUnavailable, schemas.NotRun, "http://a redirects to http://b"},
		{"session lost again", &fault{sent: true, err: errSessionLost}, schemas.CodeUnavailable, schemas.NotRun, "session"},

		{"unknown tool", rpcError(-32602, "tool 'x' not found: tool not found"), schemas.CodeNotFound, schemas.NotRun, "no such tool"},
		{"unknown tool", rpcError(-32602, "Unknown tool: x"), schemas.CodeNotFound, schemas.NotRun, "no such tool"},
		{"unknown tool", rpcError(-32601, "Tool x does not exist"), schemas.CodeNotFound, schemas.NotRun, "no such tool"},
		{"realm without tools", rpcError(-32601, "Method not found"), schemas.CodeNotFound, schemas.NotRun, "no tools"},
		{"invalid output, as an error", rpcError(-32602, "Output validation error: id is missing"), schemas.CodeToolError, schemas.RanFailed, "id is missing"},
		{"invalid params", rpcError(-32602, "id: required"), schemas.CodeInvalidArgument, schemas.NotRun, "id: required"},
		{"request refused", rpcError(-32600, "bad"), schemas.CodeInvalidArgument, schemas.NotRun, "bad"},
		{"request refused", rpcError(-32700, "bad"), schemas.CodeInvalidArgument, schemas.NotRun, "bad"},
		{"protocol refused", rpcError(-32020, "header"), schemas.CodeUnavailable, schemas.NotRun, "header"},
		{"protocol refused", rpcError(-32021, "needs elicitation"), schemas.CodeUnavailable, schemas.NotRun, "elicitation"},
		{"protocol refused", rpcError(-32022, "version"), schemas.CodeUnavailable, schemas.NotRun, "version"},
		{"any other error of the realm", rpcError(-32603, "disk full"), schemas.CodeToolError, schemas.RanFailed, "disk full"},
		{"any other error of the realm", rpcError(17, "odd"), schemas.CodeToolError, schemas.RanFailed, "odd"},

		{"unknown tool, as a result", isError("MCP error -32602: Tool x not found"), schemas.CodeNotFound, schemas.NotRun, "no such tool"},
		{"unknown tool, as a result", isError("MCP error -32602: Tool x disabled"), schemas.CodeNotFound, schemas.NotRun, "no such tool"},
		{"invalid params, as a result", isError("MCP error -32602: Input validation error: Invalid arguments for tool x: id"), schemas.CodeInvalidArgument, schemas.NotRun, "id"},
		{"isError", isError("MCP error -32602: Output validation error: x"), schemas.CodeToolError, schemas.RanFailed, "Output"},
		{"isError", isError("the tool order was not found"), schemas.CodeToolError, schemas.RanFailed, "order"},
		{"isError", isError(""), schemas.CodeToolError, schemas.RanFailed, "without a message"},
		{"wants a person's input", &fault{sent: true, result: &toolResult{Type: "input_required"}}, schemas.CodeToolError, schemas.RanFailed, "input"},
		{"answers with a task", &fault{sent: true, result: &toolResult{Type: "task"}}, schemas.CodeToolError, schemas.Unknown, "task"},

		{"error after the cancellation", &fault{sent: true, cancelled: true, ended: true, rpc: rpcError(-32603, "stopped").rpc},
			schemas.CodeCancelled, schemas.Unknown, "stopped"},
		{"error after the cancellation", &fault{sent: true, cancelled: true, ended: true, rpc: rpcError(-32602, "unknown tool: gone").rpc},
			schemas.CodeCancelled, schemas.Unknown, "gone"},
		{"error after the cancellation", &fault{sent: true, cancelled: true, ended: true, result: isError("The operation was aborted").result},
			schemas.CodeCancelled, schemas.Unknown, "aborted"},
		{"isError", &fault{sent: true, cancelled: true, ended: true, result: isError("no such card").result}, schemas.CodeToolError,
			schemas.RanFailed, "card"},
		{"process of the realm ended", &fault{sent: true, ended: true, err: errProcessGone}, schemas.CodeUnavailable, schemas.Unknown,
			"process has ended"},

		{"HTTP 5xx", httpStatus(502), schemas.CodeUnavailable, schemas.Unknown, "502"},
		{"any other HTTP 4xx", httpStatus(422), schemas.CodeUnavailable, schemas.NotRun, "422"},
		{"nothing was sent", &fault{err: &url.Error{Op: "Post", URL: "http://a/?key=secret", Err: errors.New("connection refused")}}, schemas.CodeUnavailable, schemas.NotRun, "cannot be reached: connection refused"},
		{"no answer came", &fault{sent: true, err: fmt.Errorf("read from stdout: %w", io.EOF)}, schemas.CodeUnavailable, schemas.Unknown, "before the answer: EOF"},
	}
	var seen []string
	for _, tt := range tests {
		e := classify("shop.pay", tt.fault, func(s string) string { return clean(s, 100) })
		if e.Code != tt.code || e.Outcome != tt.outcome || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: got %s, %s, %q\nwant %s, %s, with %q", tt.name, e.Code, e.Outcome, e.Message, tt.code, tt.outcome, tt.message)
		}
		if e.Ended != (tt.fault.ended && tt.outcome == schemas.Unknown) {
			t.Errorf("%s: ended %v", tt.name, e.Ended)
		}
		if e.Hint == "" || e.Retryable != e.Code.Retryable() || strings.Contains(e.Error(), "secret") {
			t.Errorf("%s: %v has no hint, or another retryability than its code, or a secret", tt.name, e)
		}
		if tt.name == "" {
			continue
		}
		row := slices.IndexFunc(cases, func(row failureCase) bool { return row.is(tt.fault) })
		if cases[row].name != tt.name {
			t.Errorf("the fault of %q falls under %q", tt.name, cases[row].name)
		}
		seen = append(seen, tt.name)
	}
	for _, row := range cases {
		if !slices.Contains(seen, row.name) {
			t.Errorf("no test for %q", row.name)
		}
	}
}

func TestClassifyDoesNotChangeTheCause(t *testing.T) {
	cause := schemas.Errorf(schemas.CodeTimeout, "no answer")
	if e := classify("a.b", &fault{cause: cause, sent: true}, strings.ToLower); e == cause || cause.Outcome != "" {
		t.Error("a shared error was changed")
	}
}

func TestStartFailuresHaveHints(t *testing.T) {
	for _, tt := range []struct {
		err     error
		code    schemas.Code
		message string
		hint    string
	}{
		{transport.ErrAuthorizationRequired, schemas.CodeDenied, "401", "mcpServers.shop.headers"},
		{transport.ErrLegacySSEServer, schemas.CodeUnavailable, "streamable HTTP", `"type": "sse"`},
		{transport.ErrSessionTerminated, schemas.CodeUnavailable, "404", "mcpServers.shop.url"},
		{errRedirect{"http://a", "http://b"}, schemas.CodeUnavailable, "http://b", "mcpServers.shop.url"},
		{fmt.Errorf("%w: %w", errHandshakeDied, errors.New("exit status 1")), schemas.CodeUnavailable, "exit status 1", "by hand"},
		{errEndless, schemas.CodeUnavailable, "larger than the limit", "mcpServers.shop"},
		{schemas.Errorf(schemas.CodeUnavailable, "too slow"), schemas.CodeUnavailable, "too slow", ""},
		{mcp.UnsupportedProtocolVersionError{Version: "1999-01-01"}, schemas.CodeUnavailable, "1999-01-01", "2025-11-25"},
		{errors.New("request failed with status 403: no"), schemas.CodeDenied, "HTTP 403", "mcpServers.shop.headers"},
		{errors.New("odd"), schemas.CodeUnavailable, "odd", "by hand"},
	} {
		e := startFailure("shop", "", tt.err, func(s string) string { return s })
		if e.Code != tt.code || e.Outcome != schemas.NotRun || !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%v gives %s, %s: %v", tt.err, e.Code, e.Outcome, e)
		}
	}
}
