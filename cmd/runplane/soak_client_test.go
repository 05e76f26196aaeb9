//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/testdata/servers/ledger"
)

// soakExecution is one submitted plan.
type soakExecution struct {
	*soakShape
	plan   object
	id     string
	waited map[string]bool // nodes that waited for a decision
}

// work submits plans and makes direct calls until stop is closed.
func (w *soakWorld) work(r *rand.Rand, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if r.IntN(4) == 0 {
			c := soakCalls[r.IntN(len(soakCalls))]
			if problem := c.make(w, r); problem != "" {
				w.wrong("%s: %s", c.name, problem)
			}
			w.count(w.called, c.name)
		} else {
			w.run(r)
		}
		pause(r, 40*time.Millisecond)
	}
}

// ask calls a tool of the program; an internal error is always a defect.
func (w *soakWorld) ask(tool string, arguments, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), soakPatience)
	defer cancel()
	v, err := w.s.tool(ctx, tool, arguments)
	for w.more != "" && errors.Is(err, &schemas.Error{Code: schemas.CodeRateLimited}) && ctx.Err() == nil { // hostile clients hold the room of all
		time.Sleep(50 * time.Millisecond)
		v, err = w.s.tool(ctx, tool, arguments)
	}
	if err != nil {
		if e := schemas.AsError(err); e.Code == schemas.CodeInternal {
			w.wrong("%s %v: %v", tool, arguments, err)
		}
		return err
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(v, result)
}

// run takes one plan from its submission to its end and judges it.
func (w *soakWorld) run(r *rand.Rand) {
	w.mu.Lock()
	w.serial++
	n := w.serial
	if len(w.deck) == 0 {
		w.deck = soakDeck(r)
	}
	shape := w.deck[0]
	w.deck = w.deck[1:]
	w.mu.Unlock()
	e := &soakExecution{soakShape: shape, waited: map[string]bool{}}
	e.plan = e.soakPlan(n, r)
	var now schemas.Execution
	if err := w.ask("execute_plan", args{"execution_plan": e.plan, "wait_seconds": 0}, &now); err != nil {
		w.wrong("%s was refused: %v", e.name, err)
		return
	}
	e.id = now.ExecutionID
	began := time.Now()
	for !now.Status.Terminal() {
		if time.Since(began) > soakPatience {
			w.wrong("%s %s is stuck: it is %s, %+v", e.name, e.id, now.Status, now.WaitingFor)
			return
		}
		wait := 2
		if e.cancel {
			wait = 0
			pause(r, 50*time.Millisecond)
		}
		if err := w.ask("get_execution_status", args{"execution_id": e.id, "wait_seconds": wait}, &now); err != nil {
			w.wrong("%s %s: %v", e.name, e.id, err)
			return
		}
		w.decide(e, &now)
	}
	w.count(w.ended, e.name)
	w.took(e, time.Since(began))
	w.judge(e)
}

// took records the slowest execution of each shape.
func (w *soakWorld) took(e *soakExecution, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d > w.slowest[e.name].took {
		w.slowest[e.name] = slowest{d, e.id}
	}
}

// decide cancels executions that are to be cancelled and decides about held nodes; the ledger of the realm shows whether a call of
// unknown outcome happened.
func (w *soakWorld) decide(e *soakExecution, now *schemas.Execution) {
	if e.cancel && now.Status == schemas.StatusRunning && now.Progress.Running > 0 {
		_ = w.ask("cancel_execution", args{"execution_id": e.id}, nil) // the status shows it
	}
	if len(now.WaitingFor) == 1 && now.WaitingFor[0].Reason == schemas.ReasonEvent && w.changeIsKnown(e) {
		_ = w.ask("signal_execution", args{"execution_id": e.id, "event_name": now.WaitingFor[0].EventName}, nil) // the status shows it
	}
	if now.Status != schemas.StatusSuspended {
		return
	}
	patch := object{}
	for _, wait := range now.WaitingFor {
		if may := strings.TrimSuffix(e.held[wait.NodeID], "?"); may != wait.Reason {
			w.wrong("%s %s: %s waits for %s", e.name, e.id, wait.NodeID, wait.Reason)
		}
		e.waited[wait.NodeID] = true
		key := e.id + "/" + wait.NodeID
		realm, _, _ := strings.Cut(e.calls(wait.NodeID), ".")
		decision := "output"
		switch {
		case wait.Reason == schemas.ReasonDrift:
			decision = "retry"
		case realm == "stuck": // its calls never end
		case time.Since(wait.Since) < time.Second: // a late effect may still come
			time.Sleep(100 * time.Millisecond)
			continue
		case w.effects(realm, key) == 0:
			decision = "retry"
			w.count(w.retried, key)
		}
		w.count(w.decided, wait.Reason+" of "+realm+": "+decision)
		patch[wait.NodeID] = map[string]object{"output": {"output": object{"known": true}}, "retry": {"retry": true}}[decision]
	}
	if len(patch) > 0 || len(now.WaitingFor) == 0 {
		_ = w.ask("resume_execution", args{"execution_id": e.id, "patch": object{"nodes": patch}}, nil) // the status shows it
	}
}

// changeIsKnown reports whether the program has seen the definition that the execution made.
func (w *soakWorld) changeIsKnown(e *soakExecution) bool {
	var x schemas.Execution
	var echo schemas.Capability
	if w.ask("get_execution_status", args{"execution_id": e.id, "view": "nodes"}, &x) != nil ||
		w.ask("resolve_capability", args{"realm": "liar", "capability_name": "echo"}, &echo) != nil {
		return false
	}
	made, known := 0, 0
	_, _ = fmt.Sscanf(string(x.Nodes[0].Output), `"Version %d."`, &made) // on an error it is 0
	_, after, _ := strings.Cut(echo.Description, "Version ")
	_, _ = fmt.Sscanf(after, "%d.", &known) // as above
	if made == 0 || known < made {
		time.Sleep(100 * time.Millisecond)
	}
	return made > 0 && known >= made
}

// calls is the capability of a node.
func (e *soakExecution) calls(node string) string {
	for _, n := range e.plan["nodes"].([]object) {
		if n["id"] == node {
			name, _ := n["capability"].(string)
			return name
		}
	}
	return ""
}

// effects counts the entries of a key in the ledger of a realm.
func (w *soakWorld) effects(realm, key string) (n int) {
	entries, err := ledger.New(w.ledger(realm)).Read()
	if err != nil {
		w.wrong("ledger of %s: %v", realm, err)
	}
	for _, e := range entries {
		if e.Key == key {
			n++
		}
	}
	return n
}

// judge compares an execution that ended with what its shape implies.
func (w *soakWorld) judge(e *soakExecution) {
	var x schemas.Execution
	if err := w.ask("get_execution_status", args{"execution_id": e.id, "view": "nodes"}, &x); err != nil {
		w.wrong("%s %s is lost: %v", e.name, e.id, err)
		return
	}
	bad := func(format string, args ...any) {
		w.wrong("%s %s: %s", e.name, e.id, fmt.Sprintf(format, args...))
	}
	if x.Status != e.status {
		bad("it %s, and must have %s: %v", x.Status, e.status, x.Error)
	}
	for node, why := range e.held {
		if !strings.HasSuffix(why, "?") && !e.waited[node] {
			bad("%s was never held (%s)", node, why)
		}
	}
	for i := range x.Nodes {
		n := &x.Nodes[i]
		want, special := e.want[n.ID]
		if !special {
			want.status = schemas.NodeSucceeded
		}
		if n.Status != want.status {
			bad("%s is %s, and must be %s: %v", n.ID, n.Status, want.status, n.Error)
			continue
		}
		if want.code != "" && (n.Error == nil || n.Error.Code != want.code) {
			bad("%s has the error %v, and must have %s", n.ID, n.Error, want.code)
		}
		if want.servedBy != "" && (n.ServedBy != want.servedBy || !n.Degraded) {
			bad("%s was served by %q (degraded: %v), and must be by %q", n.ID, n.ServedBy, n.Degraded, want.servedBy)
		}
		if want.servedBy == "" && !want.either && n.Degraded {
			bad("%s is degraded, served by %q", n.ID, n.ServedBy)
		}
		if slices.Contains(e.once, n.ID) {
			realm, _, _ := strings.Cut(e.calls(n.ID), ".")
			w.mu.Lock()
			w.due[realm] = append(w.due[realm], e.id+"/"+n.ID)
			w.mu.Unlock()
		}
		if want.attempts != 0 && n.Attempts != want.attempts {
			bad("%s took %d attempts, and must have %d", n.ID, n.Attempts, want.attempts)
		}
	}
}

// judgeLedgers: no once effect happened twice without a decision, and those of plans that demand one happened.
func (w *soakWorld) judgeLedgers() (calls, repeated int) {
	for _, realm := range []string{"shop", "flap", "web"} {
		entries, err := ledger.New(w.ledger(realm)).Read()
		if err != nil {
			w.wrong("ledger of %s: %v", realm, err)
		}
		seen := map[string]int{}
		for _, e := range entries {
			calls++
			if seen[e.Key]++; seen[e.Key] > 1 {
				repeated++
			}
			if e.Effect == "once" && seen[e.Key] > 1+w.retried[e.Key] {
				w.wrong("%s (%s of %s) happened %d times; a retry was decided %d times", e.Key, e.Tool, realm, seen[e.Key], w.retried[e.Key])
			}
		}
		for _, key := range w.due[realm] {
			if seen[key] == 0 {
				w.wrong("%s succeeded and did not happen in %s", key, realm)
			}
		}
	}
	return calls, repeated
}
