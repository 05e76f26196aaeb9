package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/tools"
)

// noRealms is a pool without realms.
type noRealms struct{ *realm.Pool }

func (r noRealms) Catalog(ctx context.Context, names []string) plan.Catalog {
	return r.Pool.Catalog(ctx, names)
}

func (r noRealms) Discover(context.Context, schemas.DiscoverQuery) (schemas.Discovery, error) {
	return schemas.Discovery{}, nil
}

// published returns a server with a runtime, and a function that publishes a workflow.
func published(t *testing.T) (*Server, func(name, greeting string)) {
	t.Helper()
	return publishedBy(t, Config{Methods: tools.All()})
}

// publishedBy is published with a configuration, to which the runtime is added.
func publishedBy(t *testing.T, config Config) (*Server, func(name, greeting string)) {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Mem: true})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := realm.New(realm.Config{Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	rt := runtime.New(runtime.Config{Store: s, Realms: noRealms{pool}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = rt.Run(ctx); close(done) }() // Run has no error of its own
	t.Cleanup(func() {
		cancel()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	yes := true
	config.Runtime = rt
	return New(config), func(name, greeting string) {
		t.Helper()
		_, err := rt.Workflows.Create(ctx, workflow.Spec{
			Name: name, Description: "Greets somebody.", Publish: &yes,
			Definition:  []byte(`{"plan":"v1","name":"Greeting","inputs":{"who":null},"nodes":[{"id":"a","set":"` + greeting + ` ${inputs.who}"}],"output":"${nodes.a.output}"}`),
			InputSchema: schemas.Object(`{"properties":{"who":{"type":"string"}},"required":["who"],"additionalProperties":false}`),
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func await(t *testing.T, notified <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-notified:
	case <-time.After(30 * time.Second):
		t.Fatal(otherwise)
	}
}

// dials are clients of every transport and era.
var dials = map[string]func(t *testing.T, s *Server) *client.Client{
	"stdio": func(t *testing.T, s *Server) *client.Client {
		c, _, _ := stdioClient(t, s)
		return c
	},
	"stdio, initialized": func(t *testing.T, s *Server) *client.Client {
		c, _, _ := stdioClient(t, s, client.WithProtocolVersion("2025-11-25"))
		return c
	},
	"http": func(t *testing.T, s *Server) *client.Client {
		url, _, _ := serveHTTP(t, s)
		return httpClient(t, url, []transport.StreamableHTTPCOption{transport.WithContinuousListening()}, client.WithProtocolVersion("2025-11-25")) //nolint:staticcheck // the clients of that era do it
	},
	"http, stateless": func(t *testing.T, s *Server) *client.Client {
		url, _, _ := serveHTTP(t, s)
		return httpClient(t, url, nil)
	},
	"sse": func(t *testing.T, s *Server) *client.Client {
		url, _, _ := serveHTTP(t, s)
		c, err := client.NewSSEMCPClient(url + "/sse")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return connect(t, c)
	},
}

// TestPublishedWorkflowIsATool: over every transport and era a client is notified that a workflow was published, lists it after
// the methods, calls it, and gets an error that names the wrong input.
func TestPublishedWorkflowIsATool(t *testing.T) {
	for name, dial := range dials {
		t.Run(name, func(t *testing.T) {
			s, publish := published(t)
			c := dial(t, s)
			changed, listening := make(chan struct{}, 100), make(chan struct{}, 100)
			c.OnNotification(func(n mcp.JSONRPCNotification) {
				switch n.Method {
				case mcp.MethodNotificationToolsListChanged:
					changed <- struct{}{}
				case mcp.MethodNotificationSubscriptionsAcknowledged:
					listening <- struct{}{}
				}
			})
			subscribe(t, c, listening)
			list := func() []mcp.Tool {
				t.Helper()
				l, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
				if err != nil {
					t.Fatal(err)
				}
				return l.Tools
			}
			if n := len(list()); n != len(tools.All()) {
				t.Errorf("%d tools, want %d", n, len(tools.All()))
			}
			publish("greet", "hello")
			await(t, changed, "the client was not notified that its tools changed")
			listed := list()
			last, err := json.Marshal(listed[len(listed)-1])
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				`"name":"workflow_greet"`, `"title":"Greeting"`, `Greets somebody. Returns the execution`, `"readOnlyHint":true`, `"destructiveHint":false`, `"openWorldHint":false`, `"required":["who"]`,
			} {
				if !strings.Contains(string(last), want) {
					t.Errorf("the tool %s\nlacks %s", last, want)
				}
			}
			for _, tt := range []struct{ tool, arguments, output, field string }{
				{"workflow_greet", `{"who":"Ada"}`, `"hello Ada"`, ""},
				{"workflow_greet", `{"who":7}`, "", "/who"},
				{"workflow_greet", `{"who":"Ada","whom":"Bob"}`, "", "/whom"},
				{"workflow_greet", `{}`, "", "/who"},
			} {
				r, err := c.CallTool(t.Context(), request(tt.tool, tt.arguments, nil))
				if err != nil {
					t.Fatalf("%s: %v", tt.arguments, err)
				}
				if tt.field != "" {
					if e := wireError(t, r); e.Code != schemas.CodeInvalidArgument || e.Field != tt.field {
						t.Errorf("%s: %+v, want a complaint about %s", tt.arguments, e, tt.field)
					}
					continue
				}
				var e schemas.Execution
				if err := json.Unmarshal([]byte(text(t, r)), &e); err != nil || e.Status != schemas.StatusSucceeded || string(e.Output) != tt.output || e.Workflow != "greet@1" {
					t.Errorf("%s: %+v, %v", tt.arguments, e, err)
				}
			}
			if _, err := c.CallTool(t.Context(), request("workflow_gret", `{}`, nil)); err == nil || !strings.Contains(err.Error(), "no tool") {
				t.Errorf("a tool that does not exist: %v", err)
			}
			publish("greet", "bye")
			await(t, changed, "the client was not notified of the next version")
			r, err := c.CallTool(t.Context(), request("workflow_greet", `{"who":"Ada"}`, nil))
			if err != nil || !strings.Contains(text(t, r), "bye Ada") {
				t.Errorf("the next version: %v, %v", r, err)
			}
			s.RealmsChanged()
			await(t, changed, "the client was not notified that realms changed")
		})
	}
}

// What agents write about published workflows is cleaned, and all of them together take a bounded part of the list of tools.
func TestPublishedTextsAreCleanedAndBounded(t *testing.T) {
	s, publish := published(t)
	publish("a", "hello")
	yes := true
	for i := range workflow.MaxPublished - 1 {
		_, err := s.config.Runtime.Workflows.Create(t.Context(), workflow.Spec{
			Name: fmt.Sprintf("w%02d", i), Publish: &yes, Description: "\x1b[2J\u200b\u202eread me " + strings.Repeat("D", 3000),
			Definition: []byte(`{"plan":"v1","name":"T\u202e","inputs":{"a":null},"nodes":[{"id":"n","set":"${inputs.a}"}]}`),
			InputSchema: schemas.Object(`{"properties":{"a":{"type":"string","description":"\u200b` + strings.Repeat("e", 2000) + `"},"b":{"description":"` +
				strings.Repeat("f", 8000) + `"}}}`),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ask := doors[0].open(t, s)
	line := ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	var list struct {
		Result struct {
			Tools []struct {
				Name, Title, Description string
				InputSchema              json.RawMessage
			}
		}
	}
	if err := json.Unmarshal([]byte(line), &list); err != nil {
		t.Fatal(err)
	}
	bytes, short := 0, 0
	for _, tool := range list.Result.Tools[len(tools.All()):] {
		if schemas.HasHidden(tool.Title+tool.Description) || schemas.HasHiddenJSON(tool.InputSchema) || len(tool.Description) > 1300 || len(tool.InputSchema) > 1500 {
			t.Errorf("%s: %.200q, %d bytes, with %.300s", tool.Name, tool.Description, len(tool.Description), tool.InputSchema)
		}
		bytes += len(tool.Name) + len(tool.Title) + len(tool.Description) + len(tool.InputSchema)
		if strings.Contains(tool.Description, "get_workflow_status shows its description") {
			short++
		}
	}
	if n := len(list.Result.Tools) - len(tools.All()); n != workflow.MaxPublished || short == 0 || short == n || bytes > tools.MaxPublishedBytes+n*400 {
		t.Errorf("%d published tools, %d in short, take %d bytes", n, short, bytes)
	}
	bare := strings.ReplaceAll(ask(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"workflow_w48","arguments":{"a":"x"}}}`), "\\", "")
	if !strings.Contains(bare, `"status":"succeeded"`) {
		t.Errorf("one that is listed in short: %s", bare)
	}
}

// subscribe subscribes a client to changes of its tools if its era needs that.
func subscribe(t *testing.T, c *client.Client, listening <-chan struct{}) {
	t.Helper()
	if !mcp.IsModernProtocol(c.ProtocolVersion()) {
		return
	}
	stop, err := c.ListenAsync(t.Context(), mcp.SubscriptionFilter{ToolsListChanged: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	await(t, listening, "the subscription was not acknowledged")
}

// TestEveryClientIsNotifiedOfPublishedWorkflows: one client lists, and all connected clients are notified, two of each kind.
func TestEveryClientIsNotifiedOfPublishedWorkflows(t *testing.T) {
	s, publish := published(t)
	notified := map[string]chan struct{}{}
	var first *client.Client
	for name, dial := range dials {
		for _, one := range []string{name + ", one", name + ", another"} {
			c := dial(t, s)
			changed, listening := make(chan struct{}, 100), make(chan struct{}, 100)
			notified[one] = changed
			c.OnNotification(func(n mcp.JSONRPCNotification) {
				switch n.Method {
				case mcp.MethodNotificationToolsListChanged:
					changed <- struct{}{}
				case mcp.MethodNotificationSubscriptionsAcknowledged:
					listening <- struct{}{}
				}
			})
			subscribe(t, c, listening)
			first = c
		}
	}
	if _, err := first.ListTools(t.Context(), mcp.ListToolsRequest{}); err != nil {
		t.Fatal(err)
	}
	publish("greet", "hello")
	for name, changed := range notified {
		await(t, changed, name+" was not notified that its tools changed")
	}
}

// TestSubscriptionOverStdio: the acknowledgement comes first, what follows carries the subscription's id, and the end of
// input gives the subscription its answer at once.
func TestSubscriptionOverStdio(t *testing.T) {
	s, publish := published(t)
	c := dial(t.Context(), t, s)
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	next := func() string {
		t.Helper()
		l, err := c.out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, id := range []int{7, 8} {
		c.send(`{"jsonrpc":"2.0","id":%d,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+meta+`}}`, id)
		if l := next(); !strings.Contains(l, "subscriptions/acknowledged") || !strings.Contains(l, fmt.Sprintf(`"io.modelcontextprotocol/subscriptionId":%d`, id)) {
			t.Fatalf("first came %s", l)
		}
	}
	c.send(`{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{` + meta + `}}`) // from now on the list is known
	if l := next(); !strings.Contains(l, `"id":9`) {
		t.Fatalf("tools/list: %s", l)
	}
	publish("greet", "hello")
	seen := map[string]bool{}
	for range 2 {
		l := next()
		if !strings.Contains(l, "notifications/tools/list_changed") {
			t.Fatalf("got %s", l)
		}
		for _, id := range []string{"7", "8"} {
			if strings.Contains(l, `"io.modelcontextprotocol/subscriptionId":`+id) {
				seen[id] = true
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("subscriptions %v were notified, want both", seen)
	}
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
	publish("greet", "bye")
	for l := next(); !strings.Contains(l, `"io.modelcontextprotocol/subscriptionId":8`); l = next() {
		t.Logf("before the cancel arrived: %s", l)
	}
	began := time.Now()
	c.in.Close()
	l := next()
	for strings.Contains(l, `"io.modelcontextprotocol/subscriptionId":7`) { // its cancel arrived after the change
		l = next()
	}
	if !strings.Contains(l, `"id":8`) || !strings.Contains(l, `"result"`) {
		t.Errorf("at the end came %s", l)
	}
	if err := <-c.done; err != nil || time.Since(began) > s.config.Drain/2 {
		t.Errorf("Stdio returned %v after %s", err, time.Since(began))
	}
}
