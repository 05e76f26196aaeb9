//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/runplane/runplane/schemas"
)

// hostileRealms are realms of a hostile soak beside those that fail in ordinary ways; the verbs are the mark and a URL.
const hostileRealms = `
  hostile: {command: liar, args: [-hostile], env: {MARK: %[1]s}}
  hostileweb: {url: %[2]s/mcp}
`

// hostileBounds limit the level after a hostile load relative to the one before.
var hostileBounds = []bound{
	{"memory", func(l level) int { return l.memory }, 0, 50 << 10},
	{"goroutines", func(l level) int { return l.goroutines }, 0, 20},
	{"files", func(l level) int { return l.files }, 0, 10},
	{"processes", func(l level) int { return l.processes }, 0, 0},
	{"executions", func(l level) int { return l.executions }, 0, 0},
}

// ordinaryWork is how long ordinary calls take while everything else happens: one at a time, without a pause.
type ordinaryWork struct{ took []time.Duration }

func (o *ordinaryWork) run(w *soakWorld, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(30 * time.Millisecond):
		}
		began := time.Now()
		var problem string
		switch n % 4 {
		case 0:
			e := schemas.Execution{}
			err := w.ask("execute_plan", args{"execution_plan": object{"plan": "v1", "nodes": []object{planNode("a", "capability", "shop.echo", "inputs", object{"msg": "x"})}}, "wait_seconds": 20}, &e)
			if err != nil || e.Status != schemas.StatusSucceeded {
				problem = fmt.Sprint(err, e.Status, e.Error)
			}
		case 1:
			problem = w.invoke("shop", "get_order", args{"id": anOrder(n)}, `"total_cents"`)
		case 2:
			if err := w.ask("set_state", args{"state_type": "ordinary", "state_key": "k", "state_data": object{"n": n}}, nil); err != nil {
				problem = err.Error()
			}
		default:
			problem = w.invoke("shop", "echo", args{"msg": "x"}, `"x"`)
		}
		if problem != "" {
			w.wrong("ordinary work: %s", problem)
		}
		o.took = append(o.took, time.Since(began))
	}
}

// percentile is a percentile of the times.
func (o *ordinaryWork) percentile(p int) time.Duration {
	if len(o.took) == 0 {
		return 0
	}
	all := slices.Sorted(slices.Values(o.took))
	return all[min(len(all)*p/100, len(all)-1)]
}

// submitHostile submits hostile plans until stop is closed and cancels what does not end.
func (w *soakWorld) submitHostile(seed uint64, worker int, stop <-chan struct{}) {
	for n := worker; ; n += 2 {
		select {
		case <-stop:
			return
		default:
		}
		p := makePlan(seed, n)
		for _, of := range p.library {
			_ = w.ask("create_workflow", args{"name": of.Name, "definition": of.Definition}, nil) // a refusal is right
		}
		if p.line != "" {
			w.post([]byte(fmt.Sprintf(p.line, "1")), nil)
			continue
		}
		var e schemas.Execution
		err := w.ask("execute_plan", args{"execution_plan": p.source, "wait_seconds": 1}, &e)
		for began := time.Now(); err == nil && !e.Status.Terminal(); {
			_ = w.ask("cancel_execution", args{"execution_id": e.ExecutionID, "grace_seconds": 0}, nil) // the status shows it
			err = w.ask("get_execution_status", args{"execution_id": e.ExecutionID, "wait_seconds": 2}, &e)
			if err == nil && time.Since(began) > soakPatience {
				w.wrong("hostile plan %d of seed %d is %s after it was cancelled: %s", n, seed, e.Status, p.brief())
				break
			}
		}
		w.count(w.called, "hostile: "+p.kind)
	}
}

// post sends a body as it is; whatever answers must be text of JSON in UTF-8, or no text of JSON at all.
func (w *soakWorld) post(body []byte, header map[string]string) int {
	ctx, cancel := context.WithTimeout(context.Background(), soakPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.s.url+"/mcp", bytes.NewReader(body))
	if err != nil {
		w.wrong("post: %v", err)
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil { // it refused before it read all
		return 0
	}
	defer res.Body.Close()
	answer, err := lastMessage(res)
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") && err == nil && len(answer) > 0 && !json.Valid(answer) || !utf8.Valid(answer) {
		w.wrong("status %d, an answer that a strict client cannot read: %s", res.StatusCode, shortened(string(answer), 300))
	}
	return res.StatusCode
}

// initialize opens a session of the older era and returns its id; empty: it was refused.
func (w *soakWorld) initialize() string {
	body := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`
	r, err := http.NewRequest(http.MethodPost, w.s.url+"/mcp", strings.NewReader(body))
	if err != nil {
		w.wrong("initialize: %v", err)
		return ""
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // the header says it
	return res.Header.Get("Mcp-Session-Id")
}

// hold opens connections, sends each a text and keeps them for a moment without reading.
func (w *soakWorld) hold(connections int, text string, r *rand.Rand) {
	var all []net.Conn
	var group sync.WaitGroup
	var mu sync.Mutex
	for range connections {
		group.Go(func() {
			c, err := net.DialTimeout("tcp", strings.TrimPrefix(w.s.url, "http://"), 5*time.Second)
			if err != nil { // it takes no more, which is its right
				return
			}
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
			_ = c.SetWriteDeadline(time.Now().Add(3 * time.Second))
			_, _ = io.WriteString(c, text) // it may close the connection
		})
	}
	group.Wait()
	pause(r, 3*time.Second)
	for _, c := range all {
		_ = c.Close() // it may be closed
	}
}

// hostileFaults are what clients and realms do on purpose.
var hostileFaults = []soakFault{
	{"bodies that do not end", func(w *soakWorld, r *rand.Rand) {
		w.hold(20+r.IntN(60), "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4194304\r\n\r\n"+strings.Repeat(" ", 4194300), r)
	}},
	{"headers that do not end", func(w *soakWorld, r *rand.Rand) {
		w.hold(50+r.IntN(100), "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "+strings.Repeat("x", 10_000), r)
	}},
	{"streams that are not read", func(w *soakWorld, r *rand.Rand) {
		session := w.initialize()
		w.hold(20+r.IntN(60), "GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nMcp-Session-Id: "+session+"\r\n\r\n", r)
		w.hold(20+r.IntN(60), "GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n", r)
	}},
	{"answers that are not read", func(w *soakWorld, r *rand.Rand) {
		ask := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"resolve_capability","arguments":{"realm":"hostileweb","capability_name":"vast"},` +
			`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"}}}}`
		w.hold(10+r.IntN(20), fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"+
			"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: resolve_capability\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask), r)
	}},
	{"sessions that are forgotten", func(w *soakWorld, r *rand.Rand) {
		for range 100 + r.IntN(200) {
			w.initialize()
		}
	}},
	{"bytes that are not UTF-8", func(w *soakWorld, r *rand.Rand) {
		w.post([]byte("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"set_state\",\"arguments\":{\"state_type\":\"t\",\"state_key\":\"k\",\"state_data\":{\"v\":\"A\xff\xfeB\"}}}}"), nil)
		v, err := w.s.tool(context.Background(), "get_state", args{"state_type": "t", "state_key": "k"})
		if err == nil && !utf8.Valid(v) {
			w.wrong("a state is given out that is not UTF-8")
		}
		garbage := make([]byte, r.IntN(100_000))
		for i := range garbage {
			garbage[i] = byte(r.Uint32())
		}
		w.post(garbage, nil)
	}},
	{"depth", func(w *soakWorld, r *rand.Rand) {
		n := []int{9000, 100_000, 1_000_000}[r.IntN(3)]
		w.post([]byte(strings.Repeat("[", n)), nil)
		w.post([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n)+"}"), nil)
	}},
	{"hops that are forged", func(w *soakWorld, r *rand.Rand) {
		w.post([]byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"check_health","arguments":{},"_meta":{"runplane/hops":%d}}}`, r.Int64()-1<<62)), nil)
	}},
	{"headers that contradict", func(w *soakWorld, _ *rand.Rand) {
		w.post([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pause_queue","arguments":{}}}`), map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list", "Mcp-Name": "x"})
	}},
	{"calls that wait", func(w *soakWorld, r *rand.Rand) {
		var e schemas.Execution
		if w.ask("execute_plan", args{"execution_plan": object{"plan": "v1", "nodes": []object{planNode("a", "wait", "2s")}}, "wait_seconds": 0}, &e) != nil {
			return
		}
		var group sync.WaitGroup
		for range 50 + r.IntN(100) {
			group.Go(func() {
				_ = w.ask("get_execution_status", args{"execution_id": e.ExecutionID, "wait_seconds": 3}, nil) // a refusal is right
			})
		}
		group.Wait()
	}},
	{"realm that is limited", func(w *soakWorld, r *rand.Rand) {
		after := []string{"", "-5", "0", "99999999999", "soon"}[r.IntN(5)]
		var e schemas.Execution
		if w.ask("execute_plan", args{"execution_plan": object{"plan": "v1", "timeout": "3s", "nodes": []object{planNode("a", "capability", "hostileweb.limited", "inputs", object{"msg": after})}}, "wait_seconds": 5}, &e) == nil && e.Status == schemas.StatusSucceeded {
			w.wrong("a call succeeds at a realm that refuses it")
		}
	}},
	{"answers that cannot be read", func(w *soakWorld, r *rand.Rand) {
		realm := []string{"hostile", "hostileweb"}[r.IntN(2)]
		tool := []string{"deep", "numbers", "bytes", "pattern", "vast", "huge"}[r.IntN(6)]
		_ = w.ask("invoke_capability", args{"realm": realm, "capability_name": tool, "inputs": object{"msg": fmt.Sprint([]int{100, 10_000, 1 << 20}[r.IntN(3)])}, "timeout_seconds": 2}, nil) // a refusal is right
	}},
}

// hostileMost is the most memory under a hostile load, in KiB, and hostileSoon the 99th percentile of ordinary calls. The latter is
// required of long runs alone: a short one is on a machine that also does other things.
const (
	hostileMost = 512 << 10
	hostileSoon = time.Second
)

// judgeHostile says what was wrong while clients and realms did harm on purpose.
func (w *soakWorld) judgeHostile(load []level, lasts time.Duration) (problems []string) {
	most := slices.MaxFunc(load, func(a, b level) int { return a.memory - b.memory })
	if most.memory > hostileMost {
		problems = append(problems, fmt.Sprintf("%d KiB of memory after %s, more than %d", most.memory, most.at.Round(time.Second), hostileMost))
	}
	o := &w.ordinary
	w.t.Logf("at most %d KiB of memory; %d ordinary calls: p50 %s, p99 %s, at most %s", most.memory, len(o.took), o.percentile(50), o.percentile(99), o.percentile(100))
	if p := o.percentile(99); p > hostileSoon && lasts >= 5*time.Minute || len(o.took) == 0 {
		problems = append(problems, fmt.Sprintf("the 99th percentile of %d ordinary calls is %s, more than %s", len(o.took), p, hostileSoon))
	}
	return problems
}

// faults are those that this soak injects.
func (w *soakWorld) faults() []soakFault {
	if w.more == "" {
		return soakFaults
	}
	return slices.Concat(soakFaults, hostileFaults)
}
