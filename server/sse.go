package server

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// sse is the transport of 2024-11-05: GET /sse is the stream to the client, and its first event names the address to which
// the client posts its messages. When a client disconnects, its waiting calls end.
type sse struct {
	server   *Server
	stopping <-chan struct{} // closed when nothing new is accepted

	mu    sync.Mutex
	peers map[string]*ssePeer
}

type ssePeer struct {
	*peer
	stream    *openStream
	receiving sync.Mutex // one message at a time, in order
	leaving   bool
}

func newSSE(s *Server, stopping <-chan struct{}) *sse {
	return &sse{server: s, stopping: stopping, peers: map[string]*ssePeer{}}
}

// listen serves GET /sse until the client disconnects, or the server stops and the client's calls are answered.
func (t *sse) listen(w http.ResponseWriter, r *http.Request) {
	if connectionOf(r).isSpare() {
		t.server.refuse(w, nil, t.server.noConnection())
		return
	}
	n, bad := narrow(r.Header)
	if bad != nil {
		badHeader(w, nil, bad)
		return
	}
	ctx, end := context.WithCancelCause(withNarrowing(r.Context(), n))
	defer end(nil)
	connection := http.NewResponseController(w)
	put := func(format string, args ...any) error { // one at a time
		_ = connection.SetWriteDeadline(time.Now().Add(writeTime)) // unsupported only by recorders in tests
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return connection.Flush()
	}
	id := crand.Text() // 130 random bits: a client that knows the id may post
	p := &ssePeer{peer: newPeer(ctx, t.server, id, func(message []byte) error { return put("event: message\ndata: %s\n\n", message) })}
	p.log = t.server.log.With("peer", "sse") // the id is a secret
	p.legacy = true
	p.cut = func() {
		end(errClientGone)
		_ = connection.SetWriteDeadline(time.Unix(1, 0)) // a write that blocks fails
	}
	p.stream = &openStream{end: end, busy: p.isBusy}
	if refusal := t.server.streams.add(p.stream); refusal != nil {
		t.server.refuse(w, nil, refusal)
		return
	}
	defer t.server.streams.remove(p.stream)

	eventHeader(w.Header())
	w.WriteHeader(http.StatusOK)
	t.add(id, p)
	defer t.remove(id, p)
	defer t.server.register(p.peer)()
	inTurn := func(format string, args ...any) error {
		p.writing.Lock()
		defer p.writing.Unlock()
		return put(format, args...)
	}
	if inTurn("event: endpoint\ndata: /message?sessionId=%s\n\n", id) != nil {
		return
	}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if inTurn(": keepalive\n\n") != nil {
				return
			}
		case <-p.changes:
			p.sendChanges()
		case <-p.broken:
			return
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errStreamDropped) {
				_ = inTurn("%s", retryField(retryStream))
			}
			return
		case <-t.stopping:
			p.leave()
			p.drain(t.server.config.Drain, ctx.Done())
			return
		}
	}
}

func (t *sse) add(id string, p *ssePeer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peers[id] = p
}

// remove removes the peer, ends its calls and prevents them from writing.
func (t *sse) remove(id string, p *ssePeer) {
	t.mu.Lock()
	delete(t.peers, id)
	t.mu.Unlock()
	p.leave()
	p.cutOff(errClientGone)
	p.drain(0, nil)
	p.writing.Lock()
	defer p.writing.Unlock()
	select {
	case <-p.broken:
	default:
		close(p.broken) // the response must not be written after its handler has returned
	}
}

// leave stops the receiving of messages.
func (p *ssePeer) leave() {
	p.receiving.Lock()
	defer p.receiving.Unlock()
	p.leaving = true
}

// receive reports whether the message was accepted.
func (p *ssePeer) receive(message []byte, n narrowing) bool {
	p.receiving.Lock()
	defer p.receiving.Unlock()
	if p.leaving {
		return false
	}
	p.peer.receive(line{text: message, narrowing: n})
	return true
}

// post serves POST /message; the answer is sent on the stream.
func (t *sse) post(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	p := t.peers[r.URL.Query().Get("sessionId")]
	t.mu.Unlock()
	if p == nil {
		plain(w, http.StatusNotFound, "no such session: open /sse first")
		return
	}
	message, held, ok := t.server.readMessage(w, r)
	if !ok {
		return
	}
	defer held.free() // the peer counts what it keeps
	if connectionOf(r).isSpare() {
		if h, bad := t.server.parseEnvelope(message); bad != nil || !isControl(h) {
			t.server.refuse(w, nil, t.server.noConnection())
			return
		}
	}
	t.server.streams.use(p.stream)
	if named(r.Header) {
		if h, bad := t.server.parseEnvelope(message); bad == nil {
			if what := contradicts(r.Header, h); what != "" {
				mismatch(w, h.ID, what)
				return
			}
		}
	}
	n, bad := narrow(r.Header)
	if bad != nil {
		badHeader(w, messageID(message), bad)
		return
	}
	if !p.receive(message, n) { //nolint:contextcheck // a call outlives the request that brought it
		plain(w, http.StatusServiceUnavailable, errStopping.Message)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
