package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// On /mcp mcp-go keeps the sessions, and those do not keep subscriptions to resources.

// webSession is what mcp-go's sessions on /mcp can do.
type webSession interface {
	mcpserver.SessionWithClientInfo
	mcpserver.SessionWithSubscriptionFilter
	mcpserver.SessionWithStreamableHTTPConfig
}

// webSubscriber is such a session during a request about subscriptions. Those of resources/subscribe belong to the session and
// outlive the request; those of subscriptions/listen belong to the request and mcp-go ends them with it.
type webSubscriber struct {
	webSession
	server *Server
	ctx    context.Context //nolint:containedctx // of the request
	listen bool
	// acknowledging is set when mcp-go asks for the notification channel: the acknowledgement is the first message in it.
	acknowledging atomic.Bool
}

var _ mcpserver.SessionWithResourceSubscriptionsErr = (*webSubscriber)(nil)

type subscribesKey struct{}

// subscribing marks a request about subscriptions.
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
	listen := method == string(mcp.MethodSubscriptionsListen)
	return s.mcp.WithContext(ctx, &webSubscriber{webSession: web, server: s, ctx: ctx, listen: listen}), true
}

func (s *webSubscriber) NotificationChannel() chan<- mcp.JSONRPCNotification {
	s.acknowledging.Store(true)
	return s.webSession.NotificationChannel()
}

// client is the owner of the subscriptions in the registry.
func (s *webSubscriber) client() any {
	if s.listen {
		return s
	}
	return s.SessionID()
}

var errNoSession = errors.New("there is no session to notify: use subscriptions/listen")

func (s *webSubscriber) SubscribeToResourceErr(uri string) error {
	changed := func() { s.resourceChanged(uri) }
	if !s.listen {
		if s.SessionID() == "" {
			return errNoSession
		}
		changed = s.server.notifySession(s.SessionID(), uri)
	}
	return s.server.subscriptions.add(s.client(), subscription{uri: uri}, func() (func(), error) {
		return s.server.watch(s.ctx, uri, changed)
	})
}

func (s *webSubscriber) SubscribeToResource(uri string) { _ = s.SubscribeToResourceErr(uri) }

func (s *webSubscriber) UnsubscribeFromResource(uri string) {
	s.server.subscriptions.remove(s.client(), subscription{uri: uri})
}

func (s *webSubscriber) SubscribedResources() []string {
	return s.server.subscriptions.uris(s.client(), "")
}

func (s *webSubscriber) IsSubscribedToResource(uri string) bool {
	return s.server.subscriptions.has(s.client(), subscription{uri: uri})
}

// notifyRetry is how long a notification waits that cannot be sent yet: the acknowledgement comes first, and the channel of a
// client that reads slowly may be full.
const notifyRetry = 20 * time.Millisecond

// resourceChanged notifies the client on the stream of its subscriptions/listen.
func (s *webSubscriber) resourceChanged(uri string) {
	if s.ctx.Err() != nil || !s.IsSubscribedToResource(uri) {
		return
	}
	n := mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION}
	n.Method, n.Params.AdditionalFields = mcp.MethodNotificationResourceUpdated, map[string]any{"uri": uri}
	if s.acknowledging.Load() {
		select {
		case s.webSession.NotificationChannel() <- n:
			return
		default:
		}
	}
	time.AfterFunc(notifyRetry, func() { s.resourceChanged(uri) })
}

// notifySession returns a function that notifies a session; the notification waits in the session until a stream of the
// client takes it. A session that mcp-go has forgotten loses its subscriptions.
func (s *Server) notifySession(session, uri string) (changed func()) {
	since := time.Now()
	return func() {
		err := s.mcp.SendNotificationToSpecificClient(session, mcp.MethodNotificationResourceUpdated, map[string]any{"uri": uri})
		if errors.Is(err, mcpserver.ErrSessionNotFound) && time.Since(since) > sessionLife {
			s.subscriptions.removeAll(session)
		}
		if err != nil {
			s.log.Debug("notifying a client of a changed resource failed", "uri", uri, keyError, err)
		}
	}
}
