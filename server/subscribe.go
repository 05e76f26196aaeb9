package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// maxSubscriptions bounds the resources that one client is subscribed to.
const maxSubscriptions = 100

// subscription is a resource that a client is notified about: by resources/subscribe, or as a part of subscriptions/listen.
type subscription struct {
	listen string // the id of a peer's subscriptions/listen; empty: resources/subscribe
	uri    string
}

// subscriptions are those of every client of a server. A client is a *peer, the id of a session on /mcp, or, for a
// subscriptions/listen on /mcp, the *webSubscriber of that request. The zero value is ready for use.
type subscriptions struct {
	mu      sync.Mutex
	clients map[any]map[subscription]*watched
}

// watched is a subscription in the registry; stop is nil until its watch has begun.
type watched struct{ stop func() }

func (w *watched) end() {
	if w.stop != nil {
		w.stop()
	}
}

// add registers a subscription before it begins the watch, so that no change is missed in between. A subscription that
// exists already is kept as it is.
func (s *subscriptions) add(client any, sub subscription, begin func() (stop func(), err error)) error {
	w := new(watched)
	s.mu.Lock()
	own := s.clients[client]
	exists, n := own[sub] != nil, len(own)
	if !exists && n < maxSubscriptions {
		if own == nil {
			if s.clients == nil {
				s.clients = map[any]map[subscription]*watched{}
			}
			own = map[subscription]*watched{}
			s.clients[client] = own
		}
		own[sub] = w
	}
	s.mu.Unlock()
	switch {
	case exists:
		return nil
	case n >= maxSubscriptions:
		return fmt.Errorf("the client is subscribed to %d resources (limit %d); unsubscribe from one of them", n, maxSubscriptions) //nolint:err113 // for the client
	}
	stop, err := begin()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kept := s.clients[client][sub] == w; {
	case kept && err == nil:
		w.stop = stop
	case kept:
		s.delete(client, sub)
	case err == nil: // it was removed meanwhile
		stop()
	}
	return err
}

func (s *subscriptions) has(client any, sub subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[client][sub] != nil
}

// uris lists the resources of one subscriptions/listen, or of resources/subscribe if listen is empty.
func (s *subscriptions) uris(client any, listen string) (uris []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.clients[client] {
		if sub.listen == listen {
			uris = append(uris, sub.uri)
		}
	}
	slices.Sort(uris)
	return uris
}

func (s *subscriptions) remove(client any, sub subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.clients[client][sub]; w != nil {
		w.end()
		s.delete(client, sub)
	}
}

// delete forgets a subscription; the caller holds mu.
func (s *subscriptions) delete(client any, sub subscription) {
	own := s.clients[client]
	if delete(own, sub); len(own) == 0 {
		delete(s.clients, client)
	}
}

// removeAll removes every subscription of a client.
func (s *subscriptions) removeAll(client any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(client)
}

// removeWeb removes every subscription made on /mcp.
func (s *subscriptions) removeWeb() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for client := range s.clients {
		if _, ok := client.(*peer); !ok {
			s.drop(client)
		}
	}
}

// drop is removeAll; the caller holds mu.
func (s *subscriptions) drop(client any) {
	for _, w := range s.clients[client] {
		w.end()
	}
	delete(s.clients, client)
}

var _ mcpserver.SessionWithResourceSubscriptionsErr = (*session)(nil)

// SubscribeToResourceErr subscribes the client to a resource.
func (s *session) SubscribeToResourceErr(uri string) error {
	p, sub := s.peer, s.subscription(uri)
	return p.server.subscriptions.add(p, sub, func() (func(), error) {
		return p.server.watch(withNarrowing(p.base, s.narrowing), uri, func() { p.resourceChanged(sub) })
	})
}

// SubscribeToResource is SubscribeToResourceErr without its error.
func (s *session) SubscribeToResource(uri string) { _ = s.SubscribeToResourceErr(uri) }

// UnsubscribeFromResource ends the subscription.
func (s *session) UnsubscribeFromResource(uri string) {
	s.server.subscriptions.remove(s.peer, s.subscription(uri))
}

// SubscribedResources lists the subscriptions of this request's kind.
func (s *session) SubscribedResources() []string {
	return s.server.subscriptions.uris(s.peer, s.subscription("").listen)
}

// IsSubscribedToResource reports whether the client is subscribed to a resource.
func (s *session) IsSubscribedToResource(uri string) bool {
	return s.server.subscriptions.has(s.peer, s.subscription(uri))
}

func (s *session) subscription(uri string) subscription {
	sub := subscription{uri: uri}
	if s.listener != nil {
		sub.listen = string(s.listener.id)
	}
	return sub
}

// resourceChanged leaves a change to the goroutine that serves the peer. It does not block.
func (p *peer) resourceChanged(sub subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed[sub] = true
	p.changes.notify()
}

// takeChanged returns the subscriptions to notify the client about. Those of a listen that was not acknowledged yet wait
// for that.
func (p *peer) takeChanged() (subs []subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub := range p.changed {
		current := p.server.subscriptions.has(p, sub)
		if current && sub.listen != "" && !p.listeners[sub.listen].acknowledged() {
			continue
		}
		delete(p.changed, sub)
		if current {
			subs = append(subs, sub)
		}
	}
	return subs
}

// resourceUpdated is notifications/resources/updated.
func resourceUpdated(sub subscription) notice {
	n := notice{JSONRPC: mcp.JSONRPC_VERSION, Method: mcp.MethodNotificationResourceUpdated, Params: map[string]any{"uri": sub.uri}}
	if sub.listen != "" {
		n.Params["_meta"] = map[string]any{mcp.MetaKeySubscriptionID: json.RawMessage(sub.listen)}
	}
	return n
}
