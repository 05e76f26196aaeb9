package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
)

// watchResources subscribes a client to resources as in its era. The URIs of changed resources arrive on the channel.
func watchResources(t *testing.T, c *client.Client, uris ...string) (changed chan string, stop func()) {
	t.Helper()
	changed, acknowledged := make(chan string, 100), make(chan struct{}, 1)
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		switch n.Method {
		case mcp.MethodNotificationResourceUpdated:
			changed <- fmt.Sprint(n.Params.AdditionalFields["uri"])
		case mcp.MethodNotificationSubscriptionsAcknowledged:
			acknowledged <- struct{}{}
		}
	})
	if mcp.IsModernProtocol(c.ProtocolVersion()) {
		stop, err := c.ListenAsync(t.Context(), mcp.SubscriptionFilter{ResourceSubscriptions: uris}, nil)
		if err != nil {
			t.Fatal(err)
		}
		await(t, acknowledged, "the subscription was not acknowledged")
		return changed, stop
	}
	for _, uri := range uris {
		if err := subscribeTo(t, c, uri); err != nil {
			t.Fatal(err)
		}
	}
	return changed, func() {
		for _, uri := range uris {
			if err := unsubscribeFrom(t, c, uri); err != nil {
				t.Error(err)
			}
		}
	}
}

// count is how many subscriptions there are.
func (s *subscriptions) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.clients {
		n += len(of)
	}
	return n
}

func subscribeTo(t *testing.T, c *client.Client, uri string) error {
	t.Helper()
	var r mcp.SubscribeRequest
	r.Params.URI = uri
	return c.Subscribe(t.Context(), r) //nolint:staticcheck // the clients of that era do it
}

func unsubscribeFrom(t *testing.T, c *client.Client, uri string) error {
	t.Helper()
	var r mcp.UnsubscribeRequest
	r.Params.URI = uri
	return c.Unsubscribe(t.Context(), r) //nolint:staticcheck // the clients of that era do it
}

func wantChanged(t *testing.T, changed <-chan string, want string) {
	t.Helper()
	select {
	case got := <-changed:
		if got != want {
			t.Fatalf("%s has changed, want %s", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the client was not notified that %s has changed", want)
	}
}

func readState(t *testing.T, c *client.Client, uri string) (s schemas.State) {
	t.Helper()
	var r mcp.ReadResourceRequest
	r.Params.URI = uri
	got, err := c.ReadResource(t.Context(), r)
	if err != nil || len(got.Contents) != 1 {
		t.Fatalf("read %s: %+v, %v", uri, got, err)
	}
	text, ok := got.Contents[0].(mcp.TextResourceContents)
	if !ok || text.MIMEType != jsonType || text.URI != uri {
		t.Fatalf("read %s: %+v", uri, got.Contents[0])
	}
	if err := json.Unmarshal([]byte(text.Text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStatesAreResources: over every transport and era a client finds the template, reads a state, is notified that it was written,
// deleted or has expired, and is not notified after it has unsubscribed.
func TestStatesAreResources(t *testing.T) {
	for name, dial := range dials {
		t.Run(name, func(t *testing.T) {
			s, _ := published(t)
			rt := s.config.Runtime
			set := func(key, data string, ttl time.Duration) {
				t.Helper()
				w := state.Write{Ref: state.Ref{Type: "order", Key: key}, Data: schemas.Value(data), TTL: ttl}
				if _, err := rt.States.Set(t.Context(), w); err != nil {
					t.Fatal(err)
				}
			}
			c := dial(t, s)
			templates, err := c.ListResourceTemplates(t.Context(), mcp.ListResourceTemplatesRequest{})
			if err != nil || len(templates.ResourceTemplates) != 1 || templates.ResourceTemplates[0].URITemplate.Raw() != "runplane://state/{type}/{key}" {
				t.Fatalf("templates %+v, %v", templates, err)
			}
			const a, odd = "runplane://state/order/A-17", "runplane://state/order/x%2Fy%20z"
			if got := readState(t, c, a); got.Found || got.StateKey != "A-17" {
				t.Errorf("nothing is there: %+v", got)
			}
			changed, stop := watchResources(t, c, a, odd)
			set("A-17", `{"paid":true}`, 0)
			wantChanged(t, changed, a)
			if got := readState(t, c, a); !got.Found || string(got.StateData) != `{"paid":true}` || got.Version != 1 {
				t.Errorf("read %+v", got)
			}
			set("x/y z", `1`, 0)
			wantChanged(t, changed, odd)
			if got := readState(t, c, odd); got.StateKey != "x/y z" {
				t.Errorf("read %+v", got)
			}
			set("other", `1`, 0) // not subscribed to
			if _, err := rt.States.Delete(t.Context(), state.Ref{Type: "order", Key: "A-17"}, nil); err != nil {
				t.Fatal(err)
			}
			wantChanged(t, changed, a)
			set("A-17", `2`, time.Second)
			wantChanged(t, changed, a)
			wantChanged(t, changed, a) // it has expired
			if got := readState(t, c, a); got.Found {
				t.Errorf("it has expired: %+v", got)
			}
			stop()
			for deadline := time.Now().Add(patience); s.subscriptions.count() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the subscriptions are still there")
				}
			}
			set("A-17", `3`, 0)
			select {
			case uri := <-changed:
				t.Errorf("notified about %s after the end of the subscription", uri)
			case <-time.After(300 * time.Millisecond):
			}
		})
	}
}

// TestPlanReferenceIsAResource: a client lists the page of the plan language, and reads it with every function.
func TestPlanReferenceIsAResource(t *testing.T) {
	for name, dial := range dials {
		t.Run(name, func(t *testing.T) {
			s, _ := published(t)
			c := dial(t, s)
			list, err := c.ListResources(t.Context(), mcp.ListResourcesRequest{})
			if err != nil || len(list.Resources) != 1 || list.Resources[0].URI != referenceURI {
				t.Fatalf("got %+v, %v", list, err)
			}
			var read mcp.ReadResourceRequest
			read.Params.URI = referenceURI
			got, err := c.ReadResource(t.Context(), read)
			if err != nil || len(got.Contents) != 1 {
				t.Fatalf("got %+v, %v", got, err)
			}
			text := got.Contents[0].(mcp.TextResourceContents).Text
			for _, f := range expr.Functions() {
				if !strings.Contains(text, "`"+f.Form+"`") {
					t.Errorf("it lacks %s", f.Form)
				}
			}
			if !strings.HasPrefix(text, plan.Card) {
				t.Error("it does not begin with the plan language")
			}
		})
	}
}

// TestBadResources: an invalid URI gives an error that shows the template, and no subscription.
func TestBadResources(t *testing.T) {
	for name, dial := range dials {
		t.Run(name, func(t *testing.T) {
			s, _ := published(t)
			c := dial(t, s)
			for _, uri := range []string{"runplane://state/order", "runplane://state//A", "runplane://state/order/a/b", "runplane://other/order/a", "runplane://state/order/%ff", "runplane://state/%ed%a0%80/a", "file:///etc/passwd"} {
				var read mcp.ReadResourceRequest
				read.Params.URI = uri
				if _, err := c.ReadResource(t.Context(), read); err == nil {
					t.Errorf("%s was read", uri)
				}
				if mcp.IsModernProtocol(c.ProtocolVersion()) {
					continue
				}
				if err := subscribeTo(t, c, uri); err == nil || !strings.Contains(err.Error(), "runplane://state/{type}/{key}") {
					t.Errorf("subscribe to %s: %v", uri, err)
				}
			}
		})
	}
}

// TestSubscriptionsAreBounded: subscriptions beyond the limit are refused until another one ends.
func TestSubscriptionsAreBounded(t *testing.T) {
	for _, name := range []string{"stdio, initialized", "http", "sse"} {
		t.Run(name, func(t *testing.T) {
			s, _ := published(t)
			c := dials[name](t, s)
			uri := func(i int) string { return fmt.Sprintf("runplane://state/order/%d", i) }
			subscribe := func(i int) error { return subscribeTo(t, c, uri(i)) }
			for i := range maxSubscriptions {
				if err := subscribe(i); err != nil {
					t.Fatal(err)
				}
			}
			if err := subscribe(0); err != nil { // again
				t.Error(err)
			}
			if err := subscribe(maxSubscriptions); err == nil || !strings.Contains(err.Error(), "unsubscribe") {
				t.Errorf("one too many: %v", err)
			}
			if err := unsubscribeFrom(t, c, uri(7)); err != nil {
				t.Error(err)
			}
			if err := subscribe(maxSubscriptions); err != nil {
				t.Error(err)
			}
		})
	}
}
