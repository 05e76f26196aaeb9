package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/schemas"
)

// Listen opens an address such as "127.0.0.1:8080" for HTTP; port 0 selects a free one. Without Config.InsecureNoAuth it
// refuses every address that other machines can reach, before it opens anything.
func (s *Server) Listen(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "address %q: %s", address, err).
			WithHint(`use host:port such as "127.0.0.1:8080"`)
	}
	if !loopback(host) && !s.config.InsecureNoAuth {
		return nil, exposed(address)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return ln, nil
}

func exposed(address string) error {
	return schemas.Errorf(schemas.CodeDenied, "refused to listen on %q: other machines could reach it, and requests are not authenticated yet", address).
		WithHint("listen on 127.0.0.1 and put an authenticating proxy in front of it, or pass --insecure-no-auth")
}

// Limits of HTTP connections.
const (
	headerTime  = 10 * time.Second
	idleTime    = 2 * time.Minute
	maxHeader   = 32 << 10
	sessionLife = time.Hour // after which mcp-go forgets an idle session
)

// HTTP serves streamable HTTP at /mcp, legacy SSE at /sse and /message, /healthz and /readyz, until ctx ends. Then it accepts
// nothing new and returns nil after the calls in flight are answered; those that take longer than Config.Drain are cut off. It
// closes ln.
func (s *Server) HTTP(ctx context.Context, ln net.Listener) error {
	onLoopback := loopback(ln.Addr().String())
	if !onLoopback && !s.config.InsecureNoAuth {
		ln.Close()
		return exposed(ln.Addr().String())
	}
	calls, cutOff := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutOff(nil)
	defer s.subscriptions.removeWeb()
	stopping := make(chan struct{})
	mcpHTTP := s.streamable()
	s.sessions.forget = func(id string) { forgetSession(mcpHTTP, id) } //nolint:contextcheck // it belongs to no request
	srv := &http.Server{
		Handler:           guard(onLoopback, s.routes(mcpHTTP, stopping)),
		BaseContext:       func(net.Listener) context.Context { return calls },
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog:    s.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		ConnContext: withConnection, ConnState: s.connections.changed,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(countingListener{ln, s.connections}) }()
	select {
	case err := <-failed:
		close(stopping)
		_ = mcpHTTP.Shutdown(calls)
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}

	s.beginDrain()
	close(stopping)
	_ = mcpHTTP.Shutdown(calls) // ends the GET streams and mcp-go's session sweeper; it cannot fail without an http.Server
	s.connections.closeFresh()  // Shutdown would wait five seconds for them
	patience, done := context.WithTimeout(calls, s.config.Drain)
	defer done()
	if err := srv.Shutdown(patience); err != nil {
		s.log.Warn("calls in flight were cut off because they did not finish in time", "after", s.config.Drain)
		cutOff(errStopping)
		last, done := context.WithTimeout(context.WithoutCancel(ctx), cutOffGrace)
		defer done()
		if err := srv.Shutdown(last); err != nil {
			srv.Close()
		}
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

func (s *Server) routes(mcpHTTP http.Handler, stopping <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mcp", s.mcpHandler(mcpHTTP, stopping))
	old := newSSE(s, stopping)
	mux.HandleFunc("GET /sse", old.listen)
	mux.HandleFunc("POST /message", old.post)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
			plain(w, http.StatusServiceUnavailable, "stopping")
			return
		default:
		}
		if s.config.Ready != nil {
			if err := s.config.Ready(r.Context()); err != nil {
				plain(w, http.StatusServiceUnavailable, schemas.OneLine(schemas.AsError(err).Message))
				return
			}
		}
		plain(w, http.StatusOK, "ready")
	})
	return mux
}

// streamable is mcp-go's handler for /mcp.
func (s *Server) streamable() *mcpserver.StreamableHTTPServer {
	return mcpserver.NewStreamableHTTPServer(s.mcp,
		mcpserver.WithStreamableHTTPLogger(slogTo(s.log.Named("http"))),
		mcpserver.WithDisableLocalhostProtection(true), // guard checks Host and Origin
		mcpserver.WithSessionIdleTTL(sessionLife),
		mcpserver.WithSessionIdManager(s.sessions),
		mcpserver.WithHTTPContextFunc(func(ctx context.Context, _ *http.Request) context.Context {
			return s.ownSession(ctx)
		}),
	)
}
