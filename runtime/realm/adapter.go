package realm

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// adapter is between mcp-go's client and a transport and changes two things: a server that answers any method with {} is not
// taken for a modern one, and requests of a realm are declined here.
type adapter struct {
	transport.Interface
	onClose func()
	log     hclog.Logger // nil: none
	once    sync.Once
}

// SendRequest turns an answer to server/discover without a modern version into an error, so that the handshake uses the legacy
// protocol.
func (t *adapter) SendRequest(ctx context.Context, request transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	response, err := t.Interface.SendRequest(ctx, request)
	if err == nil && response != nil && response.Error == nil && request.Method == string(mcp.MethodInitialize) {
		var odd []string
		if response.Result, odd = readableHandshake(response.Result); len(odd) > 0 && t.log != nil {
			t.log.Warn("fields of the realm's handshake cannot be read and count as absent", "fields", strings.Join(odd, " "))
		}
		return response, nil
	}
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
func (t *adapter) SetProtocolVersion(version string) {
	if http, ok := t.Interface.(transport.HTTPConnection); ok {
		http.SetProtocolVersion(version)
	}
}

// SetRequestHandler installs decline instead of the client's handler.
func (t *adapter) SetRequestHandler(transport.RequestHandler) {
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

// Close closes the transport, once, and then calls onClose.
func (t *adapter) Close() error {
	var err error
	t.once.Do(func() {
		err = t.Interface.Close()
		t.onClose()
	})
	return err
}
