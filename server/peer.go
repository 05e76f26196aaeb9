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
	calls        sync.WaitGroup
	mu           sync.Mutex
	inFlight     map[string]context.CancelCauseFunc // requests in flight by id
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
		slots: make(chan struct{}, maxCalls), reserved: make(chan struct{}, reservedCalls), lists: make(chan struct{}, maxLists), inFlight: map[string]context.CancelCauseFunc{},
		changes: make(notifier, 1), listeners: map[string]*listener{}, changed: map[subscription]bool{},
	}
	p.base, p.cutOff = context.WithCancelCause(withSender(context.WithoutCancel(ctx), p))
	return p
}

// receive handles one message, which it keeps, and does not wait for its answer. It is called by one goroutine.
func (p *peer) receive(message []byte) {
	h, bad := p.server.parseEnvelope(message)
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
		p.answer(p.base, h) // in order: later messages may depend on it
	case h.Method == string(mcp.MethodPing):
		p.answer(p.base, h) // at once, whatever else is in flight
	case p.legacy && h.Method == string(mcp.MethodServerDiscover):
		p.send(protocolError(h.ID, mcp.METHOD_NOT_FOUND, "this transport supports only protocols that begin with initialize", nil))
	default:
		p.start(h)
	}
}

// start serves a request in its own goroutine.
func (p *peer) start(h *envelope) {
	ctx, cancel := context.WithCancelCause(p.base)
	key := string(h.ID)
	if refusal := p.begin(h, cancel); refusal != "" {
		cancel(nil)
		p.send(protocolError(h.ID, mcp.INVALID_REQUEST, refusal, nil))
		return
	}
	held, room := p.hold(ctx, h.message)
	if !room {
		p.end(key)
		cancel(nil)
		p.refuse(h)
		return
	}
	p.calls.Go(func() {
		defer cancel(nil)
		defer p.end(key)
		defer p.free(held)
		if h.Method != string(mcp.MethodSubscriptionsListen) {
			defer p.place(ctx, h)()
		}
		if !p.server.bytes.hasRoom() && !isControl(h) && !p.server.bytes.room(ctx, writeTime) && ctx.Err() == nil {
			p.refuse(h)
			return
		}
		p.answer(ctx, h)
	})
}

// hold counts a message until it is answered, unless it is small. One peer may have half of what there is.
func (p *peer) hold(ctx context.Context, message []byte) (held *hold, ok bool) {
	if len(message) <= freeBytes {
		return nil, true
	}
	n := messageCopies * int64(len(message))
	if p.holding.Load()+n > p.server.limits.Bytes/2 {
		return nil, false
	}
	held = p.server.bytes.hold(nil)
	if !held.grow(ctx, n, 0) {
		held.free()
		return nil, false
	}
	p.holding.Add(n)
	return held, true
}

func (p *peer) free(held *hold) {
	if held != nil {
		p.holding.Add(-held.n)
		held.free()
	}
}

// refuse answers that there is no room for the message.
func (p *peer) refuse(h *envelope) {
	p.server.load.refused.Add(1)
	e := p.server.noRoom()
	p.send(protocolError(h.ID, busyCode, e.Message, e))
}

// isBusy reports whether a request is in flight.
func (p *peer) isBusy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.inFlight) > 0
}

func (p *peer) begin(h *envelope, cancel context.CancelCauseFunc) (refusal string) {
	key := string(h.ID)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inFlight[key] != nil {
		return fmt.Sprintf("a request with id %.100s is still in flight", key)
	}
	if n := len(p.inFlight); n >= maxInFlight+reservedInFlight || n >= maxInFlight && !isControl(h) {
		return fmt.Sprintf("%d requests are in flight (limit %d)", n, maxInFlight)
	}
	p.inFlight[key] = cancel
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

func (p *peer) end(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inFlight, key)
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

// answer has mcp-go handle the message and sends its notifications and then its response.
func (p *peer) answer(ctx context.Context, h *envelope) {
	s := &session{peer: p, notifications: make(chan mcp.JSONRPCNotification, 16)}
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
		p.sendAs(h.alias, <-s.notifications)
	}
	if response != nil && h.ID != nil {
		p.sendAs(h.alias, response)
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
func (p *peer) sendAs(alias idAlias, message any) { _ = p.encode(alias, message) }

var errBroken = schemas.Errorf(schemas.CodeUnavailable, "the connection to the client is broken")

// notify implements sender: it writes one message at a time.
func (p *peer) notify(message any) error { return p.encode(idAlias{}, message) }

func (p *peer) encode(alias idAlias, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		p.log.Error("encoding a message failed; it is dropped", keyError, err)
		return fmt.Errorf("encode message: %w", err)
	}
	if len(b) > freeBytes {
		held := p.server.bytes.hold(p.cut)
		defer held.free()
		if !held.grow(p.base, p.server.bytes.answer(len(b)), writeTime) && p.cut != nil && p.base.Err() == nil {
			p.cutOff(errClientGone)
			p.cut()
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
