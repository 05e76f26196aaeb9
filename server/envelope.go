package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// envelope is one message of a client, parsed as far as it is routed by.
type envelope struct {
	JSONRPC json.RawMessage `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"` // as it was written: the answer repeats it byte for byte
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`

	message   []byte         // what mcp-go handles
	alias     idAlias        // of ID in message
	refused   *schemas.Error // of a tools/call: what is wrong with its arguments, for its result
	call      *callShape     // the params of a tools/call
	narrowing narrowing      // by the headers that came with the message
}

// envelopeKey is the key of the envelope of a tools/call in its context.
type envelopeKey struct{}

// progressToken is the token of a call as it was written, or the decoded one.
func (h *envelope) progressToken(decoded any) any {
	if h == nil || h.call == nil || h.call.Meta == nil || len(h.call.Meta.ProgressToken) == 0 {
		return decoded
	}
	return h.call.Meta.ProgressToken
}

// maxID is the most bytes of a request's id.
const maxID = 1 << 10

// parseEnvelope parses one message and checks that every reader would read the same in it: it is UTF-8, its numbers can be
// represented, no object has a name twice, and it is not nested too deep. What is wrong with the arguments of a tools/call becomes
// its result, which the model sees; otherwise the answer is a protocol error.
func (s *Server) parseEnvelope(message []byte) (*envelope, *mcp.JSONRPCError) {
	h := &envelope{message: message}
	flaw := schemas.FindFlaw(message, s.config.MaxDepth)
	if err := json.Unmarshal(message, h); err != nil {
		switch {
		case flaw != nil:
			return nil, flawed(messageID(message), mcp.PARSE_ERROR, flaw)
		case json.Valid(message):
			return nil, protocolError(messageID(message), mcp.INVALID_REQUEST, invalidMessage(message, err), nil)
		}
		return nil, protocolError(nil, mcp.PARSE_ERROR, "the message is not JSON"+atByte(err), nil)
	}
	if string(h.ID) == "null" {
		h.ID = nil
	}
	if len(h.ID) > 0 {
		switch {
		case h.ID[0] != '"' && h.ID[0] != '-' && (h.ID[0] < '0' || h.ID[0] > '9'):
			return nil, protocolError(nil, mcp.INVALID_REQUEST, "id must be a string or a number", nil)
		case len(h.ID) > maxID:
			return nil, protocolError(nil, mcp.INVALID_REQUEST, fmt.Sprintf("id has %d bytes (limit %d)", len(h.ID), maxID), nil)
		case flaw != nil && schemas.FindFlaw(h.ID, 0) != nil: // it cannot be repeated
			return nil, flawed(nil, mcp.INVALID_REQUEST, flaw)
		}
	}
	switch {
	case h.ID == nil && h.Method == string(mcp.MethodNotificationCancelled): // a flaw in its reason does not matter
	case flaw != nil && !h.refuse(flaw, s.config.MaxDepth):
		return nil, flawed(h.ID, mcp.INVALID_REQUEST, flaw)
	}
	if problem := h.misshapen(); problem != "" {
		return nil, protocolError(h.ID, mcp.INVALID_PARAMS, problem, nil)
	}
	h.aliasIDs()
	return h, nil
}

// refuse replaces the arguments of a tools/call that have a flaw, so that the call is answered with a result that says so. It
// reports whether the message is without flaws then.
func (h *envelope) refuse(flaw *schemas.Flaw, maxDepth int) bool {
	if h.Method != string(mcp.MethodToolsCall) || h.ID == nil {
		return false
	}
	var params struct {
		Name json.RawMessage `json:"name"`
		Meta json.RawMessage `json:"_meta,omitempty"`
	}
	if json.Unmarshal(h.Params, &params) != nil {
		return false
	}
	clean, err := json.Marshal(params)
	if err != nil || schemas.FindFlaw(clean, maxDepth) != nil {
		return false
	}
	h.Params = clean
	h.message = h.rebuilt(h.ID, clean)
	h.refused = flaw.Error().With(func(e *schemas.Error) { e.Field = strings.TrimPrefix(e.Field, "/params/arguments") })
	return true
}

// rebuilt is the message with another id and other params, and without members that have no meaning.
func (h *envelope) rebuilt(id, params json.RawMessage) []byte {
	b := append([]byte(`{"jsonrpc":`), orNull(h.JSONRPC)...)
	if id != nil {
		b = append(append(b, `,"id":`...), id...)
	}
	method, _ := json.Marshal(h.Method) // a string always encodes
	b = append(append(b, `,"method":`...), method...)
	if params != nil {
		b = append(append(b, `,"params":`...), params...)
	}
	return append(b, '}')
}

func orNull(v json.RawMessage) json.RawMessage {
	if len(v) == 0 {
		return json.RawMessage("null")
	}
	return v
}

// flawed is the protocol error about a flaw.
func flawed(id json.RawMessage, code int, flaw *schemas.Flaw) *mcp.JSONRPCError {
	e := flaw.Error()
	return protocolError(id, code, e.Message+"; "+e.Hint, e)
}

// invalidMessage says what is wrong with JSON that is not a message.
func invalidMessage(message []byte, err error) string {
	if !strings.HasPrefix(strings.TrimSpace(string(message[:min(len(message), 64)])), "{") {
		return "a message is one JSON-RPC object; batches are not supported"
	}
	return "invalid message: " + schemas.DecodeProblem(err)
}

// atByte says where a syntax error is.
func atByte(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf(" (at byte %d)", e.Offset)
	}
	return ""
}

// shapes are the params of the methods that mcp-go decodes, whose errors would have the words of encoding/json. Those of
// notifications do not matter.
var shapes = map[mcp.MCPMethod]func() any{
	mcp.MethodInitialize:           func() any { return new(mcp.InitializeParams) },
	mcp.MethodToolsCall:            func() any { return new(callShape) },
	mcp.MethodToolsList:            func() any { return new(mcp.PaginatedParams) },
	mcp.MethodPromptsList:          func() any { return new(mcp.PaginatedParams) },
	mcp.MethodPromptsGet:           func() any { return new(mcp.GetPromptParams) },
	mcp.MethodResourcesList:        func() any { return new(mcp.PaginatedParams) },
	mcp.MethodResourcesRead:        func() any { return new(mcp.ReadResourceParams) },
	mcp.MethodResourcesSubscribe:   func() any { return new(mcp.SubscribeParams) },
	mcp.MethodResourcesUnsubscribe: func() any { return new(mcp.UnsubscribeParams) },
	mcp.MethodSubscriptionsListen:  func() any { return new(mcp.SubscriptionsListenParams) },
}

// callShape is the params of tools/call, without its arguments.
type callShape struct {
	Name string `json:"name"`
	Meta *struct {
		ProgressToken json.RawMessage `json:"progressToken"` // as it was written, to be repeated
		Version       string          `json:"io.modelcontextprotocol/protocolVersion"`
	} `json:"_meta"`
	Task *mcp.TaskParams `json:"task"`
	mcp.MultiRoundTripParams
}

// maxName is the most bytes of a name in the params of a request: answers repeat it.
const maxName = 4 << 10

// misshapen returns what is wrong with the params of a request; empty: nothing.
func (h *envelope) misshapen() string {
	if len(h.Method) > maxName {
		return fmt.Sprintf("the name of the method has %d bytes (limit %d)", len(h.Method), maxName)
	}
	shape := shapes[mcp.MCPMethod(h.Method)]
	if shape == nil || h.ID == nil || len(h.Params) == 0 {
		return ""
	}
	into := shape()
	if err := json.Unmarshal(h.Params, into); err != nil {
		return "params: " + schemas.DecodeProblem(err)
	}
	if h.call, _ = into.(*callShape); h.call == nil && len(h.Params) > maxName {
		return longName(h.Params)
	}
	if h.call != nil && h.call.Meta != nil && len(h.call.Meta.Version) > maxName {
		return fmt.Sprintf("params._meta: the protocol version has %d bytes (limit %d)", len(h.call.Meta.Version), maxName)
	}
	return ""
}

// longName returns which name in the params is too long; empty: none.
func longName(params json.RawMessage) string {
	var p struct {
		Name    string `json:"name"`
		URI     string `json:"uri"`
		Cursor  string `json:"cursor"`
		Version string `json:"protocolVersion"`
		Meta    struct {
			Version string `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
	}
	if json.Unmarshal(params, &p) != nil {
		return "" // another shape
	}
	for _, field := range []struct{ name, value string }{
		{"name", p.Name}, {"uri", p.URI}, {"cursor", p.Cursor}, {"protocolVersion", p.Version}, {"_meta: the protocol version", p.Meta.Version},
	} {
		if len(field.value) > maxName {
			return fmt.Sprintf("params.%s has %d bytes (limit %d)", field.name, len(field.value), maxName)
		}
	}
	return ""
}

// utf8Only is a message as it is sent: whatever an older version has stored, no answer has bytes that are not UTF-8.
func utf8Only(message []byte) []byte {
	if utf8.Valid(message) {
		return message
	}
	return []byte(strings.ToValidUTF8(string(message), "\ufffd"))
}
