// Command shop is a small MCP server with capabilities of each effect: it reads orders, changes them idempotently, and makes
// payments, which must happen once. Every call but echo is a line in its ledger.
//
//	shop [-ledger FILE] [-delay 50ms] [-http 127.0.0.1:0]
package main

import (
	"cmp"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/testdata/servers/ledger"
)

func main() {
	path := flag.String("ledger", os.Getenv("SHOP_LEDGER"), "file that gets one JSON line for each call")
	delay := flag.Duration("delay", 0, "how long each call lasts after its effect")
	addr := flag.String("http", "", "serve streamable HTTP at /mcp and SSE at /sse on this address instead of stdio")
	flag.Parse()

	s := server.NewMCPServer("shop", "1.0.0", server.WithToolCapabilities(true))
	(&shop{ledger: ledger.New(*path), delay: *delay}).register(s)

	var err error
	if *addr == "" {
		err = server.ServeStdio(s, server.WithWorkerPoolSize(64))
	} else {
		err = serveHTTP(s, *addr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// serveHTTP prints its address on stderr, so that the port may be 0.
func serveHTTP(s *server.MCPServer, addr string) error {
	listener, err := net.Listen("tcp", cmp.Or(addr, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	sse := server.NewSSEServer(s, server.WithBaseURL(base))
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s))
	mux.Handle("/sse", sse.SSEHandler())
	mux.Handle("/message", sse.MessageHandler())
	fmt.Fprintln(os.Stderr, "listening on", base)
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}).Serve(listener)
}
