package server

import (
	"encoding/json"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// notifier wakes the goroutine that serves a peer. Notifications that it has not received yet count once.
type notifier chan struct{} // size 1

func (n notifier) notify() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// listener is a subscriptions/listen of a client of the stateless era. It is notified only about what its filter names.
type listener struct {
	id     json.RawMessage
	mu     sync.Mutex
	filter mcp.SubscriptionFilter
	acked  bool // the acknowledgement, which comes before everything else, has been sent
}

var _ mcpserver.SessionWithSubscriptionFilter = (*session)(nil)

// SetSubscriptionFilter sets what the client is notified about.
func (s *session) SetSubscriptionFilter(f mcp.SubscriptionFilter) {
	if s.listener != nil {
		s.listener.mu.Lock()
		defer s.listener.mu.Unlock()
		s.listener.filter = f
	}
}

// SubscriptionFilter returns what the client is notified about.
func (s *session) SubscriptionFilter() (mcp.SubscriptionFilter, bool) {
	if s.listener == nil {
		return mcp.SubscriptionFilter{}, false
	}
	s.listener.mu.Lock()
	defer s.listener.mu.Unlock()
	return s.listener.filter, true
}

// listen begins a subscription: mcp-go's notifications for it are sent as they come, until end is called.
func (p *peer) listen(s *session, h *envelope) (end func()) {
	id := h.ID
	l := &listener{id: id}
	s.listener = l
	p.mu.Lock()
	p.listeners[string(id)] = l
	if p.ending {
		p.inFlight[string(id)](errStopping)
	}
	p.mu.Unlock()
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case n := <-s.notifications:
				p.sendAs(h.alias, n)
				l.mu.Lock()
				l.acked = true
				l.mu.Unlock()
				p.changes.notify() // notifications that waited for the acknowledgement
			case <-over:
				return
			}
		}
	}()
	return func() {
		close(over)
		<-done
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.listeners, string(id))
	}
}

// endListening ends every subscription as the protocol requires: with its answer.
func (p *peer) endListening() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = true
	for id := range p.listeners {
		if cancel := p.inFlight[id]; cancel != nil {
			cancel(errStopping)
		}
	}
}

// notice is a notification to the client.
type notice struct {
	JSONRPC string         `json:"jsonrpc"`
	Method  string         `json:"method"`
	Params  map[string]any `json:"params,omitempty"`
}

// toolsChanged records that the client's list of tools has changed, unless it cannot. It does not block.
func (p *peer) toolsChanged() {
	if !p.server.listChanges(p.base) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newTools = true
	p.changes.notify()
}

// sendChanges notifies the client of what has changed.
func (p *peer) sendChanges() {
	p.sendToolsChanged()
	for _, sub := range p.takeChanged() {
		p.send(resourceUpdated(sub))
	}
}

// sendToolsChanged notifies the client that its list of tools has changed: once if it began with initialize, and once for each
// subscription, with its id.
func (p *peer) sendToolsChanged() {
	p.mu.Lock()
	changed, initialized := p.newTools, p.initialized
	p.newTools = false
	if !changed {
		p.mu.Unlock()
		return
	}
	var subscribed []json.RawMessage
	for _, l := range p.listeners {
		l.mu.Lock()
		if l.acked && l.filter.ToolsListChanged {
			subscribed = append(subscribed, l.id)
		}
		l.mu.Unlock()
	}
	p.mu.Unlock()
	n := notice{JSONRPC: mcp.JSONRPC_VERSION, Method: string(mcp.MethodNotificationToolsListChanged)}
	if initialized {
		p.send(n)
	}
	for _, id := range subscribed {
		n.Params = map[string]any{"_meta": map[string]any{mcp.MetaKeySubscriptionID: id}}
		p.send(n)
	}
}

func (l *listener) acknowledged() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}
