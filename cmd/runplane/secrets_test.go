package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// leakyMarker has the test binary be a realm that repeats its environment, its arguments and those of its tools in every way that a realm can.
const leakyMarker = "RUNPLANE_TEST_LEAKY"

// spoken is the values in the forms in which realms repeat them.
func spoken(values []string) string {
	var out []string
	for _, v := range values {
		quoted, _ := json.Marshal(v)             // a string
		again, _ := json.Marshal(string(quoted)) // a string
		out = append(out, v, url.QueryEscape(v), string(quoted), string(again), base64.StdEncoding.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte("me:"+v)),
			fmt.Sprintf("%x", v), fmt.Sprintf("%X", v), html.EscapeString(v), url.PathEscape(v))
	}
	return strings.Join(out, " ")
}

// textsIn are the texts of a decoded JSON value.
func textsIn(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			all = append(all, textsIn(item)...)
		}
	case map[string]any:
		for _, item := range v {
			all = append(all, textsIn(item)...)
		}
	}
	return all
}

// leak is the answer of a leaky realm to a request; nil: it does not answer.
func leak(method, name string, words string) map[string]any {
	text := func(isError bool) map[string]any {
		return map[string]any{"result": map[string]any{"isError": isError, "content": []any{map[string]any{"type": "text", "text": "ok " + words}}}}
	}
	schema := map[string]any{"type": "object", "description": words, "properties": map[string]any{"a": map[string]any{"type": "string", "default": words}}}
	switch method {
	case "initialize":
		return map[string]any{"result": map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{"tools": map[string]any{}},
			"serverInfo": map[string]any{"name": words, "version": words}}}
	case "tools/list":
		var tools []any
		for _, tool := range []string{"text", "structured", "blocks", "error", "rpc"} {
			tools = append(tools, map[string]any{"name": tool, "title": words, "description": words, "inputSchema": schema, "annotations": map[string]any{"readOnlyHint": true, "title": words}})
		}
		return map[string]any{"result": map[string]any{"tools": tools}}
	case "tools/call":
		switch name {
		case "structured":
			return map[string]any{"result": map[string]any{"content": []any{}, "structuredContent": map[string]any{"v": words, words: []any{words}}}}
		case "blocks":
			block := map[string]any{"type": "text", "text": words}
			return map[string]any{"result": map[string]any{"content": []any{block, block, map[string]any{"type": "resource_link", "uri": "x:" + words, "name": words}}}}
		case "error":
			return text(true)
		case "rpc":
			return map[string]any{"error": map[string]any{"code": -32000, "message": words, "data": words}}
		}
		return text(false)
	}
	return map[string]any{"error": map[string]any{"code": -32601, "message": "no"}}
}

// TestLeakyRealm is that realm, on stdio.
func TestLeakyRealm(t *testing.T) {
	if os.Getenv(leakyMarker) == "" {
		t.Skip("runs as a realm of TestSecretsLeaveByNoExit")
	}
	var values []string
	for _, v := range os.Environ() {
		if _, value, _ := strings.Cut(v, "="); strings.Contains(value, "CANARY") {
			values = append(values, value)
		}
	}
	for _, arg := range os.Args {
		if strings.Contains(arg, "CANARY") {
			values = append(values, arg[strings.LastIndex(arg, "CANARY"):])
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct {
				Name      string
				Arguments any
				Meta      struct{ ProgressToken json.RawMessage } `json:"_meta"`
			}
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		values := append(values[:len(values):len(values)], textsIn(m.Params.Arguments)...)
		words := spoken(values)
		fmt.Fprintf(os.Stderr, "stderr says %s\n", words)
		for _, v := range values {
			fmt.Fprintf(os.Stderr, "cut %s\n%s cut\n", v[:len(v)*2/3], v[len(v)*2/3:])
		}
		fmt.Printf("stray line: %s\n", values)
		if token := m.Params.Meta.ProgressToken; token != nil {
			progress, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": "notifications/progress", // strings
				"params": map[string]any{"progressToken": token, "progress": 1, "message": words}})
			fmt.Println(string(progress))
		}
		if m.Params.Name == "text" && os.Getenv("DIES") != "" {
			os.Exit(3)
		}
		answer := leak(m.Method, m.Params.Name, words)
		answer["jsonrpc"], answer["id"] = "2.0", m.ID
		out, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(out))
	}
	os.Exit(0)
}

// leakyHTTP is such a realm over HTTP; name "text" fails with a status and the words as its body.
func leakyHTTP(t *testing.T, values []string) string {
	words := spoken(values)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name string }
		}
		switch err := json.NewDecoder(r.Body).Decode(&m); {
		case r.Method != http.MethodPost || err != nil:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case m.ID == nil:
			w.WriteHeader(http.StatusAccepted)
		case m.Params.Name == "text":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, words)
		default:
			answer := leak(m.Method, m.Params.Name, words)
			answer["jsonrpc"], answer["id"] = "2.0", m.ID
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer) // the test sees what is missing
		}
	}))
	t.Cleanup(ts.Close)
	return ts.URL
}

// TestSecretsLeaveByNoExit has a canary in each source of the configuration, realms that repeat them all in every answer, and looks for
// them in whatever leaves the program.
func TestSecretsLeaveByNoExit(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "vars.env")
	if err := os.WriteFile(file, []byte("FILE_KEY=CANARY-ENVFILE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	onHTTP := []string{"CANARY-BEARER", "CANARY-PASS", base64.StdEncoding.EncodeToString([]byte("shop:CANARY-PASS")), "CANARY-APIKEY", "CANARY-COOKIE", "CANARY-QUERY"}
	stdio := func(more map[string]string) map[string]any {
		env := map[string]string{leakyMarker: "1", "API_TOKEN": "CANARY-ENV", "NAMED": "${env:OUTSIDE_PASSWORD}", "DATABASE_URL": "postgres://me:CANARY-URLPASS@db/x", "LOG_LEVEL": "info"}
		for name, v := range more {
			env[name] = v
		}
		return map[string]any{"command": os.Args[0], "env": env, "envFile": file,
			"args": []string{"-test.run=^TestLeakyRealm$", "--", "--api-key", "CANARY-ARG", "--token=CANARY-FLAG", "--header", "Authorization: Bearer CANARY-HEADERARG"}}
	}
	config, err := json.Marshal(map[string]any{
		"mcpServers": map[string]any{
			"a": stdio(nil), "dies": stdio(map[string]string{"DIES": "1"}),
			"b": map[string]any{"type": "http", "url": leakyHTTP(t, onHTTP) + "/mcp?key=CANARY-QUERY", "headers": map[string]string{
				"Authorization": "Bearer CANARY-BEARER", "Proxy-Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("shop:CANARY-PASS")),
				"X-Api-Key": "key=CANARY-APIKEY", "Cookie": "sid=CANARY-COOKIE"}},
			"c": map[string]any{"command": "no-such-command", "args": []string{"CANARY-ARG"}, "cwd": "/nowhere/CANARY-ENV"},
		},
		"policies": map[string]any{"default": map[string]any{"breaker": map[string]any{"failures": 0}}},
		"store":    "file:" + filepath.Join(dir, "store"), "log": map[string]any{"level": "trace"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, string(config), "OUTSIDE_PASSWORD=CANARY-OUTSIDE")
	exits := map[string]string{}
	see := func(exit string, v json.RawMessage, err error) {
		exits[exit] = string(v)
		if err != nil {
			e, _ := json.Marshal(schemas.AsError(err)) // an error can be marshalled
			exits[exit] += string(e) + err.Error()
		}
	}
	ask := func(tool string, arguments map[string]any) json.RawMessage {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		v, err := s.tool(ctx, tool, arguments)
		see(fmt.Sprint(tool, arguments), v, err)
		return v
	}
	for _, realm := range []string{"a", "b", "c", "dies"} {
		for _, name := range []string{"text", "structured", "blocks", "error", "rpc"} {
			ask("invoke_capability", map[string]any{"realm": realm, "capability_name": name, "inputs": map[string]any{}})
		}
		ask("resolve_capability", map[string]any{"realm": realm, "capability_name": "structured"})
		ask("discover_capabilities", map[string]any{"realm": realm, "detail": "schema"})
	}
	var nodes []any
	for _, call := range []string{"a.text", "a.structured", "a.blocks", "a.error", "a.rpc", "b.text", "b.structured", "dies.text"} {
		nodes = append(nodes, map[string]any{"id": strings.ReplaceAll(call, ".", "_"), "capability": call, "on_error": "continue", "retry": map[string]any{"max_attempts": 1}})
	}
	for _, node := range []string{
		`{"id":"poll","capability":"a.structured","repeat":{"until":"${index == 1}","every":"1ms"}}`, `{"id":"pages","capability":"a.text","repeat":{"until":"${index == 1}","collect":"${output}"}}`,
		`{"id":"each","for_each":[1,2],"capability":"a.error","on_error":"continue"}`, `{"id":"why","set":"${nodes.each.errors} ${nodes.rounds.errors}","depends_on":["each","rounds"],"trigger_rule":"all_done"}`,
		`{"id":"rounds","capability":"a.rpc","retry":{"max_attempts":1},"repeat":{"until":"${index == 1}","every":"1ms"},"on_error":"continue","fallback":[{"capability":"a.error"},{"value":"none"}]}`,
		`{"id":"child","workflow":{"definition":{"nodes":[{"id":"x","capability":"a.blocks","repeat":{"until":"${index == 1}"}}],"output":"${nodes.x.content}"}}}`,
	} {
		nodes = append(nodes, json.RawMessage(node))
	}
	plan := map[string]any{"plan": "v1", "nodes": nodes}
	var e schemas.Execution
	if err := json.Unmarshal(ask("execute_plan", map[string]any{"execution_plan": plan, "wait_seconds": 25}), &e); err != nil || e.ExecutionID == "" {
		t.Fatalf("no execution: %v, %q", err, exits)
	}
	id := map[string]any{"execution_id": e.ExecutionID}
	soon(t, "the execution ends", func() bool { return s.status(t, e.ExecutionID).Status.Terminal() })
	for _, tool := range []string{"get_execution_status", "get_execution_events", "get_execution_metrics", "check_health", "discover_capabilities", "list_executions"} {
		arguments := map[string]any{}
		if strings.HasPrefix(tool, "get_execution") {
			arguments = id
		}
		ask(tool, arguments)
	}
	for _, node := range []string{"a_structured", "poll", "pages", "each", "why", "rounds", "child"} {
		ask("get_node_output", map[string]any{"execution_id": e.ExecutionID, "node_id": node})
	}
	if res, err := http.Get(s.url + "/readyz"); err == nil { //nolint:noctx // of our own server
		body, _ := lastMessage(res) // an empty one is seen below
		exits["readyz"] = string(body)
		res.Body.Close()
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	exits["log"] = s.log.String()
	stored, err := filepath.Glob(filepath.Join(dir, "store", "*"))
	if err != nil || len(stored) == 0 {
		t.Fatal("no store", err)
	}
	for _, path := range stored {
		if b, err := os.ReadFile(path); err == nil {
			exits["store "+filepath.Base(path)] = string(b)
		}
	}
	doctor := exec.CommandContext(t.Context(), filepath.Join(bin, "runplane"), "doctor", "--log-level", "trace")
	doctor.Dir, doctor.Env = s.dir, append(os.Environ(), "OUTSIDE_PASSWORD=CANARY-OUTSIDE", "HOME="+s.dir)
	out, err := doctor.CombinedOutput()
	if err == nil {
		t.Error("doctor finds nothing wrong")
	}
	exits["doctor"] = string(out)

	secrets := append([]string{"CANARY-ENV", "CANARY-ENVFILE", "CANARY-OUTSIDE", "CANARY-URLPASS", "CANARY-ARG", "CANARY-FLAG", "CANARY-HEADERARG"}, onHTTP...)
	marked := 0
	for exit, text := range exits {
		marked += strings.Count(text, "«redacted»")
		for _, secret := range secrets {
			for _, form := range append(strings.Fields(spoken([]string{secret})), secret[:len(secret)*2/3]) {
				if form = strings.Trim(form, `"`); len(form) >= 8 && strings.Contains(text, form) && form != "CANARY-" {
					at := strings.Index(text, form)
					t.Errorf("%s has %q: …%s…", exit, form, text[max(0, at-80):min(len(text), at+len(form)+40)])
					break
				}
			}
		}
	}
	if marked < 100 {
		t.Errorf("only %d secrets were marked in %d exits: the realms did not repeat them", marked, len(exits))
	}
	if text := exits["invoke_capability"+fmt.Sprint(map[string]any{"realm": "a", "capability_name": "text", "inputs": map[string]any{}})]; !strings.Contains(text, "ok ") {
		t.Errorf("the rest of an answer is gone: %q", text)
	}
}
