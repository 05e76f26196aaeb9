package server

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// maxSubscriptions bounds the resources that one client hears of.
const maxSubscriptions = 100

// subscription is a resource that a client wants to hear of: by resources/subscribe, or as a part of subscriptions/listen.
type subscription struct {
	listen string // the id of subscriptions/listen; empty: resources/subscribe
	uri    string
}

var _ mcpserver.SessionWithResourceSubscriptionsErr = (*session)(nil)

// SubscribeToResourceErr has the client hear of a resource.
func (s *session) SubscribeToResourceErr(uri string) error {
	return s.peer.subscribe(s.subscription(uri))
}

// SubscribeToResource is SubscribeToResourceErr for those who do not ask.
func (s *session) SubscribeToResource(uri string) { _ = s.SubscribeToResourceErr(uri) }

// UnsubscribeFromResource ends it.
func (s *session) UnsubscribeFromResource(uri string) { s.peer.unsubscribe(s.subscription(uri)) }

// SubscribedResources are those that this request's kind of subscription tells of.
func (s *session) SubscribedResources() (uris []string) {
	of := s.subscription("").listen
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subscriptions {
		if sub.listen == of {
			uris = append(uris, sub.uri)
		}
	}
	return uris
}

// IsSubscribedToResource tells whether the client hears of a resource.
func (s *session) IsSubscribedToResource(uri string) bool {
	sub := s.subscription(uri)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscriptions[sub] != nil
}

func (s *session) subscription(uri string) subscription {
	sub := subscription{uri: uri}
	if s.listens != nil {
		sub.listen = string(s.listens.id)
	}
	return sub
}

func (p *peer) subscribe(sub subscription) error {
	return place(&p.mu, func() map[subscription]func() { return p.subscriptions }, sub, func() (func(), error) {
		return p.server.watch(p.base, sub.uri, func() { p.updated(sub) })
	})
}

// place keeps a subscription from before it begins, so that nothing is missed in between, until it is taken out again. What all
// returns is guarded by mu.
func place[K comparable](mu *sync.Mutex, all func() map[K]func(), sub K, begin func() (off func(), err error)) error {
	mu.Lock()
	_, there := all()[sub]
	many := !there && len(all()) >= maxSubscriptions
	if !there && !many {
		all()[sub] = func() {}
	}
	mu.Unlock()
	switch {
	case there:
		return nil
	case many:
		return errManySubscriptions
	}
	off, err := begin()
	mu.Lock()
	defer mu.Unlock()
	_, there = all()[sub]
	switch {
	case err != nil:
		delete(all(), sub)
	case !there: // it was ended meanwhile
		off()
	default:
		all()[sub] = off
	}
	return err
}

var errManySubscriptions = fmt.Errorf("a client may subscribe to %d resources; unsubscribe from one that you no longer need", maxSubscriptions) //nolint:err113 // for the client

func (p *peer) unsubscribe(sub subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if off := p.subscriptions[sub]; off != nil {
		off()
	}
	delete(p.subscriptions, sub)
	delete(p.changed, sub)
}

func (p *peer) unsubscribeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, off := range p.subscriptions {
		off()
	}
	clear(p.subscriptions)
	clear(p.changed)
}

// updated takes note that a resource has changed, for the goroutine that serves the peer to pass on.
func (p *peer) updated(sub subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscriptions[sub] != nil {
		p.changed[sub] = true
		p.news.tell()
	}
}

// takeChanged are the subscriptions to tell of. Those of a listen that was not acknowledged yet wait for that.
func (p *peer) takeChanged() (subs []subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub := range p.changed {
		if sub.listen != "" && !p.listeners[sub.listen].acknowledged() {
			continue
		}
		delete(p.changed, sub)
		subs = append(subs, sub)
	}
	return subs
}

func (l *listener) acknowledged() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// resourceUpdated is notifications/resources/updated.
func resourceUpdated(sub subscription) notice {
	n := notice{JSONRPC: mcp.JSONRPC_VERSION, Method: mcp.MethodNotificationResourceUpdated, Params: map[string]any{"uri": sub.uri}}
	if sub.listen != "" {
		n.Params["_meta"] = map[string]any{mcp.MetaKeySubscriptionID: json.RawMessage(sub.listen)}
	}
	return n
}
