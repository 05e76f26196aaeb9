//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/testdata/servers/ledger"
)

// run takes one plan from its submission to its end, each request to a random replica.
func (w *chaosWorld) run(r *rand.Rand) {
	w.mu.Lock()
	w.serial++
	n := w.serial
	w.mu.Unlock()
	e := &chaosExecution{key: fmt.Sprintf("chaos-%d-%d", w.seed, n), plan: chaosPlan(n, r)}
	if !w.submit(r, e) {
		return
	}
	for w.patience() {
		var now schemas.Execution
		err := w.ask(r, "get_execution_status", map[string]any{"execution_id": e.id, "view": "failures", "wait_seconds": 2}, &now)
		if err != nil {
			if code(err) == schemas.CodeNotFound {
				w.wrong("%s: %v", e.id, err)
			}
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
			continue
		}
		e.last = now
		if now.Status.Terminal() {
			return
		}
		w.decide(r, e)
	}
	e.stuck = true
}

// submit repeats the submission until it is acknowledged; the idempotency key makes that safe.
func (w *chaosWorld) submit(r *rand.Rand, e *chaosExecution) bool {
	for w.patience() {
		var got schemas.Execution
		err := w.ask(r, "execute_plan", map[string]any{"execution_plan": e.plan, "idempotency_key": e.key, "wait_seconds": 0}, &got)
		if err == nil {
			e.id = got.ExecutionID
			w.mu.Lock()
			w.acknowledged = append(w.acknowledged, e)
			w.mu.Unlock()
			return true
		}
		if c := code(err); c == schemas.CodeInvalidPlan || c == schemas.CodeInvalidArgument {
			w.wrong("%s was refused: %v", e.key, err)
			return false
		}
		time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
	}
	w.wrong("%s was never accepted", e.key)
	return false
}

// decide decides as a person would: it approves, sends the event that a node waits for, and reads the ledger before it decides
// about a call whose outcome is unknown.
func (w *chaosWorld) decide(r *rand.Rand, e *chaosExecution) {
	patch := map[string]any{}
	for _, wait := range e.last.WaitingFor {
		switch wait.Reason {
		case schemas.ReasonEvent:
			_ = w.ask(r, "signal_execution", map[string]any{"execution_id": e.id, "event_name": wait.EventName, "data": 1}, nil) // on an error it is sent again
		case schemas.ReasonReview:
			w.approve(r, wait.ReviewID)
		case schemas.ReasonUnknown:
			until := wait.Since.Add(time.Second)
			if wait.MayRunUntil != nil {
				until = *wait.MayRunUntil
			}
			if time.Now().Before(until) {
				continue // its effect or its answer may still come
			}
			key := e.id + "/" + wait.NodeID
			done, err := w.happened(key)
			if err != nil {
				w.wrong("ledger: %v", err)
				return
			}
			e.held++
			if done {
				patch[wait.NodeID] = map[string]any{"output": map[string]any{"known": "from the ledger"}}
			} else {
				w.mu.Lock()
				w.retried[key]++
				w.mu.Unlock()
				patch[wait.NodeID] = map[string]any{"retry": true}
			}
		}
	}
	if e.last.Status != schemas.StatusSuspended {
		return
	}
	arguments := map[string]any{"execution_id": e.id}
	if len(patch) > 0 {
		arguments["patch"] = map[string]any{"nodes": patch}
	} else if len(e.last.WaitingFor) > 0 {
		time.Sleep(100 * time.Millisecond)
		return
	}
	_ = w.ask(r, "resume_execution", arguments, nil) // the next status shows it
}

// approve is an operator at the command line: another process on the shared store.
func (w *chaosWorld) approve(r *rand.Rand, review string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "runplane"), "reviews", "approve", review)
	cmd.Dir = w.replica(r).dir
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	_ = cmd.Run() // the store may be unavailable; the next status shows it
}

func (w *chaosWorld) happened(key string) (bool, error) {
	entries, err := ledger.New(w.ledger).Read()
	for _, e := range entries {
		if e.Key == key {
			return true, err
		}
	}
	return false, err
}

// ask calls a random replica.
func (w *chaosWorld) ask(r *rand.Rand, tool string, arguments, result any) error {
	to := w.replica(r)
	url := to.address()
	if url == "" {
		return errors.New("it is down")
	}
	err := callTool(url, tool, arguments, result)
	switch c := code(err); c {
	case "", schemas.CodeUnavailable, schemas.CodeRateLimited, schemas.CodeTimeout, schemas.CodeNotFound, schemas.CodeConflict, schemas.CodeAlreadyFinished:
	default:
		w.mu.Lock()
		w.odd[fmt.Sprintf("%s %v", tool, err)]++
		w.mu.Unlock()
	}
	return err
}

func code(err error) schemas.Code {
	var e *schemas.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

var chaosHTTP = &http.Client{Timeout: 8 * time.Second}

// callTool is one tools/call of a stateless client; the error is a *schemas.Error when the tool answered it.
func callTool(url, tool string, arguments, result any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{
		"name": tool, "arguments": arguments,
		"_meta": map[string]any{"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": map[string]any{}},
	}})
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/mcp", bytes.NewReader(body))
	if err != nil {
		return err
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
	} {
		q.Header.Set(k, v)
	}
	a, err := chaosHTTP.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if _, data, ok := strings.Cut(string(text), "data: "); ok && !strings.HasPrefix(string(text), "{") {
		line, _, _ := strings.Cut(data, "\n")
		text = []byte(line)
	}
	var reply struct {
		Error  *struct{ Message string }
		Result struct {
			IsError           bool
			StructuredContent json.RawMessage
			Content           []struct{ Text string }
		}
	}
	switch err := json.Unmarshal(text, &reply); {
	case err != nil:
		return fmt.Errorf("%s: %s: %w", a.Status, text, err)
	case reply.Error != nil:
		return errors.New(reply.Error.Message)
	case reply.Result.IsError && len(reply.Result.Content) > 0:
		var e struct{ Error *schemas.Error }
		if err := json.Unmarshal([]byte(reply.Result.Content[0].Text), &e); err != nil {
			return err
		}
		return e.Error
	case result == nil:
		return nil
	}
	return json.Unmarshal(reply.Result.StructuredContent, result)
}
