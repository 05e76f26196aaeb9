package server

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/tools"
)

// narrowedDials are clients of every transport and era that sends headers.
var narrowedDials = map[string]func(t *testing.T, url string, headers map[string]string) *client.Client{
	"session": func(t *testing.T, url string, headers map[string]string) *client.Client {
		return httpClient(t, url, []transport.StreamableHTTPCOption{transport.WithHTTPHeaders(headers), transport.WithContinuousListening()}, //nolint:staticcheck // as older clients do
			client.WithProtocolVersion("2025-11-25"))
	},
	"stateless": func(t *testing.T, url string, headers map[string]string) *client.Client {
		return httpClient(t, url, []transport.StreamableHTTPCOption{transport.WithHTTPHeaders(headers)})
	},
	"sse": func(t *testing.T, url string, headers map[string]string) *client.Client {
		c, err := client.NewSSEMCPClient(url+"/sse", transport.WithHeaders(headers))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return connect(t, c)
	},
}

// offered are the names of what a client is offered: tools, prompts, resources and templates.
func offered(t *testing.T, c *client.Client) (names []string) {
	t.Helper()
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	prompts, err := c.ListPrompts(t.Context(), mcp.ListPromptsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prompts.Prompts {
		names = append(names, p.Name)
	}
	pages, err := c.ListResources(t.Context(), mcp.ListResourcesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range pages.Resources {
		names = append(names, r.URI)
	}
	templates, err := c.ListResourceTemplates(t.Context(), mcp.ListResourceTemplatesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range templates.ResourceTemplates {
		names = append(names, r.URITemplate.Raw())
	}
	return names
}

// read is the error of reading a resource.
func read(t *testing.T, c *client.Client, uri string) error {
	var r mcp.ReadResourceRequest
	r.Params.URI = uri
	_, err := c.ReadResource(t.Context(), r)
	return err
}

func TestClientsSeeAndCallWhatTheServerChooses(t *testing.T) {
	for _, tt := range []struct {
		choice  tools.Choice
		want    []string
		without string // a tool
		rule    string
	}{
		{tools.Choice{Tools: []string{"get_state"}}, []string{"get_state", stateTemplate}, "execute_plan", "--tools"},
		{tools.Choice{Toolsets: []string{"minimal"}, Exclude: []string{"execute_plan", "get_execution_status"}}, slices.DeleteFunc(slices.Clone(tools.Minimal),
			func(name string) bool { return name == "execute_plan" || name == "get_execution_status" }), "execute_plan", "--exclude-tools"},
		{tools.Choice{Toolsets: []string{"minimal"}}, append(slices.Clone(tools.Minimal), "plan_from_goal", "debug_execution", referenceURI), "workflow_greet", "--toolsets"},
		{tools.Choice{Toolsets: []string{"state", "workflow"}, ReadOnly: true}, []string{
			"get_state", "list_states", "get_node_output", "get_workflow_status", "list_workflows", "workflow_greet", stateTemplate,
		}, "set_state", "--read-only"},
	} {
		t.Run(fmt.Sprint(tt.choice), func(t *testing.T) {
			s, publish := publishedBy(t, Config{Methods: tools.All(), Choice: tt.choice, Prompts: tools.Prompts()})
			publish("greet", "hello")
			c, _, _ := stdioClient(t, s)
			got := offered(t, c)
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("offered %q, want %q", got, tt.want)
			}
			if _, err := c.CallTool(t.Context(), request(tt.without, `{}`, nil)); err == nil || !strings.Contains(err.Error(), "no tool") || !strings.Contains(err.Error(), tt.rule+")") {
				t.Errorf("%s: %v, want one that names %s", tt.without, err, tt.rule)
			}
			if slices.Contains(tt.want, "get_state") {
				if r, err := c.CallTool(t.Context(), request("get_state", `{"state_type":"a","state_key":"b"}`, nil)); err != nil || r.IsError {
					t.Errorf("get_state: %v, %v", r, err)
				}
			}
			if err := read(t, c, "runplane://state/a/b"); (err == nil) != slices.Contains(tt.want, stateTemplate) {
				t.Errorf("reading a state: %v", err)
			}
		})
	}
}

// Headers narrow what one client sees and may call, over every transport that has them; they never add a tool.
func TestHeadersNarrow(t *testing.T) {
	s, publish := publishedBy(t, Config{Methods: tools.All(), Choice: tools.Choice{Toolsets: []string{"agent"}, Exclude: []string{"delete_state"}}, Prompts: tools.Prompts()})
	publish("greet", "hello")
	url, _, _ := serveHTTP(t, s)
	for name, dial := range narrowedDials {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				headers map[string]string
				want    []string
				without map[string]string // by tool: what the error names
			}{
				{map[string]string{"X-MCP-Toolsets": "state,queue", "X-MCP-Readonly": "true"}, []string{"get_state", "list_states", "get_node_output", "get_queue_status", stateTemplate}, map[string]string{
					"set_state": "X-MCP-Readonly", "execute_plan": "X-MCP-Readonly", "get_session": "X-MCP-Toolsets", "pause_queue": "--toolsets", "delete_state": "--exclude-tools", "workflow_greet": "X-MCP-Toolsets",
				}},
				{map[string]string{"X-MCP-Tools": "get_session, pause_queue, delete_state"}, []string{"get_session"}, map[string]string{"pause_queue": "--toolsets", "get_state": "X-MCP-Tools"}},
				{map[string]string{"X-MCP-Toolsets": "workflow", "X-MCP-Exclude-Tools": "create_workflow,execute_workflow,delete_workflow,pause_schedule,resume_schedule"},
					[]string{"get_workflow_status", "get_node_output", "list_workflows", "workflow_greet"}, map[string]string{"create_workflow": "X-MCP-Exclude-Tools"}},
				{map[string]string{"X-MCP-Tools": "execute_plan", "X-MCP-Readonly": "false"}, []string{"execute_plan", "plan_from_goal", referenceURI}, map[string]string{"get_state": "X-MCP-Tools"}},
			} {
				c := dial(t, url, tt.headers)
				got := offered(t, c)
				slices.Sort(got)
				slices.Sort(tt.want)
				if !slices.Equal(got, tt.want) {
					t.Errorf("%v: offered %q, want %q", tt.headers, got, tt.want)
				}
				for tool, rule := range tt.without {
					if _, err := c.CallTool(t.Context(), request(tool, `{}`, nil)); err == nil || !strings.Contains(err.Error(), rule) {
						t.Errorf("%v: %s: %v, want an error that names %s", tt.headers, tool, err, rule)
					}
				}
				if slices.Contains(tt.want, "workflow_greet") {
					if r, err := c.CallTool(t.Context(), request("workflow_greet", `{"who":"Ada"}`, nil)); err != nil || r.IsError {
						t.Errorf("workflow_greet: %v, %v", r, err)
					}
				}
				for uri, of := range map[string]string{referenceURI: referenceURI, "runplane://state/a/b": stateTemplate} {
					if err := read(t, c, uri); (err == nil) != slices.Contains(tt.want, of) {
						t.Errorf("%v: reading %s: %v", tt.headers, uri, err)
					}
				}
				if can := c.GetServerCapabilities(); can.Tools.ListChanged != slices.Contains(tt.want, "workflow_greet") {
					t.Errorf("%v: the list of tools changes: %v", tt.headers, can.Tools.ListChanged)
				}
			}
		})
	}
}

func TestHeadersWithUnknownNamesAreRefused(t *testing.T) {
	s, _ := published(t)
	url, _, _ := serveHTTP(t, s)
	const message = `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`
	for _, tt := range []struct{ header, value, says string }{
		{"X-MCP-Toolsets", "stat", "state"}, {"X-MCP-Tools", "get_stat", "get_state"}, {"X-MCP-Exclude-Tools", "get_state,set_stat", "set_state"}, {"X-MCP-Readonly", "maybe", "true or false"},
	} {
		for _, target := range []string{"POST /mcp", "GET /mcp", "GET /sse"} {
			method, path, _ := strings.Cut(target, " ")
			r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(message))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "application/json, text/event-stream")
			r.Header.Set(tt.header, tt.value)
			w, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(w.Body)
			w.Body.Close()
			if w.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), tt.header+": ") || !strings.Contains(string(body), tt.says) {
				t.Errorf("%s with %s: %s: %d %s", target, tt.header, tt.value, w.StatusCode, body)
			}
			if method == "POST" && !strings.Contains(string(body), `"id":7`) {
				t.Errorf("the answer has another id: %s", body)
			}
		}
	}
}

// Who cannot see a workflow is not notified that it was published; who can, is.
func TestNotificationsFollowTheTools(t *testing.T) {
	s, publish := published(t)
	url, _, _ := serveHTTP(t, s)
	for name, dial := range narrowedDials {
		t.Run(name, func(t *testing.T) {
			connected := func(headers map[string]string) chan struct{} {
				changed, listening := make(chan struct{}, 100), make(chan struct{}, 100)
				c := dial(t, url, headers)
				c.OnNotification(func(n mcp.JSONRPCNotification) {
					switch n.Method {
					case mcp.MethodNotificationToolsListChanged:
						changed <- struct{}{}
					case mcp.MethodNotificationSubscriptionsAcknowledged:
						listening <- struct{}{}
					}
				})
				subscribe(t, c, listening)
				if _, err := c.ListTools(t.Context(), mcp.ListToolsRequest{}); err != nil {
					t.Fatal(err)
				}
				return changed
			}
			narrow := connected(map[string]string{"X-MCP-Toolsets": "state"})
			wide := connected(nil)
			publish("greet", name)
			await(t, wide, "a client that sees the workflow was not notified")
			s.RealmsChanged()
			await(t, wide, "a client was not notified of the realms")
			select {
			case <-narrow:
				t.Error("a client that does not see the workflow was notified")
			case <-time.After(50 * time.Millisecond):
			}
		})
	}
}

// The instructions name no tool that a client does not have.
func TestInstructionsFitTheTools(t *testing.T) {
	for _, choice := range []tools.Choice{
		{}, {Toolsets: []string{"minimal"}}, {Toolsets: []string{"state"}}, {ReadOnly: true}, {Exclude: []string{"execute_plan"}}, {Tools: []string{"execute_plan"}},
		{Toolsets: []string{"workflow"}}, {Toolsets: []string{"capability"}},
	} {
		s := New(Config{Methods: tools.All(), Choice: choice})
		text := s.instructions(t.Context())
		if len(text) > 1024 {
			t.Errorf("%+v: the instructions have %d bytes, want at most 1024", choice, len(text))
		}
		for _, m := range tools.All() {
			if choice.LeftOutBy(&m) != "" && strings.Contains(text, m.Name) {
				t.Errorf("%+v: the instructions name %s", choice, m.Name)
			}
		}
		if choice.LeftOutBy(&tools.Method{}) == "" && !strings.Contains(text, "4. ") {
			t.Errorf("the instructions of all tools: %s", text)
		}
	}
	headers := http.Header{}
	for rule := range maps.Keys(narrowingHeaders) {
		headers.Set(narrowingHeaders[rule], "")
	}
	if n, bad := narrow(headers); n != nil || bad != nil {
		t.Errorf("empty headers: %v, %v", n, bad)
	}
}

// Reading the headers of a request costs next to nothing.
func TestNarrowingIsCheap(t *testing.T) {
	plain, headed := http.Header{"Accept": {"application/json"}}, http.Header{}
	headed.Set("X-MCP-Toolsets", "state,session")
	headed.Set("X-MCP-Exclude-Tools", "set_state")
	for _, tt := range []struct {
		h    http.Header
		most float64
	}{{plain, 10}, {headed, 40}} {
		_, _ = narrow(tt.h)
		if n := testing.AllocsPerRun(100, func() { _, _ = narrow(tt.h) }); n > tt.most {
			t.Errorf("%v: %v allocations, want at most %v", tt.h, n, tt.most)
		}
	}
}
