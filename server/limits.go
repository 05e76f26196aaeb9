package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Limits bound what all clients of a server hold together; a zero field is its default. What holds most and does least gives way first, so
// that one client that takes everything keeps no other out, and what is a control, see [isControl], has places beside them.
type Limits struct {
	Connections int   // of HTTP with full service; 512, and fewer if the process may open too few files
	Streams     int   // open event streams, at most three quarters of the connections; 256
	Sessions    int   // of /mcp that are remembered; 1,000
	Bytes       int64 // of messages that are being received, are handled, or are not read yet; 64 MiB
}

// withDefaults also applies the number of files that this process may open; 0: any.
func (l Limits) withDefaults(files int) Limits {
	l.Connections = cmp.Or(l.Connections, 512)
	l.Streams = cmp.Or(l.Streams, 256)
	l.Sessions = cmp.Or(l.Sessions, 1000)
	l.Bytes = cmp.Or(l.Bytes, 64<<20)
	if files > 0 {
		kept := max(reservedFiles, files/4)
		l.Connections = max(1, min(l.Connections, files-kept-spareConnections))
	}
	l.Streams = max(1, min(l.Streams, l.Connections*3/4))
	l.Sessions = max(l.Sessions, 2*l.Streams) // those with a stream are kept
	return l
}

const (
	// reservedFiles is how many files the store, the realms and the log may have at least.
	reservedFiles = 32
	// maxTurns is how many answers that may be large are made at once on HTTP, so that they neither take the processor from what is small
	// nor hold memory that is not counted yet.
	maxTurns = 16
	// spareConnections are beside Limits.Connections, for controls alone.
	spareConnections = 8
)

// takeTurn waits until a large answer may be made, for at most patience, and returns what ends the turn; it may be called twice.
func (s *Server) takeTurn(ctx context.Context, patience time.Duration) (end func()) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case s.turns <- struct{}{}:
		return sync.OnceFunc(func() { <-s.turns })
	case <-timer.C: // whatever holds them up must not hold up everything
	case <-ctx.Done():
	}
	return func() {}
}

// load counts what the limits bound. Its fields are cumulative but for those that say now.
type load struct {
	refused atomic.Int64 // requests that were answered as busy
	dropped atomic.Int64 // connections and streams that gave way to others
}

// busyCode is the JSON-RPC code of a request that is refused because of what all clients hold together.
const busyCode = -32000

// retryBusy is when a client may try again.
const retryBusy = time.Second

// busy is the error of such a request: nothing was executed.
func busy(format string, args ...any) *schemas.Error {
	return schemas.Errorf(schemas.CodeRateLimited, format, args...).WithRetryAfter(retryBusy).WithOutcome(schemas.NotRun).
		WithHint("nothing was done; try again after retry_after_seconds. check_health and cancel_execution are always answered")
}

// unsent is the error in the place of an answer of so many bytes for which there is no room.
func (s *Server) unsent(size int) *schemas.Error {
	return schemas.Errorf(schemas.CodeUnavailable,
		"the answer has %d KiB and was not sent: messages of clients that are handled or not read yet hold %d of %d MiB (limits.max_client_bytes)",
		size>>10, s.bytes.held()>>20, s.limits.Bytes>>20).WithHint("the request was handled; ask for its result later, or for less of it at once")
}

// refuse answers a request as busy and closes its connection.
func (s *Server) refuse(w http.ResponseWriter, id json.RawMessage, e *schemas.Error) {
	s.load.refused.Add(1)
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfterSeconds))))
	w.Header().Set("Connection", "close")
	answer(w, http.StatusServiceUnavailable, protocolError(id, busyCode, e.Message, e))
}

// check is what check_health shows of the clients of this process.
func (s *Server) check() schemas.Check {
	l := s.limits
	open, streams, sessions, bytes := s.connections.count(), s.streams.count(), s.sessions.count(), s.bytes.held()
	c := schemas.Check{
		Name: "agents.connections", Status: schemas.HealthOK,
		Message: fmt.Sprintf("%d of %d connections, %d of %d event streams, %d of %d sessions on /mcp; messages of clients hold %d of %d MiB",
			open, l.Connections, streams, l.Streams, sessions, l.Sessions, bytes>>20, l.Bytes>>20),
		Numbers: map[string]float64{
			"connections": float64(open), "max_connections": float64(l.Connections), "streams": float64(streams), "max_streams": float64(l.Streams),
			"client_sessions": float64(sessions), "max_client_sessions": float64(l.Sessions), "bytes": float64(bytes), "max_client_bytes": float64(l.Bytes),
			"refused": float64(s.load.refused.Load()), "dropped": float64(s.load.dropped.Load()),
		},
	}
	full := ""
	switch {
	case open >= l.Connections:
		full = "limits.max_connections"
	case streams >= l.Streams:
		full = "limits.max_streams"
	case !s.bytes.hasRoom():
		full = "limits.max_client_bytes"
	}
	if full != "" {
		c.Status = schemas.HealthDegraded
		c.Cure = "end the clients that are not needed, or raise " + full + "; where connections are fewer than the setting, let the process open more files (ulimit -n)"
	}
	return c
}
