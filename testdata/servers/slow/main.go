// Command slow is an MCP server with tools that take as long as their argument says: sleep, which can be cancelled, and charge, which
// goes on then and takes effect at the end. Its ledger says whether a call slept to its end or was cancelled, and which charges began
// and took effect.
//
//	slow [-ledger FILE] [-hang-at-initialize]             on stdio
//	slow [-ledger FILE] -http 127.0.0.1:0                 as streamable HTTP at /mcp and legacy SSE at /sse; prints its base URL
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/testdata/servers/ledger"
)

func main() {
	path := flag.String("ledger", os.Getenv("SLOW_LEDGER"), "file that gets one JSON line for each call that ended")
	hang := flag.Bool("hang-at-initialize", false, "read everything and answer nothing")
	address := flag.String("http", "", "serve HTTP on this address")
	flag.Parse()

	if *hang {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the client disconnects
		return
	}
	s := server.NewMCPServer("slow", "1.0.0")
	(&slow{server: s, ledger: ledger.New(*path), holds: map[string]*hold{}}).register()
	serve := func() error { return server.ServeStdio(s, server.WithWorkerPoolSize(100)) }
	if *address != "" {
		serve = func() error { return serveHTTP(s, *address) }
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "slow:", err)
		os.Exit(1)
	}
}

type slow struct {
	server *server.MCPServer
	ledger *ledger.File

	mu    sync.Mutex
	holds map[string]*hold // by order
}

func (s *slow) register() {
	s.charges()
	s.server.AddTools(
		server.ServerTool{Tool: mcp.NewTool("echo", mcp.WithDescription("Answer with the message."), mcp.WithReadOnlyHintAnnotation(true), mcp.WithString("msg")), Handler: s.echo},
		server.ServerTool{Tool: mcp.NewTool("sleep", mcp.WithDescription("Sleep so many milliseconds and report progress ten times."), mcp.WithReadOnlyHintAnnotation(true), mcp.WithNumber("ms", mcp.Required())), Handler: s.sleep},
	)
}

func (s *slow) echo(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(r.GetString("msg", "")), nil
}

func (s *slow) sleep(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	const steps = 10
	total := time.Duration(r.GetFloat("ms", 1000) * float64(time.Millisecond))
	for i := 1; i <= steps; i++ {
		select {
		case <-time.After(total / steps):
		case <-ctx.Done():
			if err := s.ledger.Append("sleep", "cancelled", r); err != nil {
				return nil, err
			}
			return nil, ctx.Err()
		}
		if meta := r.Params.Meta; meta != nil && meta.ProgressToken != nil && i < steps {
			// A full channel drops the notification; progress may be lost.
			_ = s.server.SendNotificationToClient(ctx, "notifications/progress", map[string]any{
				"progressToken": meta.ProgressToken, "progress": i, "total": steps,
			})
		}
	}
	if err := s.ledger.Append("sleep", "read", r); err != nil {
		return nil, err
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"slept_ms": total.Milliseconds()}), nil
}
