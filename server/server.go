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
	handle  handler // the middlewares and, inside them, the method

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
	s := &Server{config: c, log: c.Log, methods: map[string]*tools.Method{}, peers: map[*peer]bool{}}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	s.limits = c.Limits.withDefaults(maxFiles())
	s.connections = newConnections(s.limits.Connections, &s.load)
	s.streams = newStreams(s.limits.Streams, &s.load)
	s.sessions = newWebSessions(s.limits.Sessions, s.streams.has)
	s.bytes = newLedger(s.limits.Bytes, &s.load)
	s.turns = make(chan struct{}, maxTurns)
	s.handle = chain(s.invoke, traced, logged(s.log), recovered(s.log))
	hooks := &mcpserver.Hooks{}
	hooks.AddAfterInitialize(func(_ context.Context, _ any, r *mcp.InitializeRequest, a *mcp.InitializeResult) {
		s.log.Info("client connected", "client", r.Params.ClientInfo.Name, "version", r.Params.ClientInfo.Version, "protocol", a.ProtocolVersion)
	})
	if s.publishes() {
		hooks.AddAfterListTools(s.listPublished)
	}
	hooks.AddOnUnregisterSession(func(_ context.Context, session mcpserver.ClientSession) {
		s.subscriptions.removeAll(session.SessionID())
	})
	s.mcp = mcpserver.NewMCPServer(c.Name, c.Version,
		mcpserver.WithTitle("Runplane"),
		mcpserver.WithInstructions(instructions),
		mcpserver.WithHooks(hooks),
		mcpserver.WithToolCapabilities(s.publishes()),
		mcpserver.WithPromptCapabilities(false),
		mcpserver.WithResourceCapabilities(s.servesStates(), false),
		mcpserver.WithToolFilter(s.inOrder),
		mcpserver.WithMethodCacheHints(mcp.MethodToolsList, listTTL.Milliseconds(), mcp.CacheScopePrivate),
		mcpserver.WithMethodCacheHints(mcp.MethodServerDiscover, discoverTTL.Milliseconds(), mcp.CacheScopePrivate),
	)
	entries := make([]mcpserver.ServerTool, 0, len(c.Methods))
	for i := range c.Methods {
		m := &s.config.Methods[i]
		if s.methods[m.Name] != nil {
			panic(fmt.Sprintf("server: two methods are named %q", m.Name))
		}
		s.methods[m.Name] = m
		s.names = append(s.names, m.Name)
		entries = append(entries, mcpserver.ServerTool{Tool: tool(m), Handler: s.handler(m)})
	}
	s.mcp.AddTools(entries...)
	for i := range c.Prompts {
		p := &s.config.Prompts[i]
		s.mcp.AddPrompt(prompt(p), s.promptHandler(p))
	}
	if s.publishes() {
		c.Runtime.Workflows.OnPublished(s.toolsChanged)
	}
	if s.servesStates() {
		s.addResources()
	}
	if s.methods["execute_plan"] != nil {
		s.addReference()
	}
	if c.Runtime != nil {
		c.Runtime.Health.IncludeClients(s.check)
	}
	return s
}

// instructions describe all tools together; a client may show them to its model.
const instructions = `Runplane runs execution plans: a plan is a DAG whose nodes call capabilities (tools of connected MCP servers, the realms). ` +
	`It handles dependencies, retries, timeouts and crash recovery, and intermediate results stay out of your context.

1. discover_capabilities finds what can be called; resolve_capability gives one capability's schema and effect.
2. One call: invoke_capability. Several, or work that must survive a crash: write a plan. validate_plan checks it and returns fixes; execute_plan runs it.
3. execute_plan waits about 20 s. If the execution is still running, call get_execution_status with its execution_id and wait_seconds. Ending a call never ends an execution; cancel_execution does.
4. Read waiting_for and hint. A held node waits for a decision: resume_execution with a patch.

Errors are JSON with code, message, hint, retryable. Give idempotency_key when you may submit twice.`

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

// inOrder sorts tools as in Config.Methods; mcp-go sorts by name. Tools that a client may not see would be left out here.
func (s *Server) inOrder(_ context.Context, listed []mcp.Tool) []mcp.Tool {
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
