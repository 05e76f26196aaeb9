package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/tools"
)

func TestControlsAreTools(t *testing.T) {
	methods := tools.For(true)
	for name, accepts := range controls {
		i := slices.IndexFunc(methods, func(m tools.Method) bool { return m.Name == name })
		if i < 0 {
			t.Errorf("there is no tool %s", name)
			continue
		}
		var schema struct{ Properties map[string]any }
		if err := json.Unmarshal(methods[i].Input, &schema); err != nil {
			t.Fatal(err)
		}
		if _, waits := schema.Properties["wait_seconds"]; waits != (accepts != nil) {
			t.Errorf("%s takes wait_seconds: %v; a call that waits would occupy a reserved place", name, waits)
		}
	}
}

func TestIsControl(t *testing.T) {
	call := func(name, arguments string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, name, arguments)
	}
	s := New(Config{})
	for message, want := range map[string]bool{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`:                                         true,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`:    true,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:                           true,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`:                                   false,
		`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}`:                         false,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"check_health"}}`:  true,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["cancel_execution"]}`:     false,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`:                                   false,
		call("cancel_execution", `{"execution_id":"x"}`):                                   true,
		call("suspend_execution", `{"execution_id":"x"}`):                                  true,
		call("check_health", `{}`):                                                         true,
		call("get_execution_status", `{"execution_id":"x"}`):                               true,
		call("get_execution_status", `{"execution_id":"x","wait_seconds":0}`):              true,
		call("get_execution_status", `{"execution_id":"x","wait_seconds":20}`):             false,
		call("get_execution_status", `{"execution_id":"x","WAIT_seconds":20}`):             false,
		call("get_execution_status", `{"execution_id":"x","wait_seconds":"20"}`):           false,
		call("execute_plan", `{}`):                                                         false,
		call("cancel_execution", `{"execution_id":"`+strings.Repeat("x", maxControl)+`"}`): false,
	} {
		h, bad := s.parseEnvelope([]byte(message))
		if got := bad == nil && isControl(h); got != want {
			t.Errorf("%.100s: got %v", message, got)
		}
	}
}

// flood is a client that has every place of its own taken by calls that wait, on a transport.
type flood struct {
	name string
	send func(message string)
	next func() received
}

func floods(t *testing.T, s *Server) []flood {
	url, _, _ := serveHTTP(t, s)
	stdio := dial(t.Context(), t, s)
	events, address := sseStream(t, url)
	lines := make(chan []byte, 4*maxInFlight)
	go func() {
		defer close(lines)
		for {
			line, err := stdio.out.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	var none string
	return []flood{
		{"stdio", func(m string) { stdio.send("%s", m) }, func() received { return parse(t, <-lines) }},
		{"SSE", func(m string) {
			if status, _, _ := post(t, address, &none, both, m); status != http.StatusAccepted {
				t.Fatalf("posting gives %d", status)
			}
		}, func() received { return parse(t, []byte(<-events)) }},
	}
}

// A client with as many calls and requests in flight as it may have can still ping, cancel, and look after its executions.
func TestControlsHavePlacesOfTheirOwn(t *testing.T) {
	w := newWorld()
	control := func(name string) tools.Method {
		return method(name, tools.Reads, func(context.Context, tools.Request) (any, error) { return map[string]any{}, nil })
	}
	for _, client := range floods(t, New(Config{Methods: append(w.methods(), control("cancel_execution"), control("check_health"))})) {
		t.Run(client.name, func(t *testing.T) {
			call := func(id int, tool string) string {
				return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q}}`, id, tool)
			}
			for id := range maxInFlight {
				client.send(call(id, "slow"))
			}
			for range maxCalls {
				<-w.started
			}
			client.send(call(5000, "slow"))
			if r := client.next(); string(r.ID) != "5000" || r.Error == nil {
				t.Fatalf("one call over the limit: %+v", r)
			}
			for i := range 100 {
				client.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, 6000+i))
				if r := client.next(); string(r.ID) != fmt.Sprint(6000+i) || r.Error != nil {
					t.Fatalf("ping %d: %+v", i, r)
				}
			}
			for i, tool := range slices.Repeat([]string{"cancel_execution", "check_health"}, 50) {
				client.send(call(7000+i, tool))
				if r := client.next(); string(r.ID) != fmt.Sprint(7000+i) || r.Result == nil || r.Result.IsError {
					t.Fatalf("%s: %+v", tool, r)
				}
			}
			client.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}`)
			<-w.started // a call that waited for the place of another one
			for range maxInFlight - 1 {
				w.release <- struct{}{}
				if r := client.next(); r.Result == nil || r.Result.IsError {
					t.Fatalf("got %+v", r)
				}
			}
			for len(w.started) > 0 {
				<-w.started
			}
		})
	}
}
