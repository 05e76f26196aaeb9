// Command flaky is an MCP server whose tools fail in the ways of real ones, as their arguments say.
//
//	flaky [-ignore-term]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/mark3labs/mcp-go/server"
)

func main() {
	ignoreTerm := flag.Bool("ignore-term", false, "do not end on SIGTERM or on the end of stdin")
	flag.Parse()
	if *ignoreTerm {
		signal.Ignore(syscall.SIGTERM)
	}

	s := server.NewMCPServer("flaky", "1.0.0", server.WithToolCapabilities(true))
	f := &flaky{server: s, failures: map[string]int{}}
	f.register()

	stdio := server.NewStdioServer(s)
	server.WithWorkerPoolSize(64)(stdio)
	err := stdio.Listen(context.Background(), &stdin{deaf: &f.deaf}, os.Stdout)
	if *ignoreTerm {
		select {}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flaky:", err)
		os.Exit(1)
	}
}

// stdin is this process's standard input until deaf is set; then nothing is read, and the pipe fills.
type stdin struct{ deaf *atomic.Bool }

func (s *stdin) Read(b []byte) (int, error) {
	n, err := os.Stdin.Read(b[:min(len(b), 512)])
	if s.deaf.Load() {
		select {}
	}
	return n, err
}

var _ io.Reader = (*stdin)(nil)
