package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// A published workflow is a tool of one caller: it stands behind the methods in his list alone, and a call of it finds it
// among the tools of a session that is made for this one call. mcp-go's registry, which all callers share, never holds it.

// publishes tells whether clients of this server see workflows as tools.
func (s *Server) publishes() bool {
	return s.config.Runtime != nil && slices.ContainsFunc(s.config.Methods, func(m tools.Method) bool { return m.Contract == tools.WorkflowContract })
}

// listPublished adds the caller's published workflows to a list of tools.
func (s *Server) listPublished(ctx context.Context, _ any, _ *mcp.ListToolsRequest, list *mcp.ListToolsResult) {
	methods, err := tools.Published(ctx, s.config.Runtime)
	if err != nil {
		s.log.Warn("list the published workflows: they are left out", keyError, err)
		return
	}
	for i := range methods {
		if s.methods[methods[i].Name] == nil {
			list.Tools = append(list.Tools, tool(&methods[i]))
		}
	}
}

type ownToolsKey struct{}

// ownTools are the tools that a call reaches beside those of everybody; at most one.
func ownTools(ctx context.Context) map[string]mcpserver.ServerTool {
	own, _ := ctx.Value(ownToolsKey{}).(map[string]mcpserver.ServerTool)
	return own
}

// route finds what a tools/call goes to: the context carries the tool if it is the caller's own. A name that nothing has is
// answered with the names that may have been meant; MCP makes this a protocol error. Every other message passes.
func (s *Server) route(ctx context.Context, h *envelope) (context.Context, *mcp.JSONRPCError) {
	if h.Method != string(mcp.MethodToolsCall) || h.ID == nil {
		return ctx, nil
	}
	var params struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(h.Params, &params) != nil || s.methods[params.Name] != nil {
		return ctx, nil
	}
	names := s.names
	if s.publishes() {
		m, err := tools.PublishedMethod(ctx, s.config.Runtime, params.Name)
		if err != nil { // nobody knows whether there is such a tool: the call says so
			m = &tools.Method{Name: params.Name, Call: func(context.Context, *runtime.Runtime, tools.Request) (any, error) { return nil, err }}
		}
		if m != nil {
			return context.WithValue(ctx, ownToolsKey{}, map[string]mcpserver.ServerTool{m.Name: {Tool: tool(m), Handler: s.handler(m)}}), nil
		}
		if own, err := tools.Published(ctx, s.config.Runtime); err == nil {
			names = slices.Clone(names)
			for i := range own {
				names = append(names, own[i].Name)
			}
		}
	}
	e := schemas.Errorf(schemas.CodeNotFound, "no tool %.200q", params.Name).WithHint("tools/list shows every tool").
		WithCandidates(schemas.Nearest(params.Name, names, 3))
	return ctx, protocolError(h.ID, mcp.INVALID_PARAMS, fmt.Sprintf("%s; %s", e.Message, e.Hint), e)
}

// toolsChanged tells the clients of a principal that their list of tools is another one. It does not block.
func (s *Server) toolsChanged(principal string) {
	s.announce(func(p *peer) bool { return caller.From(p.base).Principal == principal })
}

// RealmsChanged tells every client once, by tools/list_changed, that what can be called through the tools is not what it was:
// the configuration has other realms or policies. It does not block; where nobody was told to expect news it does nothing.
func (s *Server) RealmsChanged() {
	if s.publishes() {
		s.announce(func(*peer) bool { return true })
	}
}

func (s *Server) announce(to func(*peer) bool) {
	s.mcp.SendNotificationToAllClients(mcp.MethodNotificationToolsListChanged, nil) // those on /mcp; it says nothing of whose list
	s.peersMu.Lock()
	defer s.peersMu.Unlock()
	for p := range s.peers {
		if to(p) {
			p.toolsChanged()
		}
	}
}

// join has a peer hear of changes until the returned function is called.
func (s *Server) join(p *peer) (part func()) {
	s.peersMu.Lock()
	defer s.peersMu.Unlock()
	s.peers[p] = true
	return func() {
		s.peersMu.Lock()
		defer s.peersMu.Unlock()
		delete(s.peers, p)
		s.subscriptions.removeAll(p)
	}
}
