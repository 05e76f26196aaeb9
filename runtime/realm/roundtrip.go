package realm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// exchange records what happens to the POST of one request in net/http and mcp-go, which do not report it. It is a value of the
// request's ctx. Other requests for it, such as the GET that resumes its stream, are not recorded.
type exchange struct {
	id         int64        // of the request, repeated in its answer
	call       bool         // it is tools/call
	sent       atomic.Bool  // the headers were sent
	status     atomic.Int32 // of the response; 0: there was none
	retryAfter atomic.Int64 // seconds
	tooLarge   atomic.Bool  // the body was cut at the limit
	endless    atomic.Bool  // an event stream was closed because of an event that exceeded the limit
}

type exchangeKey struct{}

// errTooLarge ends a response body at the limit.
var errTooLarge = errors.New("the response is larger than the limit")

// roundTripper is the http.RoundTripper of mcp-go's HTTP transports. It adds what they lack: whether a request was sent, a limit
// for bodies, and which 404 or 400 means a lost session. It sends requests only to the realm's own host.
type roundTripper struct {
	next    http.RoundTripper
	origin  *url.URL                // the only host that requests are sent to
	moved   atomic.Pointer[url.URL] // where the origin leads; nil: nowhere else
	limit   int
	unasked *throttle                               // of the event streams together; nil: none
	asked   func(id json.RawMessage, method string) // called with each request of the realm on an SSE stream, if not nil
}

// closeTimeout bounds the DELETE that ends a session, so that it does not delay the shutdown.
const closeTimeout = time.Second

// CloseIdleConnections is called by the method of http.Client with this name.
func (t *roundTripper) CloseIdleConnections() {
	if next, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != t.origin.Host || t.origin.Scheme == "https" && req.URL.Scheme != "https" {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errRedirect{t.origin.Scheme + "://" + t.origin.Host, req.URL.Scheme + "://" + req.URL.Host}
	}
	ctx := req.Context()
	if req.Method == http.MethodDelete {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel() // the body of a DELETE is not read
		req = req.WithContext(ctx)
	}
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	of := x // the request of a stream, also of one that is resumed by GET
	if req.Method != http.MethodPost {
		x = nil
	}
	if x != nil {
		req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GetConn:      func(string) { x.sent.Store(false) }, // net/http sends a POST again only if nothing was written
			WroteHeaders: func() { x.sent.Store(true) },
		}))
	}
	res, err := t.follow(req, x != nil && x.call)
	if err != nil {
		return nil, err
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if media == "text/event-stream" {
		res.Body = &eventBody{body: res.Body, lines: newLineReader(res.Body, t.limit), limit: t.limit, unasked: t.unasked, x: of, asked: t.asked}
	} else {
		res.Body = &cappedBody{ReadCloser: res.Body, left: t.limit, x: x}
	}
	if err := fixStatus(req, res, media); err != nil {
		return nil, err
	}
	if x != nil {
		x.status.Store(int32(res.StatusCode))
		x.retryAfter.Store(retryAfter(res.Header.Get("Retry-After")))
	}
	return res, nil
}

// follow sends a POST again to where a redirect within the realm's origin leads, as a proxy that adds a slash does. net/http would make a
// GET of it. 301 and 302 may also mean that a call has been made and where its result is: for a call they are an error. A call goes to where
// the handshake was led.
func (t *roundTripper) follow(req *http.Request, call bool) (*http.Response, error) {
	if to := t.moved.Load(); to != nil && *req.URL == *t.origin {
		req = at(req, to)
	}
	for hops := 0; ; hops++ {
		res, err := t.next.RoundTrip(req)
		if err != nil || req.Method != http.MethodPost {
			return res, err
		}
		keeps := res.StatusCode == http.StatusTemporaryRedirect || res.StatusCode == http.StatusPermanentRedirect
		if !keeps && res.StatusCode != http.StatusMovedPermanently && res.StatusCode != http.StatusFound {
			return res, nil
		}
		to, err := res.Location()
		_ = res.Body.Close()
		switch {
		case err != nil || req.GetBody == nil || hops == maxRedirects || call && !keeps:
			return nil, fmt.Errorf("the server answers with a redirect (HTTP %d)", res.StatusCode)
		case to.Host != t.origin.Host || to.Scheme != t.origin.Scheme:
			return nil, errRedirect{req.URL.Scheme + "://" + req.URL.Host, to.Scheme + "://" + to.Host}
		}
		again := at(req, to)
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
		if *req.URL == *t.origin && !call {
			t.moved.Store(to)
		}
		req = again
	}
}

const maxRedirects = 5

// at is the same request to another URL.
func at(req *http.Request, to *url.URL) *http.Request {
	again := req.Clone(req.Context())
	again.URL, again.Host = to, ""
	return again
}

// fixStatus turns the 404 of a modern server for an unknown method into a 200 with the JSON-RPC error in its body, and the 400 or 410 with
// which some servers answer for a lost session into the 404 that the protocol requires.
func fixStatus(req *http.Request, res *http.Response, media string) error {
	modern := mcp.IsModernProtocol(req.Header.Get(transport.HeaderKeyProtocolVersion))
	switch {
	case res.StatusCode == http.StatusNotFound && media == "application/json" && modern:
		res.StatusCode, res.Status = http.StatusOK, "200 OK"
	case res.StatusCode == http.StatusGone && req.Header.Get(transport.HeaderKeySessionID) != "":
		res.StatusCode, res.Status = http.StatusNotFound, "404 Not Found"
	case req.Header.Get(transport.HeaderKeySessionID) == "":
	case res.StatusCode == http.StatusBadRequest,
		res.StatusCode == http.StatusOK && media == "application/json" && res.ContentLength > 0 && res.ContentLength <= maxRefusal:
		body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		if err != nil {
			return errors.Join(err, res.Body.Close())
		}
		if res.StatusCode == http.StatusBadRequest && lostSession.Match(body) || refusesSession(body) {
			res.StatusCode, res.Status = http.StatusNotFound, "404 Not Found"
		}
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), res.Body), res.Body}
	}
	return nil
}

// maxRefusal is the size of a body that is looked through for a refusal of the session.
const maxRefusal = 4 << 10

// refusesSession reports whether a body is an error that says that the session is not known.
func refusesSession(body []byte) bool {
	var m message
	return bytes.Contains(body, []byte(`"error"`)) && json.Unmarshal(body, &m) == nil && m.Error != nil &&
		forgetsSession(m.Error, len(m.ID) == 0 || string(m.ID) == "null")
}

// lostSession is in the body of a 400 of a server that does not know the session.
var lostSession = regexp.MustCompile(`(?i)session|not initialized|not been initialized`)

// cappedBody ends with errTooLarge after the limit.
type cappedBody struct {
	io.ReadCloser
	left int
	x    *exchange
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// At the limit, any further byte is too many.
		if n, err := b.ReadCloser.Read(p[:min(1, len(p))]); n == 0 {
			return 0, err
		}
		if b.x != nil {
			b.x.tooLarge.Store(true)
		}
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
