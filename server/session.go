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
	own           map[string]mcpserver.ServerTool // see route
	listens       *listener                       // of subscriptions/listen
}

var (
	_ mcpserver.SessionWithClientInfo = (*session)(nil)
	_ mcpserver.SessionWithTools      = (*session)(nil)
	_ mcpserver.SessionWithTools      = oneRequest{}
)

func (s *session) SessionID() string { return s.peer.id }
func (s *session) Initialize()       {}
func (s *session) Initialized() bool { return true }
func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification {
	return s.notifications
}

func (s *session) GetSessionTools() map[string]mcpserver.ServerTool { return s.own }
func (s *session) SetSessionTools(map[string]mcpserver.ServerTool)  {}

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

// oneRequest is a session of its own for a call without one, or for a call of the caller's own tool. mcp-go files calls in flight
// under session and request id, and the stateless era has no sessions: under one empty name any client could cancel
// everybody's request 1.
type oneRequest struct {
	mcpserver.SessionWithClientInfo
	id  string
	own map[string]mcpserver.ServerTool
}

func (o oneRequest) SessionID() string                                { return o.id }
func (o oneRequest) GetSessionTools() map[string]mcpserver.ServerTool { return o.own }
func (o oneRequest) SetSessionTools(map[string]mcpserver.ServerTool)  {}

func (s *Server) ownSession(ctx context.Context) context.Context {
	if ctx, ok := s.subscribingSession(ctx); ok {
		return ctx
	}
	session, ok := mcpserver.ClientSessionFromContext(ctx).(mcpserver.SessionWithClientInfo)
	own := ownTools(ctx)
	if !ok || session.SessionID() != "" && own == nil || outletFrom(ctx) == nil { // the outlet marks a call
		return ctx
	}
	id := session.SessionID()
	if id == "" {
		id = "request-" + crand.Text()
	}
	return s.mcp.WithContext(ctx, oneRequest{session, id, own})
}
