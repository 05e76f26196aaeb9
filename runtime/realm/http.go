package realm

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client/transport"
)

// dialTimeout bounds connecting and TLS; everything after that has the configured limits only.
const dialTimeout = 10 * time.Second

// newHTTPTransport returns the transport of an http or sse realm and its client. asked is called with each request of an sse
// realm, which mcp-go ignores.
func (d *dialer) newHTTPTransport(asked func(id json.RawMessage, method string)) (tr transport.Interface, client *http.Client, err error) {
	spec, limits := d.spec, d.limits
	network := d.network
	if network == nil {
		network = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	}
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           network,
		TLSHandshakeTimeout:   dialTimeout,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64, // all calls go to one host
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	origin, err := url.Parse(spec.URL)
	if err != nil {
		return nil, nil, err
	}
	guard := &roundTripper{next: base, origin: origin, limit: limits.MaxMessage, unasked: newThrottle()}
	client = &http.Client{Transport: guard}
	logger := slog.New(logHandler{d.log})
	switch d.kind {
	case transportSSE:
		guard.asked = asked
		tr, err = transport.NewSSE(spec.URL,
			transport.WithHTTPClient(client), transport.WithHeaders(spec.Headers), transport.WithSSELogger(logger),
			transport.WithEndpointTimeout(math.MaxInt64), transport.WithResponseTimeout(math.MaxInt64))
	default:
		tr, err = transport.NewStreamableHTTP(spec.URL,
			transport.WithHTTPBasicClient(client), transport.WithHTTPHeaders(spec.Headers), transport.WithHTTPLogger(logger),
			transport.WithContinuousListening()) //nolint:staticcheck // servers before 2026-07-28 send tools/list_changed only there; modern ones end it
	}
	return tr, client, err
}

// postTo sends one message to a legacy SSE realm without mcp-go, which answers no requests on that transport.
func postTo(ctx context.Context, client *http.Client, sse *transport.SSE, headers map[string]string, line []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sse.GetEndpoint().String(), bytes.NewReader(line))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, v := range headers {
		req.Header.Set(name, v)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// errRedirect is a redirect to another host, or an event that names one. The configured URL is trusted with headers and inputs,
// and may be a private address; the target of a redirect is not trusted, and may be a cloud's metadata service.
type errRedirect struct{ from, to string }

func (e errRedirect) Error() string { return fmt.Sprintf("%s redirects to %s", e.from, e.to) }

// logHandler logs what mcp-go's transports log at debug level: what matters is also returned as an error.
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
