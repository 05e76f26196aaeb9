package realm

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client/transport"

	"github.com/runplane/runplane/schemas"
)

// dialTimeout bounds connecting and TLS; what comes after has only the limits that are configured.
const dialTimeout = 10 * time.Second

// newHTTPTransport makes the transport of an http or sse realm. The http.Client belongs to the transport; idle closes its
// idle connections.
func newHTTPTransport(kind string, spec schemas.Realm, limits Limits, log hclog.Logger) (tr transport.Interface, idle func(), err error) {
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64, // all calls go to one host
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	client := &http.Client{Transport: &roundTripper{next: base, limit: limits.MaxMessage}, CheckRedirect: sameHostOnly}
	logger := slog.New(logHandler{log})
	switch kind {
	case transportSSE:
		tr, err = transport.NewSSE(spec.URL,
			transport.WithHTTPClient(client), transport.WithHeaders(spec.Headers), transport.WithSSELogger(logger),
			transport.WithEndpointTimeout(limits.StartTimeout), transport.WithResponseTimeout(math.MaxInt64))
	default:
		tr, err = transport.NewStreamableHTTP(spec.URL,
			transport.WithHTTPBasicClient(client), transport.WithHTTPHeaders(spec.Headers), transport.WithHTTPLogger(logger),
			transport.WithContinuousListening()) //nolint:staticcheck // servers before 2026-07-28 have no other way to say tools/list_changed; with a modern one it ends by itself
	}
	return tr, base.CloseIdleConnections, err
}

// errRedirect is a redirect to another host. The configured URL is trusted with headers and inputs; where it points is not.
type errRedirect struct{ from, to string }

func (e errRedirect) Error() string { return fmt.Sprintf("%s redirects to %s", e.from, e.to) }

// sameHostOnly follows redirects within a host and never down to plain http.
func sameHostOnly(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || first.Scheme == "https" && req.URL.Scheme != "https" {
		return errRedirect{first.Scheme + "://" + first.Host, req.URL.Scheme + "://" + req.URL.Host}
	}
	if len(via) >= 5 {
		return fmt.Errorf("more than %d redirects", len(via))
	}
	return nil
}

// logHandler brings the few lines that mcp-go's transports log to ours, as Debug: what matters in them comes back as an
// error too.
type logHandler struct{ log hclog.Logger }

func (h logHandler) Enabled(context.Context, slog.Level) bool { return h.log.IsDebug() }

func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	var pairs []any
	r.Attrs(func(a slog.Attr) bool {
		pairs = append(pairs, a.Key, printable([]byte(a.Value.String()), 300))
		return true
	})
	h.log.Debug(r.Message, pairs...)
	return nil
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	log := h.log
	for _, a := range attrs {
		log = log.With(a.Key, a.Value.String())
	}
	return logHandler{log}
}

func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.log.Named(name)} }
