package realm

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// tap stands between mcp-go's client and a transport and mends two things: servers that answer any method with {} are not
// taken for modern ones, and requests of a realm are declined here, never handed on.
type tap struct {
	transport.Interface
	onClose func()
	once    sync.Once
}

// SendRequest turns an answer to server/discover that names no version into an error, so that the handshake goes on in
// the old way.
func (t *tap) SendRequest(ctx context.Context, request transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	response, err := t.Interface.SendRequest(ctx, request)
	if err != nil || request.Method != string(mcp.MethodServerDiscover) || response.Error != nil {
		return response, err
	}
	var found struct {
		Versions []string `json:"supportedVersions"`
	}
	if json.Unmarshal(response.Result, &found) != nil || !slices.ContainsFunc(found.Versions, mcp.IsModernProtocol) {
		response.Result = nil
		response.Error = &mcp.JSONRPCErrorDetails{Code: mcp.METHOD_NOT_FOUND, Message: "no modern version supported"}
	}
	return response, nil
}

// SetProtocolVersion passes the negotiated version to an HTTP transport.
func (t *tap) SetProtocolVersion(version string) {
	if http, ok := t.Interface.(transport.HTTPConnection); ok {
		http.SetProtocolVersion(version)
	}
}

// SetRequestHandler installs our own refusal in place of the client's handler.
func (t *tap) SetRequestHandler(transport.RequestHandler) {
	if b, ok := t.Interface.(transport.BidirectionalInterface); ok {
		b.SetRequestHandler(decline)
	}
}

func decline(_ context.Context, request transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	if request.Method == string(mcp.MethodPing) {
		return transport.NewJSONRPCResultResponse(request.ID, json.RawMessage(`{}`)), nil
	}
	return transport.NewJSONRPCErrorResponse(request.ID, mcp.METHOD_NOT_FOUND, declined, nil), nil
}

// Close closes the transport once and then what it stood on.
func (t *tap) Close() error {
	var err error
	t.once.Do(func() {
		err = t.Interface.Close()
		t.onClose()
	})
	return err
}
