// Package server is the edge towards MCP clients: it turns the contracts' methods into tools and carries calls in over
// stdio, streamable HTTP and legacy SSE. Nothing above it knows MCP, and nothing in it knows plans.
//
//	stdio.go    ─▶ peer.go ─┐
//	sse.go      ─▶ peer.go ─┼─▶ MCPServer.HandleMessage ─▶ server.go ─▶ middleware.go ─▶ tools.Method ─▶ result.go
//	http.go (/mcp) stream.go ┘        (mcp-go)
//
// mcp-go keeps the registry of tools, speaks JSON-RPC and both eras of the protocol, and serves /mcp. The two-way
// transports are our own, because mcp-go's lose what a call says last and let slow calls block quick ones. On /mcp it is
// mcp-go that keeps sessions (any well-formed id is good, so that clients survive a restart; DELETE forgets nothing that
// matters, as no tool depends on a session) and the GET stream; progress of a call goes past it, see [stream].
package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/tools"
)

// Config is what a Server is made of. Methods is required.
type Config struct {
	Runtime *runtime.Runtime // what the methods are called with
	Methods []tools.Method   // listed in this order; names are unique
	Prompts []tools.Prompt
	Log     hclog.Logger // nil: silent. On stdio it must not write to stdout
	Name    string       // of the server; empty: runplane
	Version string       // of the program; empty: dev

	// Drain is how long calls in flight may take to answer once nothing new is taken; 0: 10 s.
	Drain time.Duration
	// Ready says why requests should go elsewhere, for /readyz; nil: always ready while serving.
	Ready func(context.Context) error
	// InsecureNoAuth lets HTTP listen beyond loopback although nobody is asked who he is.
	InsecureNoAuth bool
}

// Server serves one runtime to any number of clients. Its methods may run at the same time.
type Server struct {
	config  Config
	log     hclog.Logger
	mcp     *mcpserver.MCPServer
	names   []string // of the tools, in order
	methods map[string]*tools.Method
	handle  handler // a call's way through the middlewares to its method

	peersMu sync.Mutex
	peers   map[*peer]bool // connected, to be notified of changes

	subscriptions subscriptions
}

// New makes a server. It panics when two methods have one name, which is a defect of the program.
func New(c Config) *Server {
	c.Name = cmp.Or(c.Name, "runplane")
	c.Version = cmp.Or(c.Version, "dev")
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	s := &Server{config: c, log: c.Log, methods: map[string]*tools.Method{}, peers: map[*peer]bool{}}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
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
		mcpserver.WithResourceCapabilities(s.hasStates(), false),
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
	if s.hasStates() {
		s.addResources()
	}
	return s
}

// instructions is what a client may put before its model, once for all tools.
const instructions = `Runplane runs execution plans: a plan is a DAG whose nodes call capabilities (tools of connected MCP servers, the realms). ` +
	`It handles dependencies, retries, timeouts and crash recovery, and intermediate results stay out of your context.

1. discover_capabilities finds what can be called; resolve_capability gives one capability's schema and effect.
2. One call: invoke_capability. Several, or work that must survive a crash: write a plan. validate_plan checks it and returns fixes; execute_plan runs it.
3. execute_plan waits about 20 s. If the execution is still running, call get_execution_status with its execution_id and wait_seconds. Ending a call never ends an execution; cancel_execution does.
4. Read waiting_for and hint. An execution that holds a node waits for a decision: resume_execution with a patch.

Errors are JSON with code, message, hint, retryable. Give idempotency_key when you may submit twice.`

// How long a client of the stateless era may keep what it was told: the list of tools changes when a workflow is published,
// which a client that listens learns at once, and what the server is with the program alone.
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

// inOrder lists tools as Config.Methods has them; mcp-go sorts by name. What a client may not see is to be left out here.
func (s *Server) inOrder(_ context.Context, listed []mcp.Tool) []mcp.Tool {
	slices.SortStableFunc(listed, func(a, b mcp.Tool) int {
		return cmp.Compare(slices.Index(s.names, a.Name), slices.Index(s.names, b.Name))
	})
	return listed
}

// handler is the mcp-go side of a call: it never returns an error, as the model would not see that.
func (s *Server) handler(m *tools.Method) mcpserver.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.saw(ctx)
		c := &call{method: m, request: tools.Request{Arguments: r.Params.RawArguments}}
		if meta := r.Params.Meta; meta != nil {
			c.traceparent, _ = meta.AdditionalFields["traceparent"].(string)
			if hops, ok := meta.AdditionalFields["runplane/hops"].(float64); ok {
				ctx = caller.WithHops(ctx, int(hops))
			}
			if out := outletFrom(ctx); out != nil && meta.ProgressToken != nil {
				p := newReporter(out, meta.ProgressToken)
				defer p.close() // before the result leaves: nothing follows an answer
				c.request.Progress = p.report
			}
		}
		return result(s.handle(ctx, c)), nil
	}
}

// saw tells the runtime who calls.
func (s *Server) saw(ctx context.Context) {
	if s.config.Runtime == nil {
		return
	}
	var info mcp.Implementation
	if modern := mcpserver.RequestProtocolInfoFromContext(ctx); modern != nil && modern.ClientInfo != nil {
		info = *modern.ClientInfo
	} else if session, ok := mcpserver.ClientSessionFromContext(ctx).(mcpserver.SessionWithClientInfo); ok {
		info = session.GetClientInfo()
	}
	s.config.Runtime.Health.Saw(info.Name + " " + info.Version)
}

// invoke is the innermost handler: the method itself, unless the call was given up while it waited for its turn.
func (s *Server) invoke(ctx context.Context, c *call) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(ctx, err)
	}
	v, err := c.method.Call(ctx, s.config.Runtime, c.request)
	if err != nil {
		return nil, ended(ctx, err)
	}
	return encode(v)
}
