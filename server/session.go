package server

import (
	"context"
	crand "crypto/rand"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// session is what mcp-go sees of a peer during one request. Its notifications are those that mcp-go itself sends while it
// handles the request, such as the acknowledgement of subscriptions/listen; tools do not use it.
type session struct {
	*peer
	notifications chan mcp.JSONRPCNotification
}

var _ mcpserver.SessionWithClientInfo = (*session)(nil)

func (s *session) SessionID() string { return s.peer.id }
func (s *session) Initialize()       {}
func (s *session) Initialized() bool { return true }
func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification {
	return s.notifications
}

func (s *session) GetClientInfo() mcp.Implementation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

func (s *session) SetClientInfo(info mcp.Implementation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info = info
}

func (s *session) GetClientCapabilities() mcp.ClientCapabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.can
}

func (s *session) SetClientCapabilities(can mcp.ClientCapabilities) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.can = can
}

// oneRequest is a session of its own for a call without one. mcp-go files calls in flight under session and request id, and
// the stateless era has no sessions: under one empty name any client could cancel everybody's request 1.
type oneRequest struct {
	mcpserver.SessionWithClientInfo
	id string
}

func (o oneRequest) SessionID() string { return o.id }

func (s *Server) ownSession(ctx context.Context) context.Context {
	session, ok := mcpserver.ClientSessionFromContext(ctx).(mcpserver.SessionWithClientInfo)
	if !ok || session.SessionID() != "" || outletFrom(ctx) == nil { // the outlet marks a call
		return ctx
	}
	return s.mcp.WithContext(ctx, oneRequest{session, "request-" + crand.Text()})
}
