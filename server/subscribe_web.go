package server

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// On /mcp mcp-go keeps the sessions, and they know nothing of resources.

// webSession is what mcp-go's sessions on /mcp can do.
type webSession interface {
	mcpserver.SessionWithClientInfo
	mcpserver.SessionWithSubscriptionFilter
	mcpserver.SessionWithStreamableHTTPConfig
}

// subscriber is such a session during a request that is about subscriptions. Those of resources/subscribe outlive the request with
// the session; those of subscriptions/listen end with it.
type subscriber struct {
	webSession
	server *Server
	ctx    context.Context //nolint:containedctx // of the request
	listen bool
	asked  atomic.Bool // for where notifications go, which the acknowledgement is the first to do
	mu     sync.Mutex
	own    map[string]func() // of a listen
}

var _ mcpserver.SessionWithResourceSubscriptionsErr = (*subscriber)(nil)

type subscribesKey struct{}

// subscribing marks a request that is about subscriptions.
func subscribing(ctx context.Context, method string) context.Context {
	return context.WithValue(ctx, subscribesKey{}, method)
}

// subscribingSession gives such a request a session that keeps subscriptions; ok is false for all others.
func (s *Server) subscribingSession(ctx context.Context) (_ context.Context, ok bool) {
	method, _ := ctx.Value(subscribesKey{}).(string)
	web, is := mcpserver.ClientSessionFromContext(ctx).(webSession)
	if method == "" || !is {
		return ctx, false
	}
	sub := &subscriber{webSession: web, server: s, ctx: ctx, listen: method == string(mcp.MethodSubscriptionsListen), own: map[string]func(){}}
	return s.mcp.WithContext(ctx, sub), true
}

func (s *subscriber) NotificationChannel() chan<- mcp.JSONRPCNotification {
	s.asked.Store(true)
	return s.webSession.NotificationChannel()
}

func (s *subscriber) SubscribeToResource(uri string) { _ = s.SubscribeToResourceErr(uri) }

func (s *subscriber) SubscribeToResourceErr(uri string) error {
	if !s.listen {
		return s.server.remote.subscribe(s.ctx, s.server, s.SessionID(), uri)
	}
	return place(&s.mu, func() map[string]func() { return s.own }, uri, func() (func(), error) {
		return s.server.watch(s.ctx, uri, func() { s.tell(uri) })
	})
}

// again is when what could not be sent yet is tried once more: the acknowledgement comes first, and a client that reads slowly has
// notifications before it.
const again = 20 * time.Millisecond

// tell sends that a resource has changed on the stream of the listen.
func (s *subscriber) tell(uri string) {
	if s.ctx.Err() != nil || !s.IsSubscribedToResource(uri) {
		return
	}
	n := mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION}
	n.Method, n.Params.AdditionalFields = mcp.MethodNotificationResourceUpdated, map[string]any{"uri": uri}
	if s.asked.Load() {
		select {
		case s.webSession.NotificationChannel() <- n:
			return
		default:
		}
	}
	time.AfterFunc(again, func() { s.tell(uri) })
}

func (s *subscriber) UnsubscribeFromResource(uri string) {
	if !s.listen {
		s.server.remote.unsubscribe(s.SessionID(), uri)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if off := s.own[uri]; off != nil {
		off()
	}
	delete(s.own, uri)
}

func (s *subscriber) SubscribedResources() (uris []string) {
	if !s.listen {
		return s.server.remote.list(s.SessionID())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for uri := range s.own {
		uris = append(uris, uri)
	}
	return uris
}

func (s *subscriber) IsSubscribedToResource(uri string) bool {
	return slices.Contains(s.SubscribedResources(), uri)
}

// remote are the subscriptions of sessions on /mcp, by session and address.
type remote struct {
	mu       sync.Mutex
	sessions map[string]map[string]func()
}

var errNoSession = errors.New("there is no session to tell of changes: use subscriptions/listen")

// of are the subscriptions of a session, for whoever holds mu.
func (r *remote) of(session string) map[string]func() {
	if r.sessions == nil {
		r.sessions = map[string]map[string]func(){}
	}
	if r.sessions[session] == nil {
		r.sessions[session] = map[string]func(){}
	}
	return r.sessions[session]
}

func (r *remote) subscribe(ctx context.Context, s *Server, session, uri string) error {
	if session == "" {
		return errNoSession
	}
	since := time.Now()
	err := place(&r.mu, func() map[string]func() { return r.of(session) }, uri, func() (func(), error) {
		return s.watch(ctx, uri, func() {
			// It waits in the session until a stream of the client takes it.
			err := s.mcp.SendNotificationToSpecificClient(session, mcp.MethodNotificationResourceUpdated, map[string]any{"uri": uri})
			if errors.Is(err, mcpserver.ErrSessionNotFound) && time.Since(since) > sessionLife { // its client has gone without a word
				r.end(session)
			}
			if err != nil {
				s.log.Debug("tell a client that a resource has changed", "uri", uri, keyError, err)
			}
		})
	})
	if err != nil {
		r.tidy(session)
	}
	return err
}

// tidy forgets a session without subscriptions.
func (r *remote) tidy(session string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sessions[session]) == 0 {
		delete(r.sessions, session)
	}
}

func (r *remote) unsubscribe(session, uri string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.sessions[session]
	if off := own[uri]; off != nil {
		off()
	}
	if delete(own, uri); len(own) == 0 {
		delete(r.sessions, session)
	}
}

// list are the resources that a session hears of.
func (r *remote) list(session string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.sessions[session]))
}

// end forgets a session.
func (r *remote) end(session string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, off := range r.sessions[session] {
		off()
	}
	delete(r.sessions, session)
}

// endAll forgets all of them.
func (r *remote) endAll() {
	r.mu.Lock()
	sessions := slices.Collect(maps.Keys(r.sessions))
	r.mu.Unlock()
	for _, session := range sessions {
		r.end(session)
	}
}
