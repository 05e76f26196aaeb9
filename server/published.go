package server

import (
	"cmp"
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
	return s.hasWorkflows() && s.config.Choice.Publishes()
}

// hasWorkflows reports whether the server has a runtime and the contract of workflows.
func (s *Server) hasWorkflows() bool {
	return s.config.Runtime != nil && slices.ContainsFunc(s.config.Methods, func(m tools.Method) bool { return m.Contract == tools.WorkflowContract })
}

// listPublished adds the caller's published workflows to a list of tools.
func (s *Server) listPublished(ctx context.Context, _ any, _ *mcp.ListToolsRequest, list *mcp.ListToolsResult) {
	if !s.listChanges(ctx) {
		return
	}
	methods, err := tools.Published(ctx, s.config.Runtime)
	if err != nil {
		s.log.Warn("listing published workflows failed; the list of tools is without them", keyError, err)
		return
	}
	for i := range methods {
		m := &methods[i]
		if s.methods[m.Name] == nil && s.config.Choice.LeftOutBy(m) == "" && narrowed(ctx).leftOutBy(m) == "" {
			list.Tools = append(list.Tools, tool(m))
		}
	}
}

type ownToolsKey struct{}

// ownTools returns the tools of the caller's own that a call needs in addition to the shared ones; at most one.
func ownTools(ctx context.Context) map[string]mcpserver.ServerTool {
	own, _ := ctx.Value(ownToolsKey{}).(map[string]mcpserver.ServerTool)
	return own
}

// route finds the tool of a tools/call: the returned context carries it if it is the caller's own. For a name that the client has no tool
// of it returns a protocol error, as MCP demands, with the nearest names or what leaves the tool out. Every other message passes unchanged.
func (s *Server) route(ctx context.Context, h *envelope) (context.Context, *mcp.JSONRPCError) {
	ctx = withNarrowing(ctx, h.narrowing)
	if h.call == nil {
		return ctx, nil
	}
	ctx = context.WithValue(ctx, envelopeKey{}, h)
	name := h.call.Name
	if m := cmp.Or(s.methods[name], s.omitted[name]); m != nil {
		return ctx, s.leftOut(ctx, h, m)
	}
	if s.hasWorkflows() {
		m, err := tools.PublishedMethod(ctx, s.config.Runtime, name)
		if err != nil { // whether the tool exists is unknown: the call returns the error
			m = &tools.Method{Name: name, Call: func(context.Context, *runtime.Runtime, tools.Request) (any, error) { return nil, err }}
		} else if m != nil {
			if e := s.leftOut(ctx, h, m); e != nil {
				return ctx, e
			}
		}
		if m != nil {
			return context.WithValue(ctx, ownToolsKey{}, map[string]mcpserver.ServerTool{m.Name: {Tool: tool(m), Handler: s.handler(m)}}), nil
		}
	}
	e := schemas.Errorf(schemas.CodeNotFound, "no tool %s", schemas.Quote(name, 100)).WithHint("tools/list shows every tool").
		WithCandidates(schemas.Nearest(name, s.namesOf(ctx), 3))
	return ctx, protocolError(h.ID, mcp.INVALID_PARAMS, fmt.Sprintf("%s; %s", e.Message, e.Hint), e)
}

// namesOf lists the names of the tools of a client.
func (s *Server) namesOf(ctx context.Context) (names []string) {
	for _, name := range s.names {
		if s.offers(ctx, name) {
			names = append(names, name)
		}
	}
	own := mcp.ListToolsResult{}
	if s.publishes() {
		s.listPublished(ctx, nil, nil, &own)
	}
	for i := range own.Tools {
		names = append(names, own.Tools[i].Name)
	}
	return names
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
