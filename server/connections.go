package server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// phase is what a connection does now.
type phase int32

const (
	phaseFresh     phase = iota // it was accepted, and nothing came yet
	phaseHeader                 // a request has begun
	phaseBody                   // its body is being received
	phaseAnswering              // the request is handled
	phaseWriting                // its answer is being sent
	phaseIdle                   // waits for the next request
)

// yields is which connection gives way when there are too many: of the first row for which there is one, the one that has been in the
// phase longest. Requests that are being handled, and streams, which have a limit of their own, do not give way.
var yields = []struct {
	phase phase
	after time.Duration
}{
	{phaseIdle, time.Second}, // a request may be on its way
	{phaseFresh, time.Second},
	{phaseHeader, 2 * time.Second},
	{phaseBody, 3 * time.Second},
	{phaseWriting, 3 * time.Second},
}

// connections keeps the number of HTTP connections within a limit. Those beyond it are spare: they are accepted, so that a control can be
// answered, and give way to later ones.
type connections struct {
	limit, spares int
	load          *load

	mu   sync.Mutex
	open map[*connection]bool // all, spare ones too
	full int                  // how many of them are not spare
}

// connection is one of them.
type connection struct {
	net.Conn
	owner *connections
	host  string // of the other side; empty: this machine
	phase atomic.Int32
	since atomic.Int64 // Unix nanoseconds of the beginning of the phase
	spare bool         // guarded by connections.mu
}

func newConnections(limit int, load *load) *connections {
	return &connections{limit: limit, spares: spareConnections, load: load, open: map[*connection]bool{}}
}

// countingListener is a listener whose connections are counted.
type countingListener struct {
	net.Listener
	connections *connections
}

// Accept implements net.Listener.
func (l countingListener) Accept() (net.Conn, error) {
	cs := l.connections
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http compares it
	}
	c := &connection{Conn: raw, owner: cs}
	if host, _, err := net.SplitHostPort(raw.RemoteAddr().String()); err == nil && !loopback(host) {
		c.host = host
	}
	c.enter(phaseFresh)
	if gone := cs.add(c, time.Now()); gone != nil {
		cs.load.dropped.Add(1)
		gone.Conn.Close()
	}
	return c, nil
}

// add makes a place for c and returns the connection that gave way, if any.
func (cs *connections) add(c *connection, now time.Time) (gone *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	gone, ok := cs.place(c.host, now)
	if c.spare = !ok; c.spare && len(cs.open)-cs.full >= cs.spares {
		gone = cs.oldestSpare()
		cs.forget(gone)
	}
	cs.open[c] = true
	if !c.spare {
		cs.full++
	}
	return gone
}

// place reports whether there is a place for one more connection of a host, with the one that gives way for it, if any; the caller holds mu.
func (cs *connections) place(host string, now time.Time) (gone *connection, ok bool) {
	isFull := cs.full >= cs.limit
	if !isFull && !cs.crowded(host) {
		return nil, true
	}
	if gone = cs.victim(now, func(o *connection) bool { return !o.spare && (isFull || o.host == host) }); gone != nil {
		cs.forget(gone)
	}
	return gone, gone != nil
}

// crowded reports whether one other machine has half of the connections while only an eighth of the places is left; the caller holds mu. It
// may be a proxy with all clients, so it is not limited before. The clients of this machine have one address too, and are not counted.
func (cs *connections) crowded(host string) bool {
	if host == "" || cs.full < max(1, cs.limit-cs.limit/8) {
		return false
	}
	n := 0
	for c := range cs.open {
		if c.host == host && !c.spare {
			n++
		}
	}
	return n >= max(1, cs.limit/2)
}

// victim returns the connection of those that should give way first, or nil; the caller holds mu.
func (cs *connections) victim(now time.Time, of func(*connection) bool) *connection {
	for _, y := range yields {
		var oldest *connection
		for c := range cs.open {
			if phase(c.phase.Load()) == y.phase && of(c) && (oldest == nil || c.since.Load() < oldest.since.Load()) {
				oldest = c
			}
		}
		if oldest != nil && now.UnixNano()-oldest.since.Load() >= int64(y.after) {
			return oldest
		}
	}
	return nil
}

// oldestSpare prefers one whose request is not being handled; the caller holds mu.
func (cs *connections) oldestSpare() (oldest *connection) {
	handled := func(c *connection) bool { return phase(c.phase.Load()) == phaseAnswering }
	for c := range cs.open {
		switch {
		case !c.spare:
		case oldest == nil, handled(oldest) && !handled(c):
			oldest = c
		case handled(oldest) == handled(c) && c.since.Load() < oldest.since.Load():
			oldest = c
		}
	}
	return oldest
}

// forget removes a connection; the caller holds mu.
func (cs *connections) forget(c *connection) {
	if cs.open[c] {
		delete(cs.open, c)
		if !c.spare {
			cs.full--
		}
	}
}

// count returns how many connections have full service.
func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.full
}

// closeFresh closes the connections that have not sent anything yet.
func (cs *connections) closeFresh() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.open {
		if phase(c.phase.Load()) == phaseFresh {
			c.Conn.Close()
		}
	}
}

// changed is http.Server's ConnState.
func (cs *connections) changed(c net.Conn, state http.ConnState) {
	own, ok := c.(*connection)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		own.enter(phaseHeader)
	case http.StateIdle:
		own.enter(phaseIdle)
	default:
	}
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.owner.mu.Lock()
	c.owner.forget(c)
	c.owner.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // net/http's own connection
}

// CloseWrite lets net/http end the answer before it closes the connection.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // net/http's own connection
	}
	return nil
}

// enter begins a phase. The connection of a request that was not received from a listener is nil.
func (c *connection) enter(p phase) {
	if c != nil {
		c.since.Store(time.Now().UnixNano())
		c.phase.Store(int32(p))
	}
}

// isSpare reports whether the connection is for controls alone. It becomes one with full service as soon as there is a place, or another
// one gives way.
func (c *connection) isSpare() bool {
	if c == nil {
		return false
	}
	cs := c.owner
	cs.mu.Lock()
	var gone *connection
	if c.spare && cs.open[c] {
		var ok bool
		if gone, ok = cs.place(c.host, time.Now()); ok {
			c.spare = false
			cs.full++
		}
	}
	spare := c.spare
	cs.mu.Unlock()
	if gone != nil {
		cs.load.dropped.Add(1)
		gone.Conn.Close()
	}
	return spare
}

type connectionKey struct{}

// withConnection is http.Server's ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// connectionOf returns the connection of a request, or nil.
func connectionOf(r *http.Request) *connection {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	return c
}
