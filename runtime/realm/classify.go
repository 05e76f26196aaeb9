package realm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// fault is what is known about a call that failed. Exactly one of cause, err, rpc and result is set.
type fault struct {
	sent       bool                     // a complete request may have been sent
	cause      error                    // context.Cause of the ended ctx
	err        error                    // the transport failed
	rpc        *mcp.JSONRPCErrorDetails // the realm answered with an error
	result     *toolResult              // the realm answered with a result that is not a success
	status     int                      // of the HTTP response; 0: none
	retryAfter int64                    // seconds
	tooLarge   bool                     // the answer was cut at the limit
	cancelled  bool                     // the request was cancelled before the answer
	ended      bool                     // the call can no longer run
	repeatable bool                     // it may run twice: the effect of the tool is read or idempotent
}

// errSessionLost: the realm has lost the session and did not process the request.
var errSessionLost = errors.New("the realm lost the session")

// ifSent marks a case whose outcome depends on whether the request was sent.
const ifSent = schemas.Outcome("")

// failureCase is one way in which a call can fail: how it is recognized, and the error for the caller.
type failureCase struct {
	name    string
	is      func(*fault) bool
	code    schemas.Code
	outcome schemas.Outcome // ifSent: unknown where the request was sent, not_run where it was not
	message string          // %s is the text of the fault
	hint    string          // empty: that of the code
}

// cases is every way in which a call can fail, except that ctx ended. The first that matches applies.
var cases = []failureCase{
	{"answer larger than the limit", func(f *fault) bool { return f.tooLarge || f.rpc != nil && f.rpc.Code == rpcTooLarge },
		schemas.CodePayloadTooLarge, schemas.RanFailed, "the tool ran, and its answer was larger than the limit",
		"ask the tool for less, or for a part; the operator's setting is limits.max_message_bytes"},
	{"stream without end", func(f *fault) bool { return errors.Is(f.err, errEndless) || errors.Is(f.err, errTooLarge) },
		schemas.CodePayloadTooLarge, ifSent, "the realm wrote a message larger than the limit; its connection was closed",
		"the operator's setting is limits.max_message_bytes"},
	{"answer nested too deep", isUnreadable(schemas.FlawDepth),
		schemas.CodePayloadTooLarge, schemas.RanFailed, "the tool ran, and most clients could not read its answer: %s",
		"ask the tool for less; the operator's setting is limits.max_depth"},
	{"answer with a number that has no reader", isUnreadable(schemas.FlawNumber),
		schemas.CodeToolError, schemas.RanFailed, "the tool ran, and most clients could not read its answer: %s", ""},
	{"answer that is not JSON", func(f *fault) bool { return f.rpc != nil && f.rpc.Code == rpcMalformed || isSyntaxError(f.err) },
		schemas.CodeToolError, schemas.Unknown, "the realm answered with malformed JSON", ""},
	{"result of another shape", func(f *fault) bool { return f.err != nil && errors.Is(f.err, errNoResult) },
		schemas.CodeToolError, schemas.Unknown, "the realm answered with something that is not a tool result", ""},

	{"error after the cancellation", func(f *fault) bool {
		return f.cancelled && (f.rpc != nil || f.result != nil && wasCancelled.MatchString(f.text()))
	},
		schemas.CodeCancelled, schemas.Unknown, "the realm ended the call after it was cancelled: %s", ""},
	{"process of the realm ended", func(f *fault) bool { return errors.Is(f.err, errProcessGone) },
		schemas.CodeUnavailable, schemas.Unknown, "the realm's process has ended", "check whether the call happened before you try it again"},

	{"HTTP 401", status(401), schemas.CodeDenied, schemas.NotRun,
		"the realm refuses the credentials (HTTP 401)", "set its Authorization in the realm's headers"},
	{"HTTP 403", status(403), schemas.CodeDenied, schemas.NotRun,
		"the realm refuses access (HTTP 403)", "check the permissions of the credentials in the realm's headers"},
	{"HTTP 413", status(413), schemas.CodePayloadTooLarge, schemas.NotRun,
		"the inputs are too large for the realm (HTTP 413)", "send less data"},
	{"HTTP 429", status(429), schemas.CodeRateLimited, schemas.NotRun, "the realm limits the rate of calls (HTTP 429)", ""},
	{"rate limit, as an error", (*fault).isLimitError, schemas.CodeRateLimited, schemas.RanFailed, "the realm limits the rate of calls: %s",
		""},
	{"rate limit, as a result", (*fault).isLimitResult, schemas.CodeRateLimited, schemas.RanFailed, "the realm limits the rate of calls: %s",
		""},
	{"redirect to another host", func(f *fault) bool { _, ok := errors.AsType[errRedirect](f.err); return ok },
		schemas.CodeUnavailable, schemas.NotRun, "%s, where neither headers nor inputs are sent", "put the new address into the realm's url"},
	{"session lost again", func(f *fault) bool { return errors.Is(f.err, errSessionLost) },
		schemas.CodeUnavailable, schemas.NotRun, "the realm does not keep the session", ""},

	{"unknown tool", func(f *fault) bool { return f.rpc != nil && unknownTool.MatchString(f.rpc.Message) },
		schemas.CodeNotFound, schemas.NotRun, "the realm has no such tool", "list all with discover_capabilities"},
	{"realm without tools", rpc(mcp.METHOD_NOT_FOUND), schemas.CodeNotFound, schemas.NotRun,
		"the realm has no tools", "list all with discover_capabilities"},
	{"invalid output, as an error", func(f *fault) bool { return rpc(mcp.INVALID_PARAMS)(f) && invalidOutput.MatchString(f.rpc.Message) },
		schemas.CodeToolError, schemas.RanFailed, "%s", ""},
	{"invalid params", rpc(mcp.INVALID_PARAMS), schemas.CodeInvalidArgument, schemas.NotRun, "the realm refuses the inputs: %s", ""},
	{"request refused", rpc(mcp.PARSE_ERROR, mcp.INVALID_REQUEST),
		schemas.CodeInvalidArgument, schemas.NotRun, "the realm refuses the request: %s", ""},
	{"protocol refused", rpc(mcp.HEADER_MISMATCH, mcp.UNSUPPORTED_PROTOCOL_VERSION, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY),
		schemas.CodeUnavailable, schemas.NotRun, "the realm refuses the protocol: %s", "pin another protocol in the realm's policy"},
	{"any other error of the realm", func(f *fault) bool { return f.rpc != nil }, schemas.CodeToolError, schemas.RanFailed, "%s", ""},

	{"unknown tool, as a result", func(f *fault) bool { return mcpError(f) && unknownTool.MatchString(f.result.text()) },
		schemas.CodeNotFound, schemas.NotRun, "the realm has no such tool", "list all with discover_capabilities"},
	{"invalid params, as a result", func(f *fault) bool { return mcpError(f) && invalidInput.MatchString(f.result.text()) },
		schemas.CodeInvalidArgument, schemas.NotRun, "%s", ""},
	{"wants a person's input", func(f *fault) bool { return f.result != nil && f.result.Type == "input_required" },
		schemas.CodeToolError, schemas.RanFailed, "the tool asks for a person's input during a call, which plans cannot give", ""},
	{"answers with a task", func(f *fault) bool { return f.result != nil && f.result.Type == "task" },
		schemas.CodeToolError, schemas.Unknown, "the tool answered with a task, which was not requested", ""},
	{"isError", func(f *fault) bool { return f.result != nil }, schemas.CodeToolError, schemas.RanFailed, "%s", ""},

	{"HTTP 5xx", func(f *fault) bool { return f.status >= 500 },
		schemas.CodeUnavailable, schemas.Unknown, "the realm, or a proxy before it, failed: %s", ""},
	{"any other HTTP 4xx", func(f *fault) bool { return f.status >= 400 },
		schemas.CodeUnavailable, schemas.NotRun, "the realm refuses the request: %s", ""},
	{"nothing was sent", func(f *fault) bool { return !f.sent },
		schemas.CodeUnavailable, schemas.NotRun, "the realm cannot be reached: %s", ""},
	{"no answer came", func(*fault) bool { return true },
		schemas.CodeUnavailable, schemas.Unknown, "the connection ended before the answer: %s",
		"check whether the call happened before you try it again; check_health shows what is wrong"},
}

var (
	unknownTool   = regexp.MustCompile(`(?is)\b(unknown tool|no such tool|tool .{1,200} (not found|disabled|does not exist))`)
	invalidInput  = regexp.MustCompile(`(?i)^MCP error -32602: (input validation error|invalid arguments)`)
	wasCancelled  = regexp.MustCompile(`(?i)cancel|abort`)
	invalidOutput = regexp.MustCompile(`(?i)output validation|output schema|structured ?content`)
)

// errProcessGone: it is proven that the process of a stdio realm has ended, with everything that it started.
var errProcessGone = errors.New("the process has ended")

// errNoResult: the answer is not a CallToolResult.
var errNoResult = errors.New("not a tool result")

// isSyntaxError reports whether mcp-go could not decode an answer.
func isSyntaxError(err error) bool {
	_, ok := errors.AsType[*json.SyntaxError](err)
	return ok
}

func status(code int) func(*fault) bool { return func(f *fault) bool { return f.status == code } }

func rpc(codes ...int) func(*fault) bool {
	return func(f *fault) bool {
		for _, code := range codes {
			if f.rpc != nil && f.rpc.Code == code {
				return true
			}
		}
		return false
	}
}

// mcpError reports whether the result is a protocol error, which the TypeScript SDK returns as a result.
func mcpError(f *fault) bool {
	return f.result != nil && f.result.IsError && strings.HasPrefix(f.result.text(), "MCP error ")
}

// isTooLarge reports whether the realm wrote more than a message may have.
func (f *fault) isTooLarge() bool {
	return f.tooLarge || f.rpc != nil && f.rpc.Code == rpcTooLarge || errors.Is(f.err, errEndless) || errors.Is(f.err, errTooLarge)
}

// classify returns the error of a failed call to a capability (realm.name). tidy is applied to texts of the realm.
func classify(capability string, f *fault, tidy func(string) string) *schemas.Error {
	if f.cause != nil {
		return cancelledError(capability, f)
	}
	for _, row := range cases {
		if !row.is(f) {
			continue
		}
		message := row.message
		if strings.Contains(message, "%s") {
			message = fmt.Sprintf(message, tidy(f.text()))
		}
		e := schemas.Errorf(row.code, "%s: %s", capability, message).WithOutcome(row.outcome)
		if row.outcome == ifSent {
			e.Outcome = sentOutcome(f.sent)
		}
		e.Ended = f.ended && e.Outcome == schemas.Unknown
		if row.hint != "" {
			e.Hint = row.hint
		}
		if row.code == schemas.CodeToolError && row.outcome != schemas.RanFailed {
			e.Hint = "the realm has a bug; check whether the call happened"
		}
		if e.Code == schemas.CodeRateLimited {
			e.RefusedBy = schemas.RefusedByRealm
		}
		if after := f.after(); after > 0 && (e.Retryable || e.Code == schemas.CodeToolError) {
			e.RetryAfterSeconds = float64(after)
		}
		return e
	}
	return schemas.Errorf(schemas.CodeInternal, "%s: unclassified", capability) // not reached: the last case matches everything
}

func sentOutcome(sent bool) schemas.Outcome {
	if sent {
		return schemas.Unknown
	}
	return schemas.NotRun
}

// cancelledError is the error of a call that was cancelled by the runtime; the reason is the cause of ctx.
func cancelledError(capability string, f *fault) *schemas.Error {
	outcome := sentOutcome(f.sent)
	if e, ok := errors.AsType[*schemas.Error](f.cause); ok {
		return e.WithOutcome(outcome)
	}
	if errors.Is(f.cause, context.DeadlineExceeded) {
		return schemas.Errorf(schemas.CodeTimeout, "%s: the caller's deadline passed before the answer", capability).
			WithHint("allow it more time, or try again").WithOutcome(outcome)
	}
	return schemas.Errorf(schemas.CodeCancelled, "%s: cancelled before the answer", capability).WithOutcome(outcome)
}

// text is the message of the realm or of the transport.
func (f *fault) text() string {
	switch {
	case f.rpc != nil:
		return f.rpc.Message
	case f.result != nil:
		if text := f.result.text(); strings.TrimSpace(text) != "" {
			return text
		}
		if len(f.result.Structured) > 0 {
			return string(f.result.Structured)
		}
		return "the tool reported an error without a message"
	case f.err != nil:
		return errorText(f.err)
	}
	return "no reason given"
}

// errorText is the message of a transport error without outer layers that mean nothing to a caller, and without the URL, which may
// contain a secret.
func errorText(err error) string {
	if e, ok := errors.AsType[errRedirect](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err.Error()
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "malformed JSON"
	}
	text := err.Error()
	for _, prefix := range []string{"transport error: ", "failed to send request: ", "write to stdin: ", "read from stdout: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if text == "unexpected nil response" { // mcp-go's words
		return "the event stream ended without one"
	}
	return text
}

// refusedAccess is how mcp-go reports a 403.
var refusedAccess = regexp.MustCompile(`status(?: code)?:? 403\b`)

// startFailure is the error of a realm that could not be connected, with a hint.
func startFailure(name, address string, err error, tidy func(string) string) *schemas.Error {
	if e, ok := errors.AsType[*schemas.Error](err); ok {
		return e.WithOutcome(schemas.NotRun)
	}
	message, hint := tidy(errorText(err)), fmt.Sprintf("check the command of mcpServers.%s, and run it by hand", name)
	if address != "" {
		message += " (" + placeOf(address) + ")"
		hint = fmt.Sprintf("check mcpServers.%s.url, and whether its server runs there", name)
	}
	code := schemas.CodeUnavailable
	_, redirected := errors.AsType[errRedirect](err)
	switch {
	case errors.Is(err, transport.ErrAuthorizationRequired):
		code, message = schemas.CodeDenied, "it refuses the credentials (HTTP 401)"
		hint = fmt.Sprintf("set Authorization in mcpServers.%s.headers", name)
	case mcp.IsUnsupportedProtocolVersion(err):
		message = "it speaks no protocol version that is known here: " + message
		hint = fmt.Sprintf("update its server; known are %s", strings.Join(mcp.ValidProtocolVersions, ", "))
	case refusedAccess.MatchString(message):
		code, message = schemas.CodeDenied, "it refuses access (HTTP 403)"
		hint = fmt.Sprintf("check the permissions of the credentials in mcpServers.%s.headers", name)
	case errors.Is(err, transport.ErrLegacySSEServer):
		message = "its url does not support streamable HTTP"
		hint = fmt.Sprintf(`check mcpServers.%s.url; for an older server add "type": "sse"`, name)
	case errors.Is(err, transport.ErrSessionTerminated):
		message = "its url answers HTTP 404"
		hint = fmt.Sprintf("check mcpServers.%s.url", name)
	case redirected:
		hint = fmt.Sprintf("put the new address into mcpServers.%s.url", name)
	case errors.Is(err, errEndless), errors.Is(err, errTooLarge):
		message = "it writes a message larger than the limit (limits.max_message_bytes)"
	case errors.Is(err, errHandshakeDied):
		hint = fmt.Sprintf("run the command of mcpServers.%s by hand; it may need arguments or variables in env", name)
	}
	return schemas.Errorf(code, "realm %q cannot be started: %s", name, message).WithHint("%s", hint).WithOutcome(schemas.NotRun)
}
