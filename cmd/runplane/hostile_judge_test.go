//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// brief is the plan as a person reads it: long texts and lists in it are cut.
func (p *hostilePlan) brief() string {
	plan := p.whole()
	if plan == nil {
		return shortened(p.text(), 1500)
	}
	var brief func(v any) any
	brief = func(v any) any {
		switch v := v.(type) {
		case string:
			if len(v) > 500 && !strings.Contains(v, "${") {
				return fmt.Sprintf("%.20s… (%d bytes)", v, len(v))
			}
		case []any:
			n := len(v)
			if n > 12 {
				v = append(v[:6:6], fmt.Sprintf("… (%d items)", n))
			}
			for i := range v {
				v[i] = brief(v[i])
			}
			return v
		case object:
			for k := range v {
				v[k] = brief(v[k])
			}
		}
		return v
	}
	text, _ := json.Marshal(brief(plan)) // made of values that have a form
	for _, l := range p.library {
		text = fmt.Appendf(text, "\n    workflow %s: %s", l.Name, (&hostilePlan{source: l.Definition}).brief())
	}
	return shortened(string(text), 4000)
}

// text is the plan as it is sent.
func (p *hostilePlan) text() string {
	if p.line != "" {
		return fmt.Sprintf("%q", p.line)
	}
	if s, ok := p.source.(string); ok {
		return s
	}
	text, _ := json.Marshal(p.source) // made of values that have a form
	return string(text)
}

// whole is the plan as an object; nil: it is a text that is no JSON object.
func (p *hostilePlan) whole() (plan object) {
	_ = json.Unmarshal([]byte(p.text()), &plan) // then there is nothing to look at
	return plan
}

func (p *hostilePlan) inputs() any {
	if inputs, ok := p.whole()["inputs"].(object); ok {
		return inputs
	}
	return object{}
}

// expressions are the different texts with ${…} in a plan and in the workflows that it names; the longest ten.
func (p *hostilePlan) expressions() (all []string) {
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if strings.Contains(v, "${") && !slices.Contains(all, v) {
				all = append(all, v)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case object:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(p.whole())
	for _, l := range p.library {
		definition := hostilePlan{source: l.Definition}
		walk(definition.whole())
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all[:min(len(all), 10)]
}

// submit takes a plan to its end.
func (w *hostileWorld) submit(p *hostilePlan) {
	w.work(p, true, w.life)
	w.alive(p)
}

// work takes a plan to its end on one life of the program: what has not ended soon is cancelled.
func (w *hostileWorld) work(p *hostilePlan, count bool, l *life) {
	for _, of := range p.library {
		w.judge(p, l.tool("create_workflow", object{"name": of.Name, "definition": of.Definition}, nil))
	}
	var e schemas.Execution
	var err error
	if p.line != "" {
		err = l.line(p.line, &e)
	} else {
		if p.number%4 == 0 {
			w.judge(p, l.tool("validate_plan", object{"execution_plan": p.source}, nil))
		}
		err = l.tool("execute_plan", object{"execution_plan": p.source, "wait_seconds": 2}, &e)
	}
	refused, cancelled := w.judge(p, err), false
	for end := time.Now().Add(hostilePatience); err == nil && e.ExecutionID != "" && !e.Status.Terminal(); {
		if !cancelled {
			cancelled = true
			w.judge(p, l.tool("cancel_execution", object{"execution_id": e.ExecutionID, "grace_seconds": 0}, nil))
		}
		if err = l.tool("get_execution_status", object{"execution_id": e.ExecutionID, "wait_seconds": 5}, &e); err != nil {
			w.judge(p, err)
		}
		if time.Now().After(end) && !e.Status.Terminal() {
			w.problem(fmt.Sprintf("%s after it was cancelled it is %s", hostilePatience, e.Status), p)
			break
		}
	}
	if e.Error != nil {
		w.judge(p, e.Error)
		refused = e.Error.Code
	}
	if !count {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.count(p)
	c.plans++
	switch {
	case err != nil:
		c.refused++
	case cancelled:
		c.cancelled++
	default:
		c.ended++
	}
	if refused != "" {
		c.codes[refused]++
	}
}

// start submits a plan and does not wait for it.
func (w *hostileWorld) start(p *hostilePlan) (err error) {
	for _, of := range p.library {
		w.judge(p, w.life.tool("create_workflow", object{"name": of.Name, "definition": of.Definition}, nil))
	}
	if p.line != "" {
		id, _ := w.life.expect()
		return w.life.send(fmt.Appendf(nil, p.line, id))
	}
	_, err = w.life.ask("tools/call", object{"name": "execute_plan", "arguments": object{"execution_plan": p.source, "wait_seconds": 0}})
	return err
}

// line sends a whole line and waits for the answer to it, or to a line whose id is unknown.
func (l *life) line(text string, result any) error {
	id, c := l.expect()
	l.mu.Lock()
	l.waiting["null"] = l.waiting[id]
	l.mu.Unlock()
	if err := l.send(fmt.Appendf(nil, text, id)); err != nil {
		return err
	}
	a, err := l.await(c)
	if err != nil {
		return err
	}
	return a.into(result)
}

// foreign is what a refusal may not contain: texts of Go and of libraries.
var foreign = regexp.MustCompile(`json: |unmarshal|Go (struct|value)|goroutine|runtime error|strconv\.|reflect\.|0x[0-9a-f]{8}|%!|unexpected EOF|yaml: |context deadline`)

// ofBudget are refusals for something that is too large or too much; namesLimit is how they name the limit.
var (
	ofBudget   = regexp.MustCompile(`too (large|long|many|deep|much)|exceed|at most|more than|budget|limit`)
	namesLimit = regexp.MustCompile(`limits?\.[a-z_.]+|max_[a-z_]+|\d`)
)

// judge checks a refusal and returns its code; errors that are no refusal are problems.
func (w *hostileWorld) judge(p *hostilePlan, err error) schemas.Code {
	var e *schemas.Error
	switch {
	case err == nil, errors.Is(err, errGone): // a death is recorded once
		return ""
	case errors.Is(err, errSilent):
		w.problem(err.Error(), p)
		return ""
	case !errors.As(err, &e):
		if !strings.HasPrefix(err.Error(), "protocol error -32") {
			w.problem("a refusal without a code: "+err.Error(), p)
		}
		return "protocol"
	}
	if bad := badRefusal(e.Code, e.Message+" "+e.Hint); bad != "" {
		w.problem(bad, p)
	}
	for _, f := range e.Findings {
		if bad := badRefusal("", f.Message); bad != "" || f.Code == "" {
			w.problem("finding "+f.Code+": "+bad, p)
			break
		}
	}
	return e.Code
}

// badRefusal says what is wrong with a refusal.
func badRefusal(code schemas.Code, message string) string {
	budget := code == schemas.CodeQuotaExceeded || code == schemas.CodePayloadTooLarge
	switch {
	case code == schemas.CodeInternal || code != "" && !code.Valid():
		return fmt.Sprintf("code %s: %s", code, shortened(message, 500))
	case message == "" || len(message) > 20_000:
		return fmt.Sprintf("a refusal of %d bytes: %s", len(message), shortened(message, 500))
	case foreign.MatchString(message):
		return "a refusal in another program's words: " + shortened(message, 500)
	case (budget || ofBudget.MatchString(message)) && !namesLimit.MatchString(message):
		return fmt.Sprintf("%s does not name the limit: %s", code, shortened(message, 500))
	}
	return ""
}

// TestBadRefusals: what counts as a refusal that a client can act on.
func TestBadRefusals(t *testing.T) {
	for _, tt := range []struct {
		code    schemas.Code
		message string
		ok      bool
	}{
		{schemas.CodeInvalidPlan, "nodes has 1001 entries, at most 1000 (limits.max_nodes)", true},
		{schemas.CodeQuotaExceeded, "the execution has used its calls (limits.tree.calls)", true},
		{schemas.CodeNotFound, `no capability "x"`, true},
		{schemas.CodeInternal, "it failed", false},
		{"unknown_code", "it failed", false},
		{schemas.CodeInvalidPlan, "", false},
		{schemas.CodeQuotaExceeded, "the budget is used up", false},
		{schemas.CodeInvalidArgument, "json: cannot unmarshal number into Go struct field", false},
		{schemas.CodeInvalidPlan, "the text is too large", false},
	} {
		if bad := badRefusal(tt.code, tt.message); (bad == "") != tt.ok {
			t.Errorf("%s %q: %q", tt.code, tt.message, bad)
		}
	}
}
