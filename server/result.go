package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// result converts every outcome to MCP. A value is structuredContent and, as the same JSON, a text block. An error is only a
// text block of {"error": {...}}: clients check structuredContent against the output schema even when isError is set.
func result(value json.RawMessage, err error) *mcp.CallToolResult {
	if err == nil {
		return &mcp.CallToolResult{
			Content:           []mcp.Content{mcp.NewTextContent(string(value))},
			StructuredContent: value,
		}
	}
	brief := schemas.AsError(err).Brief(schemas.MaxAnswer - len(`{"error":}`))
	text, bad := encode(map[string]*schemas.Error{"error": brief})
	if bad != nil { // a value in a finding is not JSON; the rest of the error is strings and numbers
		e := brief.With(func(e *schemas.Error) { e.Findings = nil })
		text, _ = encode(map[string]*schemas.Error{"error": e})
	}
	return &mcp.CallToolResult{Content: []mcp.Content{mcp.NewTextContent(string(text))}, IsError: true}
}

// encode encodes a value as compact JSON.
func encode(v any) (json.RawMessage, error) {
	b, err := schemas.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return b, nil
}

// wrapping is how many levels an answer adds to a value from outside.
const wrapping = 16

// encode encodes a result that every client can read. What an older version has stored is repaired; a result that cannot be is
// an error.
func (s *Server) encode(v any) (json.RawMessage, error) {
	b, err := encode(v)
	if err != nil {
		return nil, err
	}
	b, notes, flaw := schemas.Mend(b, s.config.MaxDepth+wrapping)
	if flaw != nil {
		return nil, schemas.Errorf(schemas.CodePayloadTooLarge, "most clients cannot read the result: at %s %s", flaw.Pointer, flaw.Text).
			WithField(flaw.Pointer).WithHint("read parts of it: get_node_output takes a pointer, get_execution_status a smaller view")
	}
	if len(notes) > 0 {
		s.log.Warn("a stored value was repaired in an answer", "notes", strings.Join(notes, "; "))
	}
	return b, nil
}

// Why a call was ended early: the cause of its context and, if the client still waits, its answer.
var (
	errClientCancelled = schemas.Errorf(schemas.CodeCancelled, "the client cancelled the call").
				WithHint("an execution that it waited for continues; cancel_execution ends it")
	errClientGone = schemas.Errorf(schemas.CodeCancelled, "the client disconnected").
			WithHint("an execution that it waited for continues")
	errStopping = schemas.Errorf(schemas.CodeUnavailable, "the server is stopping").
			WithHint("executions are kept and continue when it runs again; retry then")
)

// ended replaces an error that only says that the call's context ended by the cause of that.
func ended(ctx context.Context, err error) error {
	var known *schemas.Error
	if ctx.Err() == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if errors.As(context.Cause(ctx), &known) {
			return known
		}
		return errClientCancelled
	}
	return err
}

// protocolError is a JSON-RPC error; data may be nil.
func protocolError(id json.RawMessage, code int, message string, data any) *mcp.JSONRPCError {
	e := &mcp.JSONRPCError{JSONRPC: mcp.JSONRPC_VERSION, Error: mcp.NewJSONRPCErrorDetails(code, message, data)}
	if id != nil {
		e.ID = mcp.NewRequestId(id)
	}
	return e
}
