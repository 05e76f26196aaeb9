package server

import (
	"context"
	crand "crypto/rand"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// session is a peer as mcp-go sees it during one request. Its notifications are those that mcp-go sends while it handles the
// request, such as the acknowledgement of subscriptions/listen; tools do not use it.
type session struct {
	*peer
	notifications chan mcp.JSONRPCNotification
	own           map[string]mcpserver.ServerTool // see route
	narrowing     narrowing                       // of the request
	listener      *listener                       // of subscriptions/listen
}

var (
	_ mcpserver.SessionWithClientInfo = (*session)(nil)
	_ mcpserver.SessionWithTools      = (*session)(nil)
	_ mcpserver.SessionWithTools      = requestSession{}
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
	return s.clientInfo
}

func (s *session) SetClientInfo(info mcp.Implementation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clientInfo = info
}

func (s *session) GetClientCapabilities() mcp.ClientCapabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.capabilities
}

func (s *session) SetClientCapabilities(can mcp.ClientCapabilities) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capabilities = can
}

// requestSession is a session for one call, of a client without a session or of the caller's own tool. mcp-go keys calls in
// flight by session and request id, and the stateless era has no sessions: with one empty id any client could cancel request 1
// of every other.
type requestSession struct {
	mcpserver.SessionWithClientInfo
	id  string
	own map[string]mcpserver.ServerTool
}

func (o requestSession) SessionID() string                                { return o.id }
func (o requestSession) GetSessionTools() map[string]mcpserver.ServerTool { return o.own }
func (o requestSession) SetSessionTools(map[string]mcpserver.ServerTool)  {}

func (s *Server) ownSession(ctx context.Context) context.Context {
	if ctx, ok := s.subscribingSession(ctx); ok {
		return ctx
	}
	session, ok := mcpserver.ClientSessionFromContext(ctx).(mcpserver.SessionWithClientInfo)
	own := ownTools(ctx)
	if !ok || session.SessionID() != "" && own == nil || senderFrom(ctx) == nil { // the sender marks a call
		return ctx
	}
	id := session.SessionID()
	if id == "" {
		id = "request-" + crand.Text()
	}
	return s.mcp.WithContext(ctx, requestSession{session, id, own})
}
