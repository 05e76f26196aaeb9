// Package server serves MCP clients over stdio, streamable HTTP and legacy SSE. It owns the transports, the registry of tools,
// prompts and resources, and the translation of outcomes into MCP results. A program makes a [Server] of a runtime and the rows
// of package tools and runs one of its transports. It calls [tools.Method] for each call, and of [runtime.Runtime] what has no
// row: published tools, states as resources, the caller. It knows nothing about plans, and only it and runtime/realm know MCP.
//
//	stdio.go    ─▶ peer.go ─┐
//	sse.go      ─▶ peer.go ─┼─▶ MCPServer.HandleMessage ─▶ server.go ─▶ middleware.go ─▶ tools.Method ─▶ result.go
//	http.go (/mcp) stream.go ┘        (mcp-go)
//
// mcp-go keeps the registry of tools, handles JSON-RPC and both eras of the protocol, and serves /mcp. The two-way
// transports are our own, because mcp-go's lose the last notifications of a call and let slow calls block quick ones. On /mcp
// mcp-go keeps the sessions and the GET stream; the progress of a call bypasses it, see [stream]. Any well-formed session id is accepted,
// so that clients survive a restart, but for one that its client has ended, see [webSessions].
//
// What all clients hold together is bounded, see [Limits]: connections.go, streams.go, web_sessions.go, ledger.go.
package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// Config configures a [Server]. Methods is required.
type Config struct {
	Runtime *runtime.Runtime // passed to the methods
	Methods []tools.Method   // listed in this order; names are unique
	Choice  tools.Choice     // of Methods and of published workflows, for every client
	Prompts []tools.Prompt
	Log     hclog.Logger // nil: no log. On stdio it must not write to stdout
	Name    string       // of the server; empty: runplane
	Version string       // of the program; empty: dev

	// Drain is how long calls in flight may take to finish after the server stops accepting new ones; 0: 10 s.
	Drain time.Duration
	// Ready returns why this process is not ready, for /readyz; nil: always ready while serving.
	Ready func(context.Context) error
	// MaxDepth is how deep the JSON of a message may be nested; 0: schemas.DefaultMaxDepth.
	MaxDepth int
	// Limits bound what all clients hold together.
	Limits Limits
	// InsecureNoAuth lets HTTP listen beyond loopback although requests are not authenticated.
	InsecureNoAuth bool
}

// Server serves one runtime to any number of clients. Its methods are safe for concurrent use.
type Server struct {
	config  Config
	log     hclog.Logger
	mcp     *mcpserver.MCPServer
	names   []string // of the tools, in order
	methods map[string]*tools.Method
	omitted map[string]*tools.Method // by Config.Choice
	handle  handler                  // the middlewares and, inside them, the method

	peersMu sync.Mutex
	peers   map[*peer]bool // connected, to be notified of changes

	subscriptions subscriptions

	drainedBy atomic.Pointer[time.Time]

	limits      Limits // with their defaults
	load        load
	connections *connections
	streams     *streams
	sessions    *webSessions
	bytes       *ledger
	turns       chan struct{} // see takeTurn
}

// DrainedBy returns when the time ends that calls in flight have since the server has stopped accepting new ones; zero: it has not.
func (s *Server) DrainedBy() (t time.Time) {
	if by := s.drainedBy.Load(); by != nil {
		t = *by
	}
	return t
}

// beginDrain records that nothing new is accepted any more.
func (s *Server) beginDrain() {
	s.drainedBy.CompareAndSwap(nil, new(time.Now().Add(s.config.Drain)))
}

// New makes a server. It panics if two methods have the same name, which is a defect of the program.
func New(c Config) *Server {
	c.Name = cmp.Or(c.Name, "runplane")
	c.Version = cmp.Or(c.Version, "dev")
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	c.MaxDepth = cmp.Or(c.MaxDepth, schemas.DefaultMaxDepth)
	s := &Server{config: c, log: c.Log, methods: map[string]*tools.Method{}, omitted: map[string]*tools.Method{}, peers: map[*peer]bool{}}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	s.choose()
	s.limits = c.Limits.withDefaults(maxFiles())
	s.connections = newConnections(s.limits.Connections, &s.load)
	s.streams = newStreams(s.limits.Streams, &s.load)
	s.sessions = newWebSessions(s.limits.Sessions, s.streams.has)
	s.bytes = newLedger(s.limits.Bytes, &s.load)
	s.turns = make(chan struct{}, maxTurns)
	s.handle = chain(s.invoke, traced, logged(s.log), recovered(s.log))
	hooks := &mcpserver.Hooks{}
	hooks.AddAfterInitialize(func(ctx context.Context, _ any, r *mcp.InitializeRequest, a *mcp.InitializeResult) {
		s.log.Info("client connected", "client", r.Params.ClientInfo.Name, "version", r.Params.ClientInfo.Version, "protocol", a.ProtocolVersion)
		s.fit(ctx, &a.Instructions, &a.Capabilities)
	})
	hooks.AddAfterDiscover(func(ctx context.Context, _ any, _ *mcp.DiscoverRequest, a *mcp.DiscoverResult) {
		s.fit(ctx, &a.Instructions, &a.Capabilities)
	})
	hooks.AddAfterListResources(func(ctx context.Context, _ any, _ *mcp.ListResourcesRequest, a *mcp.ListResourcesResult) {
		a.Resources = slices.DeleteFunc(a.Resources, func(r mcp.Resource) bool { return r.URI == referenceURI && !s.offers(ctx, referenceTool) })
	})
	hooks.AddAfterListResourceTemplates(func(ctx context.Context, _ any, _ *mcp.ListResourceTemplatesRequest, a *mcp.ListResourceTemplatesResult) {
		if !s.offers(ctx, stateTool) {
			a.ResourceTemplates = []mcp.ResourceTemplate{}
		}
	})
	if s.publishes() {
		hooks.AddAfterListTools(s.listPublished)
	}
	hooks.AddOnUnregisterSession(func(_ context.Context, session mcpserver.ClientSession) {
		s.subscriptions.removeAll(session.SessionID())
	})
	s.mcp = mcpserver.NewMCPServer(c.Name, c.Version,
		mcpserver.WithTitle("Runplane"),
		mcpserver.WithHooks(hooks),
		mcpserver.WithToolCapabilities(s.publishes()),
		mcpserver.WithPromptCapabilities(false),
		mcpserver.WithResourceCapabilities(s.servesStates(), false),
		mcpserver.WithToolFilter(s.toolsOf),
		mcpserver.WithPromptFilter(s.promptsOf),
		mcpserver.WithMethodCacheHints(mcp.MethodToolsList, listTTL.Milliseconds(), mcp.CacheScopePrivate),
		mcpserver.WithMethodCacheHints(mcp.MethodServerDiscover, discoverTTL.Milliseconds(), mcp.CacheScopePrivate),
	)
	for _, name := range s.names {
		m := s.methods[name]
		s.mcp.AddTool(tool(m), s.handler(m))
	}
	for i := range c.Prompts {
		p := &s.config.Prompts[i]
		if p.Needs != "" && s.methods[p.Needs] == nil {
			continue
		}
		s.mcp.AddPrompt(prompt(p), s.promptHandler(p))
	}
	if s.publishes() {
		c.Runtime.Workflows.OnPublished(s.toolsChanged)
	}
	if s.servesStates() {
		s.addResources()
	}
	if s.methods[referenceTool] != nil {
		s.addReference()
	}
	if c.Runtime != nil {
		c.Runtime.Health.IncludeClients(s.check)
	}
	return s
}

// choose divides the methods as Config.Choice says.
func (s *Server) choose() {
	for i := range s.config.Methods {
		m := &s.config.Methods[i]
		if s.methods[m.Name] != nil || s.omitted[m.Name] != nil {
			panic(fmt.Sprintf("server: two methods are named %q", m.Name))
		}
		if s.config.Choice.LeftOutBy(m) != "" {
			s.omitted[m.Name] = m
			continue
		}
		s.methods[m.Name] = m
		s.names = append(s.names, m.Name)
	}
}

// How long a client of the stateless era may cache answers: the list of tools changes when a workflow is published, and
// clients that listen are notified; the description of the server changes only with the program.
const (
	listTTL     = time.Minute
	discoverTTL = 5 * time.Minute
)

// tool describes a method to clients. All four annotations are given, because their defaults differ between clients.
func tool(m *tools.Method) mcp.Tool {
	t := mcp.NewToolWithRawSchema(m.Name, m.Description, m.Input)
	t.RawOutputSchema = m.Output
	t.Title = m.Title
	h := m.Hints()
	t.Annotations = mcp.ToolAnnotation{
		Title: m.Title, ReadOnlyHint: &h.ReadOnly, DestructiveHint: &h.Destructive, IdempotentHint: &h.Idempotent, OpenWorldHint: &h.OpenWorld,
	}
	return t
}

// toolsOf leaves out the tools that the client may not see and sorts the others as in Config.Methods; mcp-go sorts by name.
func (s *Server) toolsOf(ctx context.Context, listed []mcp.Tool) []mcp.Tool {
	n := narrowed(ctx)
	listed = slices.DeleteFunc(listed, func(t mcp.Tool) bool { m := s.methods[t.Name]; return m != nil && n.leftOutBy(m) != "" })
	slices.SortStableFunc(listed, func(a, b mcp.Tool) int {
		return cmp.Compare(slices.Index(s.names, a.Name), slices.Index(s.names, b.Name))
	})
	return listed
}

// handler adapts a method to mcp-go. It never returns an error, as the model would not see it.
func (s *Server) handler(m *tools.Method) mcpserver.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.recordClient(ctx)
		c := &call{method: m, request: tools.Request{Arguments: r.Params.RawArguments}}
		h, _ := ctx.Value(envelopeKey{}).(*envelope) // nil in tests
		if h != nil {
			c.refused = h.refused
		}
		if meta := r.Params.Meta; meta != nil {
			c.traceparent, _ = meta.AdditionalFields["traceparent"].(string)
			var err error
			if ctx, err = takeMeta(ctx, meta.AdditionalFields); err != nil {
				return result(nil, err), nil
			}
			if out := senderFrom(ctx); out != nil && meta.ProgressToken != nil {
				p := newReporter(out, h.progressToken(meta.ProgressToken))
				defer p.close() // before the result is sent: nothing follows an answer
				c.request.Progress = p.report
			}
		}
		value, err := s.handle(ctx, c)
		if out, web := senderFrom(ctx).(*stream); web && len(value) > freeBytes {
			out.setTurn(s.takeTurn(ctx, writeTime))
		}
		return result(value, err), nil
	}
}

// recordClient reports the calling client to the runtime.
func (s *Server) recordClient(ctx context.Context) {
	if s.config.Runtime == nil {
		return
	}
	var info mcp.Implementation
	if modern := mcpserver.RequestProtocolInfoFromContext(ctx); modern != nil && modern.ClientInfo != nil {
		info = *modern.ClientInfo
	} else if session, ok := mcpserver.ClientSessionFromContext(ctx).(mcpserver.SessionWithClientInfo); ok {
		info = session.GetClientInfo()
	}
	s.config.Runtime.Health.RecordClient(info.Name + " " + info.Version)
}

// invoke is the innermost handler: the method itself, unless the call was cancelled while it waited for a slot.
func (s *Server) invoke(ctx context.Context, c *call) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(ctx, err)
	}
	if c.refused != nil {
		return nil, c.refused
	}
	v, err := c.method.Call(ctx, s.config.Runtime, c.request)
	if err != nil {
		return nil, ended(ctx, err)
	}
	return s.encode(v)
}
