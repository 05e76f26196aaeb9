package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// Limits of one message and of the requests of one peer in flight. Beyond maxCalls a call waits, and can be cancelled while it
// waits; beyond maxInFlight a request is refused. Controls have the reserved places beside them, see [isControl].
const (
	maxMessage       = 4 << 20
	maxCalls         = 256
	maxInFlight      = 1024
	reservedCalls    = 16
	reservedInFlight = 64
	maxLists         = 64 // other requests, which are quick, at once
)

// peer is one client on a two-way channel: stdin and stdout, or the two halves of legacy SSE. Each request has its own
// goroutine, so that a waiting call does not delay others.
type peer struct {
	server *Server
	log    hclog.Logger
	id     string
	legacy bool            // the transport does not support the stateless protocol
	base   context.Context //nolint:containedctx // of all calls: it outlives the context of the transport, so that calls can be answered
	cutOff context.CancelCauseFunc

	cut     func() // ends a write that does not end, so that it fails; nil: it is waited for
	writing sync.Mutex
	write   func(message []byte) error // sends one message
	broken  chan struct{}              // closed when write failed: the client can no longer be reached

	slots        chan struct{} // maxCalls at once
	reserved     chan struct{} // reservedCalls at once
	lists        chan struct{} // maxLists at once
	holding      atomic.Int64  // bytes of messages in flight that are counted
	waiting      *waitingRoom  // of a client on stdio
	calls        sync.WaitGroup
	mu           sync.Mutex
	count        int                                // of requests whose answer is not sent yet
	inFlight     map[string]context.CancelCauseFunc // by id, of those that are not answered
	clientInfo   mcp.Implementation
	capabilities mcp.ClientCapabilities

	changes     notifier              // newTools or changed was set
	newTools    bool                  // the client's list of tools has changed
	changed     map[subscription]bool // resources that have changed
	initialized bool                  // the client speaks a protocol that begins with initialize, and has sent initialized
	listeners   map[string]*listener  // by the id of their request
	ending      bool                  // subscriptions end at once
}

func newPeer(ctx context.Context, s *Server, id string, write func([]byte) error) *peer {
	p := &peer{
		server: s, log: s.log.With("peer", id), id: id, write: write, broken: make(chan struct{}),
		slots: make(chan struct{}, maxCalls), reserved: make(chan struct{}, reservedCalls), lists: make(chan struct{}, maxLists),
		inFlight: map[string]context.CancelCauseFunc{},
		changes:  make(notifier, 1), listeners: map[string]*listener{}, changed: map[subscription]bool{},
	}
	p.base, p.cutOff = context.WithCancelCause(withSender(context.WithoutCancel(ctx), p))
	return p
}

// receive handles one message, which it keeps, and does not wait for its answer. It is called by one goroutine.
func (p *peer) receive(l line) {
	h, bad := p.server.parseEnvelope(l.text)
	if bad == nil {
		h.narrowing = l.narrowing
	}
	switch {
	case bad != nil:
		p.send(bad)
	case h.Method == "" && (h.Result != nil || h.Error != nil):
		p.log.Debug("response to no request in flight")
	case h.Method == "":
		p.send(protocolError(h.ID, mcp.INVALID_REQUEST, "the request has no method", nil))
	case h.ID == nil && h.Method == string(mcp.MethodNotificationCancelled):
		p.cancel(h.Params)
	case h.ID == nil || h.Method == string(mcp.MethodInitialize):
		if h.Method == "notifications/initialized" {
			p.mu.Lock()
			p.initialized = true
			p.mu.Unlock()
		}
		p.answer(p.base, h, func() {}) // in order: later messages may depend on it
	case h.Method == string(mcp.MethodPing):
		p.answer(p.base, h, func() {}) // at once, whatever else is in flight
	case p.legacy && h.Method == string(mcp.MethodServerDiscover):
		p.send(protocolError(h.ID, mcp.METHOD_NOT_FOUND, "this transport supports only protocols that begin with initialize", nil))
	default:
		p.start(h, l)
		return
	}
	l.waiting.free()
}

// start serves a request in its own goroutine.
func (p *peer) start(h *envelope, l line) {
	ctx, cancel := context.WithCancelCause(p.base)
	if refusal := p.begin(h, cancel); refusal != "" {
		cancel(nil)
		l.waiting.free()
		p.send(protocolError(h.ID, mcp.INVALID_REQUEST, refusal, nil))
		return
	}
	id := h.ID
	answered := sync.OnceFunc(func() { p.answered(string(id)) })
	var held *hold
	room := false
	if !l.refused {
		held, room = p.hold(ctx, len(l.text))
	}
	switch {
	case room:
		l.waiting.free()
	case l.waiting == nil:
		answered()
		p.end()
		cancel(nil)
		p.refuse(id)
		return
	default:
		h = nil // only the text waits
	}
	p.calls.Go(func() {
		growStack()
		defer cancel(nil)
		defer p.end()
		defer answered()
		if h == nil {
			if held, room = p.wait(ctx, len(l.text)); room {
				h, _ = p.server.parseEnvelope(l.text) // it was parsed before
			}
			l.waiting.free()
		}
		if !room {
			p.abandon(ctx, id, answered)
			return
		}
		defer p.free(held)
		if h.Method != string(mcp.MethodSubscriptionsListen) {
			defer p.place(ctx, h)()
		}
		if held == nil && !p.server.bytes.hasRoom() && !isControl(h) && !p.server.bytes.room(ctx, writeTime) && ctx.Err() == nil {
			answered()
			p.refuse(id)
			return
		}
		p.answer(ctx, h, answered)
	})
}

// growStack grows the stack of a new goroutine to what a request needs, at once: to double it again and again costs more.
//
//go:noinline
func growStack() byte {
	var room [12 << 10]byte
	return room[len(emptyString)]
}

var emptyString string // a variable, so that the compiler does not remove the array

// abandon answers a request whose context ended before it was handled.
func (p *peer) abandon(ctx context.Context, id json.RawMessage, answered func()) {
	if e := schemas.AsError(context.Cause(ctx)); e.Code != schemas.CodeCancelled {
		answered()
		p.send(protocolError(id, busyCode, e.Message, e))
	}
}

// isBusy reports whether a request is in flight.
func (p *peer) isBusy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count > 0
}

// begin records a request; end ends that.
func (p *peer) begin(h *envelope, cancel context.CancelCauseFunc) (refusal string) {
	key := string(h.ID)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inFlight[key] != nil {
		return fmt.Sprintf("a request with id %.100s is still in flight", key)
	}
	if n := p.count; n >= maxInFlight+reservedInFlight || n >= maxInFlight && !isControl(h) {
		return fmt.Sprintf("%d requests are in flight (limit %d)", n, maxInFlight)
	}
	p.inFlight[key] = cancel
	p.count++
	return ""
}

// place waits until the call may run, or its context ends, and returns a function that frees its place.
func (p *peer) place(ctx context.Context, h *envelope) (free func()) {
	places := p.slots
	if h.Method != string(mcp.MethodToolsCall) {
		places = p.lists
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }
	default:
	}
	if isControl(h) {
		places = p.reserved
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }
	case <-ctx.Done():
		return func() {}
	}
}

// answered forgets the id of a request that is not cancelled any more. It is called before the answer is sent: a client that has read the
// answer may use the id again.
func (p *peer) answered(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inFlight, key)
}

func (p *peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count--
}

// cancel cancels one request; MCP wants no answer to it then.
func (p *peer) cancel(params json.RawMessage) {
	var which struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	if json.Unmarshal(params, &which) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel := p.inFlight[string(which.RequestID)]; cancel != nil {
		cancel(errClientCancelled)
	}
}

// answer has mcp-go handle the message and sends its notifications and then its response. It calls answered before the response.
func (p *peer) answer(ctx context.Context, h *envelope, answered func()) {
	s := &session{peer: p, narrowing: h.narrowing, notifications: make(chan mcp.JSONRPCNotification, 16)}
	var response mcp.JSONRPCMessage
	if routed, unknown := p.server.route(ctx, h); unknown != nil {
		response = unknown
	} else {
		s.own = ownTools(routed)
		end := func() {}
		if h.Method == string(mcp.MethodSubscriptionsListen) && h.ID != nil {
			end = p.listen(s, h)
		}
		response = p.handleMessage(p.server.mcp.WithContext(routed, s), h)
		end()
	}
	if errors.Is(context.Cause(ctx), errClientCancelled) { // or errClientGone, which has the same code: no answer is sent
		return
	}
	for len(s.notifications) > 0 {
		_ = p.encode(h.alias, <-s.notifications, nil)
	}
	answered()
	if response != nil && h.ID != nil {
		_ = p.encode(h.alias, response, h.ID)
	}
}

// handleMessage recovers from a panic of mcp-go; those of methods are recovered by a middleware.
func (p *peer) handleMessage(ctx context.Context, h *envelope) (response mcp.JSONRPCMessage) {
	defer func() {
		if v := recover(); v != nil {
			p.log.Error("handling a message panicked", "method", h.Method, "panic", v, "stack", string(debug.Stack()))
			response = protocolError(h.ID, mcp.INTERNAL_ERROR, "the server failed to handle this message; its log has the details", nil)
		}
	}()
	return p.server.mcp.HandleMessage(ctx, h.message)
}

// send is notify without its error; a failure closes broken.
func (p *peer) send(message any) { _ = p.notify(message) }

// sendAs is send for what belongs to a request; its id takes the place of its alias.
func (p *peer) sendAs(alias idAlias, message any) { _ = p.encode(alias, message, nil) }

var errBroken = schemas.Errorf(schemas.CodeUnavailable, "the connection to the client is broken")

// notify implements sender: it writes one message at a time.
func (p *peer) notify(message any) error { return p.encode(idAlias{}, message, nil) }

// encode sends a message. An answer, which has the id of its request, is replaced by an error if there is no room for it; another message
// is dropped then.
func (p *peer) encode(alias idAlias, message any, answers json.RawMessage) error {
	b, err := json.Marshal(message)
	if err != nil {
		p.log.Error("encoding a message failed; it is dropped", keyError, err)
		return fmt.Errorf("encode message: %w", err)
	}
	if len(b) > freeBytes {
		held := p.server.bytes.answering(p.cut)
		defer held.free()
		if !held.grow(p.base, p.server.bytes.forAnswer(len(b)), writeTime) && p.waiting == nil && p.base.Err() == nil && !held.wasCut() {
			if answers == nil {
				p.log.Debug("there is no room for a notification; it is dropped", "bytes", len(b))
				return nil
			}
			e := p.server.unsent(len(b))
			alias = idAlias{}
			b, _ = json.Marshal(protocolError(answers, busyCode, e.Message, e)) // it always encodes
		}
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	select {
	case <-p.broken:
		return errBroken
	default:
	}
	if err := p.write(alias.restore(utf8Only(bytes.TrimSpace(b)))); err != nil {
		p.log.Debug("writing to the client failed", keyError, err)
		close(p.broken)
		p.cutOff(errClientGone)
		return errBroken
	}
	return nil
}

// cutOffGrace is how long calls that were just cut off may take to answer.
const cutOffGrace = time.Second

// drain waits until all calls are answered; after patience, or when hurry is closed, it cuts off those that are not. No message
// may be received after it was called. It reports whether every call was answered in time.
func (p *peer) drain(patience time.Duration, hurry <-chan struct{}) bool {
	p.endListening()
	answered := make(chan struct{})
	go func() { p.calls.Wait(); close(answered) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-answered:
		p.cutOff(nil)
		return true
	case <-timer.C:
	case <-hurry:
	}
	p.cutOff(errStopping)
	timer.Reset(cutOffGrace)
	select {
	case <-answered:
	case <-timer.C:
		p.log.Warn("calls in flight did not end after they were cut off")
	}
	return false
}
