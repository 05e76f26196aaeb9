package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// A published workflow is a tool of one principal: it follows the methods in the lists of its callers only. A call of it finds the
// tool in a session that is made for this call. mcp-go's registry, which all callers share, never contains it.

// publishes reports whether this server lists published workflows as tools.
func (s *Server) publishes() bool {
	return s.has(tools.WorkflowContract)
}

// has reports whether the server has a runtime and the methods of a contract.
func (s *Server) has(contract string) bool {
	return s.config.Runtime != nil &&
		slices.ContainsFunc(s.config.Methods, func(m tools.Method) bool { return m.Contract == contract })
}

// listPublished adds the caller's published workflows to a list of tools.
func (s *Server) listPublished(ctx context.Context, _ any, _ *mcp.ListToolsRequest, list *mcp.ListToolsResult) {
	methods, err := tools.Published(ctx, s.config.Runtime)
	if err != nil {
		s.log.Warn("listing published workflows failed; the list of tools is without them", keyError, err)
		return
	}
	for i := range methods {
		if s.methods[methods[i].Name] == nil {
			list.Tools = append(list.Tools, tool(&methods[i]))
		}
	}
}

type ownToolsKey struct{}

// ownTools returns the tools of the caller's own that a call needs in addition to the shared ones; at most one.
func ownTools(ctx context.Context) map[string]mcpserver.ServerTool {
	own, _ := ctx.Value(ownToolsKey{}).(map[string]mcpserver.ServerTool)
	return own
}

// route finds the tool of a tools/call: the returned context carries it if it is the caller's own. For an unknown name it returns
// a protocol error, as MCP demands, with the nearest names. Every other message passes unchanged.
func (s *Server) route(ctx context.Context, h *envelope) (context.Context, *mcp.JSONRPCError) {
	if h.call == nil {
		return ctx, nil
	}
	ctx = context.WithValue(ctx, envelopeKey{}, h)
	name, names := h.call.Name, s.names
	if s.methods[name] != nil {
		return ctx, nil
	}
	if s.publishes() {
		m, err := tools.PublishedMethod(ctx, s.config.Runtime, name)
		if err != nil { // whether the tool exists is unknown: the call returns the error
			m = &tools.Method{Name: name, Call: func(context.Context, *runtime.Runtime, tools.Request) (any, error) { return nil, err }}
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
	e := schemas.Errorf(schemas.CodeNotFound, "no tool %s", schemas.Quote(name, 100)).WithHint("tools/list shows every tool").
		WithCandidates(schemas.Nearest(name, names, 3))
	return ctx, protocolError(h.ID, mcp.INVALID_PARAMS, fmt.Sprintf("%s; %s", e.Message, e.Hint), e)
}

// toolsChanged notifies the clients of a principal that their list of tools has changed. It does not block.
func (s *Server) toolsChanged(principal string) {
	s.notifyToolsChanged(func(p *peer) bool { return caller.From(p.base).Principal == principal })
}

// RealmsChanged notifies every client once, by tools/list_changed, that the realms or policies have changed and with them the
// capabilities. It does not block. It does nothing on a server that does not announce changes of its list of tools.
func (s *Server) RealmsChanged() {
	if s.publishes() {
		s.notifyToolsChanged(func(*peer) bool { return true })
	}
}

func (s *Server) notifyToolsChanged(to func(*peer) bool) {
	s.mcp.SendNotificationToAllClients(mcp.MethodNotificationToolsListChanged, nil) // clients on /mcp; it does not say whose list
	s.peersMu.Lock()
	defer s.peersMu.Unlock()
	for p := range s.peers {
		if to(p) {
			p.toolsChanged()
		}
	}
}

// register notifies a peer of changes until the returned function is called.
func (s *Server) register(p *peer) (unregister func()) {
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
