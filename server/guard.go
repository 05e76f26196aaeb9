package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

var tooLarge = schemas.Errorf(schemas.CodePayloadTooLarge, "the message is larger than %d MiB", maxMessage>>20).
	WithHint("pass less data in one call; a plan can let its nodes fetch it")

// loopback reports whether a host, with or without a port, can only be this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// guard refuses requests that a web page of another origin could have sent. On a loopback address the Host must be a loopback
// name (a DNS name rebound to 127.0.0.1 would otherwise reach this server) and so must the Origin, which only browsers send; on
// other addresses the Origin must be the Host itself. It also refuses headers that contradict one another.
func guard(onLoopback bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // set by the previous request on the same connection
		if onLoopback && !loopback(r.Host) {
			plain(w, http.StatusForbidden, "this server accepts only loopback host names")
			return
		}
		for _, origin := range r.Header.Values("Origin") {
			if !sameSite(origin, r.Host, onLoopback) {
				plain(w, http.StatusForbidden, "requests from web pages of other origins are refused")
				return
			}
		}
		if name := ambiguous(r.Header); name != "" {
			mismatch(w, nil, fmt.Sprintf("the header %s was sent with different values; send it once", name))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plain answers with one line of text.
func plain(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, line)
}

// bodyTime is how long a client may take to send one message.
const bodyTime = 30 * time.Second

// maxDropped is how much of a message that is too large is still read: a client that is disconnected while it sends cannot read
// the answer.
const maxDropped = 16 * maxMessage

// readMessage reads the body of a POST within the limits of size and time. If it fails, it has answered and ok is false.
func readMessage(w http.ResponseWriter, r *http.Request) (message []byte, ok bool) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime)) // unsupported only by recorders in tests
	message, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if errors.As(err, new(*http.MaxBytesError)) {
		_, _ = io.CopyN(io.Discard, r.Body, maxDropped) // the message is refused in any case
	}
	_ = connection.SetReadDeadline(time.Time{})
	var timeout net.Error
	switch {
	case err == nil:
		r.Body = io.NopCloser(bytes.NewReader(message))
		return message, true
	case errors.As(err, new(*http.MaxBytesError)):
		answer(w, http.StatusRequestEntityTooLarge, protocolError(nil, mcp.INVALID_REQUEST, tooLarge.Message, tooLarge))
	case errors.As(err, &timeout) && timeout.Timeout():
		w.Header().Set("Connection", "close")
		plain(w, http.StatusRequestTimeout, "the message was not received in time")
	default:
		plain(w, http.StatusBadRequest, "the message was not received completely")
	}
	return nil, false
}

// answer writes a message as the whole JSON response.
func answer(w http.ResponseWriter, status int, message any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(message) // the client may have disconnected
}
