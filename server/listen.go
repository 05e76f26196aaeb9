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

// listener is a subscriptions/listen of a client in the stateless era, which is told of nothing that it did not ask for.
type listener struct {
	id     json.RawMessage
	mu     sync.Mutex
	filter mcp.SubscriptionFilter
	heard  bool // the acknowledgement has been sent, which comes before everything else
}

var _ mcpserver.SessionWithSubscriptionFilter = (*session)(nil)

// SetSubscriptionFilter takes note of what the client wants to hear of.
func (s *session) SetSubscriptionFilter(f mcp.SubscriptionFilter) {
	if s.listens != nil {
		s.listens.mu.Lock()
		defer s.listens.mu.Unlock()
		s.listens.filter = f
	}
}

// SubscriptionFilter is what the client wants to hear of.
func (s *session) SubscriptionFilter() (mcp.SubscriptionFilter, bool) {
	if s.listens == nil {
		return mcp.SubscriptionFilter{}, false
	}
	s.listens.mu.Lock()
	defer s.listens.mu.Unlock()
	return s.listens.filter, true
}

// listen begins a subscription: what mcp-go says of it is sent as it comes, until end is called.
func (p *peer) listen(s *session, id json.RawMessage) (end func()) {
	l := &listener{id: id}
	s.listens = l
	p.mu.Lock()
	p.listeners[string(id)] = l
	if p.ending {
		p.open[string(id)](errStopping)
	}
	p.mu.Unlock()
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case n := <-s.notifications:
				p.send(n)
				l.mu.Lock()
				l.heard = true
				l.mu.Unlock()
				p.changes.notify() // of what had to wait for that
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

// endListening ends every subscription as the protocol wants it: with its answer.
func (p *peer) endListening() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = true
	for id := range p.listeners {
		if cancel := p.open[id]; cancel != nil {
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

// toolsChanged takes note that the client's list of tools is another one. It does not block.
func (p *peer) toolsChanged() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newTools = true
	p.changes.notify()
}

// passOn tells the client what has changed.
func (p *peer) passOn() {
	p.passOnTools()
	for _, sub := range p.takeChanged() {
		p.send(resourceUpdated(sub))
	}
}

// passOnTools tells the client that its list of tools has changed: a client that began with initialize as it is, each
// subscription under its id.
func (p *peer) passOnTools() {
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
		if l.heard && l.filter.ToolsListChanged {
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
	return l.heard
}
