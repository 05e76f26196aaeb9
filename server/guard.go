package server

import (
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
		connectionOf(r).enter(phaseAnswering)
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
	limitWrite(w)
	w.WriteHeader(status)
	fmt.Fprintln(w, line)
}

// limitWrite limits how long what is written next may take.
func limitWrite(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // unsupported only by recorders in tests
}

// bodyTime is how long a client may take to send one message.
const bodyTime = 30 * time.Second

// maxDropped is how much of a message that is too large is still read: a client that is disconnected while it sends cannot read
// the answer.
const maxDropped = 16 * maxMessage

// readMessage reads the body of a POST within the limits of size and time, and of what all clients hold together. If it fails, it has
// answered and ok is false; else the caller frees what the message holds when it has been handled.
func (s *Server) readMessage(w http.ResponseWriter, r *http.Request) (message []byte, held *hold, ok bool) {
	c, control := connectionOf(r), http.NewResponseController(w)
	c.enter(phaseBody)
	defer c.enter(phaseAnswering)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // unsupported only by recorders in tests
	limit, spare := maxMessage, c.isSpare()
	if spare {
		limit = freeBytes
	}
	message, held, err := s.receive(control, r, http.MaxBytesReader(w, r.Body, int64(limit)))
	tooMuch := errors.As(err, new(*http.MaxBytesError))
	if tooMuch || errors.Is(err, errNoRoom) {
		_, _ = io.CopyN(io.Discard, r.Body, maxDropped) // the message is refused in any case
	}
	_ = control.SetReadDeadline(time.Time{})
	var timeout net.Error
	switch {
	case err == nil:
		return message, held, true
	case tooMuch && spare:
		s.refuse(w, nil, s.noConnection())
	case errors.Is(err, errNoRoom):
		s.refuse(w, nil, s.noRoom())
	case tooMuch:
		answer(w, http.StatusRequestEntityTooLarge, protocolError(nil, mcp.INVALID_REQUEST, tooLarge.Message, tooLarge))
	case errors.As(err, &timeout) && timeout.Timeout():
		w.Header().Set("Connection", "close")
		plain(w, http.StatusRequestTimeout, "the message was not received in time")
	default:
		plain(w, http.StatusBadRequest, "the message was not received completely")
	}
	return nil, nil, false
}

// errNoRoom means that other messages hold the bytes that this one needs.
var errNoRoom = errors.New("no room for the message")

// receive reads a message and counts it, unless it is at most freeBytes. It holds no more memory than what has arrived needs.
func (s *Server) receive(control *http.ResponseController, r *http.Request, body io.Reader) (message []byte, held *hold, err error) {
	message = make([]byte, 0, 4<<10)
	step := 0
	for {
		n, err := body.Read(message[len(message):cap(message)])
		message = message[:len(message)+n]
		if held != nil && len(message) >= step {
			held.progress()
			step = len(message) + progressStep
		}
		if errors.Is(err, io.EOF) {
			held.settle()
			return message, held, nil
		}
		if err != nil {
			if held.wasCut() {
				err = errNoRoom
			}
			held.free()
			return nil, nil, err //nolint:wrapcheck // looked at by the caller
		}
		if len(message) < cap(message) {
			continue
		}
		more := larger(cap(message))
		if more > freeBytes+1 {
			if held == nil {
				held = s.bytes.message(func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
			}
			if !held.grow(r.Context(), messageCopies*int64(more), roomTime) {
				held.free()
				return nil, nil, errNoRoom
			}
		}
		message = append(make([]byte, 0, more), message...)
	}
}

// larger returns the next size of the buffer of a message: the end of one that just fits is seen with one byte more.
func larger(size int) int {
	for _, next := range []int{freeBytes + 1, smallMessage + 1} {
		if size < next {
			return next
		}
	}
	return min(2*size, maxMessage+1)
}

// noRoom is the error of a message for which there is no room.
func (s *Server) noRoom() *schemas.Error {
	return busy("messages of clients that are not handled or not read yet hold %d MiB (limits.max_client_bytes is %d MiB)", s.bytes.held()>>20, s.limits.Bytes>>20)
}

// noConnection is the error of a request on a connection beyond the limit.
func (s *Server) noConnection() *schemas.Error {
	return busy("%d connections are open, as many as are served at once (limits.max_connections)", s.connections.count())
}

// answer writes a message as the whole JSON response.
func answer(w http.ResponseWriter, status int, message any) {
	w.Header().Set("Content-Type", "application/json")
	limitWrite(w)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(message) // the client may have disconnected
}
