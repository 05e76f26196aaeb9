package server

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
)

// What a call of a method that does nothing costs, client included.
func BenchmarkCall(b *testing.B) {
	s := New(Config{Methods: newWorld().methods()})
	run := func(name string, tr transport.Interface) {
		c := connect(b, client.NewClient(tr))
		defer c.Close()
		call := request("zebra", `{"n":1}`, nil)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.CallTool(b.Context(), call); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", 8 at once", func(b *testing.B) {
			b.SetParallelism(4)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := c.CallTool(b.Context(), call); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	go func() { _ = s.Stdio(b.Context(), inR, outW); outW.Close() }()
	run("stdio", transport.NewIO(outR, inW, io.NopCloser(strings.NewReader(""))))

	ln, err := s.Listen(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.HTTP(ctx, ln) }()
	defer func() { stop(); <-done }()
	tr, err := transport.NewStreamableHTTP("http://" + ln.Addr().String() + "/mcp")
	if err != nil {
		b.Fatal(err)
	}
	run("HTTP", tr)
}
