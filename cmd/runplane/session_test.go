package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// agent is a client of a served program.
type agent struct {
	*client.Client
	t *testing.T
}

func newAgent(t *testing.T, url string) *agent {
	t.Helper()
	c, err := client.NewStreamableHttpClient(url + "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	init := mcp.InitializeRequest{}
	init.Params.ProtocolVersion = "2025-11-25"
	init.Params.ClientInfo = mcp.Implementation{Name: "agent", Version: "1"}
	if _, err := c.Initialize(t.Context(), init); err != nil {
		t.Fatal(err)
	}
	return &agent{c, t}
}

// call calls a tool and reads its result into out, or returns its error.
func (a *agent) call(out any, tool, arguments string, args ...any) *schemas.Error {
	r := mcp.CallToolRequest{}
	r.Params.Name = tool
	r.Params.Arguments = json.RawMessage(fmt.Sprintf(arguments, args...))
	answer, err := a.CallTool(a.t.Context(), r)
	if err != nil {
		a.t.Errorf("%s: %v", tool, err)
		return schemas.Errorf(schemas.CodeInternal, "%s", err)
	}
	text := answer.Content[0].(mcp.TextContent).Text
	if answer.IsError {
		var failed struct{ Error *schemas.Error }
		if err := json.Unmarshal([]byte(text), &failed); err != nil {
			a.t.Errorf("%s: %s: %v", tool, text, err)
		}
		return failed.Error
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			a.t.Errorf("%s: %s: %v", tool, text, err)
		}
	}
	return nil
}

// TestTwoAgentsCoordinateThroughState: two agents claim tasks by the version of a state and do each with a plan of their session.
// Every task is done once; the program is restarted in between, and nothing is lost.
func TestTwoAgentsCoordinateThroughState(t *testing.T) {
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger")
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf(
		"mcpServers: {shop: {command: %q, args: [-ledger, %q]}}\nstore: \"file:store\"\n", filepath.Join(bin, "shop"), ledger))
	url, stop := serveHTTP(t, dir)
	chief := newAgent(t, url)
	const tasks = 12
	for i := range tasks {
		if err := chief.call(nil, "set_state", `{"state_type":"task","state_key":"t%02d","state_data":{"order":"A-%d","status":"open"},"expected_version":0}`, i, i+1); err != nil {
			t.Fatal(err)
		}
	}
	for _, half := range []int{tasks / 2, tasks} {
		var wg sync.WaitGroup
		for _, name := range []string{"ada", "bob"} {
			wg.Go(func() { work(t, newAgent(t, url), name, half) })
		}
		wg.Wait()
		stop()
		url, stop = serveHTTP(t, dir)
	}
	chief = newAgent(t, url)
	var board schemas.StateList
	if err := chief.call(&board, "list_states", `{"state_type":"task","filters":{"status":"done"},"limit":100}`); err != nil || len(board.States) != tasks {
		t.Errorf("%d tasks are done, want %d: %v", len(board.States), tasks, err)
	}
	if n := len(lines(t, ledger)); n != tasks {
		t.Errorf("%d refunds were paid, want %d", n, tasks)
	}
	var sessions schemas.SessionList
	if err := chief.call(&sessions, "list_sessions", `{"agent_id":"ada"}`); err != nil || len(sessions.Sessions) != 2 || sessions.Sessions[0].Status != schemas.SessionClosed {
		t.Errorf("sessions of ada: %+v, %v", sessions, err)
	}
}

// TestAPlanWaitsForWhatAnotherAgentSets: a call that waits for a plan returns when another agent has set what the plan waits for.
func TestAPlanWaitsForWhatAnotherAgentSets(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "runplane.yaml"), "store: \"mem:\"\n")
	url, _ := serveHTTP(t, dir)
	ada, bob := newAgent(t, url), newAgent(t, url)
	var first schemas.Execution
	const source = `{"plan":"v1","nodes":[{"id":"w","wait_for":{"state":{"type":"job","key":"j1"},"until":"${state.data.done}"}}],"output":"${nodes.w.output.data.by}"}`
	if err := ada.call(&first, "execute_plan", `{"execution_plan":%s,"wait_seconds":0}`, source); err != nil {
		t.Fatal(err)
	}
	ended := make(chan schemas.Execution, 1)
	go func() {
		e := first
		for !e.Status.Terminal() {
			if err := ada.call(&e, "get_execution_status", `{"execution_id":%q,"wait_seconds":20}`, first.ExecutionID); err != nil {
				t.Error(err)
				break
			}
		}
		ended <- e
	}()
	for _, data := range []string{`{"done":false}`, `{"done":true,"by":"bob"}`} {
		if err := bob.call(nil, "set_state", `{"state_type":"job","state_key":"j1","state_data":%s}`, data); err != nil {
			t.Fatal(err)
		}
	}
	if e := <-ended; e.Status != schemas.StatusSucceeded || string(e.Output) != `"bob"` {
		t.Errorf("%s, output %s, %+v", e.Status, e.Output, e.Error)
	}
}

// work takes open tasks until n are no longer open.
func work(t *testing.T, a *agent, name string, until int) {
	var session schemas.Session
	if err := a.call(&session, "create_session", `{"agent_id":%q,"data":{"cents":7}}`, name); err != nil {
		t.Error(err)
		return
	}
	for {
		var all, open schemas.StateList
		if err := a.call(&all, "list_states", `{"state_type":"task","limit":100}`); err != nil {
			t.Error(err)
			return
		}
		for _, s := range all.States {
			if strings.Contains(string(s.StateData), `"open"`) {
				open.States = append(open.States, s)
			}
		}
		if len(all.States)-len(open.States) >= until {
			break
		}
		task := open.States[0]
		var data struct{ Order string }
		if err := json.Unmarshal(task.StateData, &data); err != nil {
			t.Error(err)
			return
		}
		var mine schemas.StateWritten
		err := a.call(&mine, "set_state", `{"state_type":"task","state_key":%q,"state_data":{"order":%q,"status":"taken","by":%q},"expected_version":%d}`, task.StateKey, data.Order, name, task.Version)
		if err != nil && err.Code == schemas.CodeConflict {
			continue // the other was faster
		}
		var done schemas.Execution
		if err == nil {
			err = a.call(&done, "execute_plan", `{"session_id":%q,"execution_plan":{"plan":"v1","nodes":[
				{"id":"pay","capability":"shop.refund","inputs":{"order":%q,"cents":"${session.cents}"}}]}}`, session.SessionID, data.Order)
		}
		if err == nil && done.Status == schemas.StatusSucceeded {
			err = a.call(nil, "set_state", `{"state_type":"task","state_key":%q,"state_data":{"order":%q,"status":"done","by":%q},"expected_version":%d}`, task.StateKey, data.Order, name, mine.Version)
		}
		if err != nil || done.Status != schemas.StatusSucceeded {
			t.Errorf("%s: %+v, %v", task.StateKey, done, err)
			return
		}
	}
	if err := a.call(nil, "delete_session", `{"session_id":%q}`, session.SessionID); err != nil {
		t.Error(err)
	}
}

// TestABudgetStopsARunawaySession: the quota of calls of one session does not affect another one.
func TestABudgetStopsARunawaySession(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf(
		"mcpServers: {shop: {command: %q}}\nstore: \"file:store\"\nlimits: {session: {calls: 5, per: 24h}}\n", filepath.Join(bin, "shop")))
	url, _ := serveHTTP(t, dir)
	a := newAgent(t, url)
	runaway, other := schemas.Session{}, schemas.Session{}
	for _, s := range []*schemas.Session{&runaway, &other} {
		if err := a.call(s, "create_session", `{}`); err != nil {
			t.Fatal(err)
		}
	}
	const call = `{"realm":"shop","capability_name":"get_order","inputs":{"id":"A-1"},"session_id":%q}`
	made := 0
	for range 20 {
		err := a.call(nil, "invoke_capability", call, runaway.SessionID)
		if err == nil {
			made++
		} else if err.Code != schemas.CodeQuotaExceeded {
			t.Fatal(err)
		}
	}
	if made != 5 {
		t.Errorf("%d calls were made, want 5", made)
	}
	if err := a.call(nil, "invoke_capability", call, other.SessionID); err != nil {
		t.Errorf("another session: %v", err)
	}
}
