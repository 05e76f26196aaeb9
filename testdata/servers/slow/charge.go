package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// charges adds a tool that goes on when it is cancelled and takes effect at the end, and one that says whether it has.
func (s *slow) charges() {
	s.server.AddTools(
		server.ServerTool{Tool: mcp.NewTool("charge",
			mcp.WithDescription("Charge an order after so many milliseconds, also if the call is cancelled meanwhile. then: fail (an error at the end "+
				"instead), obey (a cancellation stops it)."),
			mcp.WithString("order", mcp.Required()), mcp.WithNumber("ms", mcp.Required()), mcp.WithString("then")), Handler: s.charge},
		server.ServerTool{Tool: mcp.NewTool("find_charges", mcp.WithDescription("List the charges of an order."),
			mcp.WithReadOnlyHintAnnotation(true), mcp.WithString("order", mcp.Required())), Handler: s.findCharges},
	)
}

func (s *slow) charge(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if err := s.ledger.Append("charge", "began", r); err != nil {
		return nil, err
	}
	cancelled := ctx.Done()
	if r.GetString("then", "") != "obey" {
		cancelled = nil
	}
	select {
	case <-time.After(time.Duration(r.GetFloat("ms", 0) * float64(time.Millisecond))):
	case <-cancelled:
		return nil, ctx.Err()
	}
	if r.GetString("then", "") == "fail" {
		return mcp.NewToolResultError("the card was declined"), nil
	}
	if err := s.ledger.Append("charge", "once", r); err != nil {
		return nil, err
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"order": r.GetString("order", "")}), nil
}

func (s *slow) findCharges(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	all, err := s.ledger.Read()
	if err != nil {
		return nil, err
	}
	items := []string{}
	for _, e := range all {
		var inputs struct{ Order string }
		if e.Tool == "charge" && e.Effect == "once" && json.Unmarshal(e.Inputs, &inputs) == nil && inputs.Order == r.GetString("order", "") {
			items = append(items, e.At.Format(time.RFC3339Nano))
		}
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"items": items}), nil
}

// serveHTTP serves streamable HTTP at /mcp and legacy SSE at /sse, and prints the base URL. It does not return.
func serveHTTP(s *server.MCPServer, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	if _, err := fmt.Fprintln(os.Stdout, base); err != nil {
		return err
	}
	events := server.NewSSEServer(s, server.WithBaseURL(base))
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s))
	mux.Handle("/sse", events.SSEHandler())
	mux.Handle("/message", events.MessageHandler())
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}
