package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// charges adds a tool that goes on when it is cancelled and takes effect at the end, and one that says whether it has.
func (s *slow) charges() {
	s.server.AddTools(
		server.ServerTool{Tool: mcp.NewTool("charge",
			mcp.WithDescription("Charge an order after so many milliseconds, also if the call is cancelled meanwhile. then: fail (an error at the end "+
				"instead), obey (a cancellation stops it). hold: wait for release_charge instead of for a time."),
			mcp.WithString("order", mcp.Required()), mcp.WithNumber("ms"), mcp.WithString("then"), mcp.WithBoolean("hold")), Handler: s.charge},
		server.ServerTool{Tool: mcp.NewTool("await_charge", mcp.WithDescription("Wait until a charge with hold of the order has begun."),
			mcp.WithReadOnlyHintAnnotation(true), mcp.WithString("order", mcp.Required())), Handler: s.awaitCharge},
		server.ServerTool{Tool: mcp.NewTool("release_charge", mcp.WithDescription("Let the charge with hold of the order go on."),
			mcp.WithString("order", mcp.Required())), Handler: s.releaseCharge},
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
	var released <-chan struct{}
	var over <-chan time.Time
	if r.GetBool("hold", false) {
		h := s.hold(r.GetString("order", ""))
		h.begin()
		released = h.released
	} else {
		over = time.After(time.Duration(r.GetFloat("ms", 0) * float64(time.Millisecond)))
	}
	select {
	case <-over:
	case <-released:
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

// hold is what the charges with hold of one order wait for.
type hold struct {
	began, released chan struct{}
	begin, release  func()
}

func (s *slow) hold(order string) *hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.holds[order]
	if h == nil {
		h = &hold{began: make(chan struct{}), released: make(chan struct{})}
		h.begin, h.release = sync.OnceFunc(func() { close(h.began) }), sync.OnceFunc(func() { close(h.released) })
		s.holds[order] = h
	}
	return h
}

func (s *slow) awaitCharge(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	select {
	case <-s.hold(r.GetString("order", "")).began:
		return mcp.NewToolResultText("it has begun"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *slow) releaseCharge(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	s.hold(r.GetString("order", "")).release()
	return mcp.NewToolResultText("released"), nil
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
