package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// The longest name of an event, type of a state and key of one, in bytes.
const (
	maxEvent     = 255
	maxStateType = 128
	maxStateKey  = 512
)

// Awaited is the state that a wait_for node waits for.
type Awaited struct {
	Type  string
	Key   *expr.Template
	Until *expr.Template // reads the root `state`; nil: it waits until the state exists
}

// liveStates are types of states that show other records, with what to do instead: their changes are not notified.
var liveStates = map[string]string{
	schemas.StateExecution: "a workflow node waits for an execution of its own, and get_execution_status with wait_seconds for any other",
	schemas.StateSession:   "let the caller of update_session also call set_state with a type of your own, and wait for that",
	schemas.StateWorkflow:  "let the caller of create_workflow also call set_state with a type of your own, and wait for that",
}

func (c *compiler) waitFor(w *schemas.WaitFor, at string) {
	c.duration(at+"/timeout", "timeout", w.Timeout)
	switch {
	case w.State != nil && w.Event != "":
		c.out.errorf(codeSeveralKinds, at,
			"wait_for waits for an event or for a state; keep one of them, and make a node of the other")
		fallthrough
	case w.State != nil:
		c.awaited(w, at)
		return
	case w.Until != "" && w.Event == "":
		c.out.errorf(codeMissingField, at, "wait_for has until but no state: write wait_for: {state: {type: order, key: A-17}, until: …}")
		return
	case w.Until != "":
		c.out.errorf(codeMisplacedField, at+"/until",
			"until goes with state, as in wait_for: {state: {type: order, key: A-17}, until: …}; an event is waited "+
				"for by its name alone, and the when of the next node reads its data")
	}
	where := at + "/event"
	if w.Bare {
		where = at
	}
	switch {
	case c.missing(w.Event, "event: write its name, as in wait_for: order_paid", "wait_for", at):
	case isTime(w.Event):
		c.out.errorf(codeInvalidWait, where, "wait_for waits for an event, and %q is a time; write wait: %[1]q, or the name of the event", w.Event)
	case len(w.Event) > maxEvent:
		c.out.errorf(codeOutOfRange, where, "the name of an event has at most %d bytes, got %d", maxEvent, len(w.Event))
	case strings.Contains(w.Event, "${"):
		c.out.errorf(codeNotEvaluated, where,
			"the name of an event is fixed when the plan is accepted and takes no expression; events are sent to one "+
				"execution, so the name need not be unique")
	}
}

// awaited checks the name of a state and the condition over it.
func (c *compiler) awaited(w *schemas.WaitFor, at string) {
	s := w.State
	switch where := at + "/state/type"; {
	case c.missing(s.Type, "type: the state_type that set_state is called with", "state", at+"/state"):
	case len(s.Type) > maxStateType:
		c.out.errorf(codeOutOfRange, where, "the type of a state has at most %d bytes, got %d", maxStateType, len(s.Type))
	case strings.Contains(s.Type, "${"):
		c.out.errorf(codeNotEvaluated, where,
			"the type of a state is fixed when the plan is accepted and takes no expression; the key may hold one")
	case liveStates[s.Type] != "":
		c.out.errorf(codeLiveState, where,
			"states of type %q show other records, and plans are not notified of their changes: %s", s.Type, liveStates[s.Type])
	}
	given := !c.missing(s.Key, "key: the state_key that set_state is called with", "state", at+"/state")
	if given && len(s.Key) > maxStateKey && !strings.Contains(s.Key, "${") {
		c.out.errorf(codeOutOfRange, at+"/state/key", "the key of a state has at most %d bytes, got %d", maxStateKey, len(s.Key))
	}
	if w.Until != "" {
		c.condition("until", w.Until, at+"/until")
	}
}

// stateShape is what a condition reads as state, and others as the output of the node.
var stateShape = newShape(json.RawMessage(`{"type":"object",
	"properties":{"found":{"type":"boolean"},"data":{},"version":{"type":"integer"}},"additionalProperties":false}`))

// stateMembers are the names of what a condition reads of state; others are taken for members of the data.
var stateMembers = []string{"found", "data", "version"}

// readsOfState checks what a condition reads of the state that it is about.
func (c *compiler) readsOfState(s site, r expr.Read) {
	steps := r.Path.Steps
	unknown := len(steps) > 0 && steps[0].Index < 0 && !slices.Contains(stateMembers, steps[0].Key)
	if unknown && len(schemas.Nearest(steps[0].Key, stateMembers, 1)) == 0 {
		f := c.out.errorf(codeUnknownOutput, s.at,
			"state has no %q: it has found, data and version, and what set_state was given is its data", expr.Shorten(steps[0].Key))
		before := r.Path.UpTo(1).String()
		if after := r.Path.UpTo(0).Then("data").Then(steps[0].Key).String(); strings.Contains(s.Source, before) {
			f.Fix = []schemas.PatchOp{c.fixText(s.at, s.Source, func(text string) string { return expr.ReplaceWord(text, before, after) })}
		}
		return
	}
	c.follow(s, r, 0, stateShape, "the state")
}

// noState reports the root state outside of until.
func (c *compiler) noState(s site) {
	if c.isNode("state") {
		c.unknownRoot(s, "state")
		return
	}
	c.out.errorf(codeMisplacedRoot, s.at,
		"state can be read only in until of wait_for: {state, until}; elsewhere read that node's output, got ${%s}", expr.Shorten(s.Text))
}

// isTime reports whether the name of an event is a duration or a time of day.
func isTime(name string) bool {
	if _, err := schemas.ParseDuration(name); err == nil {
		return true
	}
	_, err := time.Parse(time.RFC3339, name)
	return err == nil || spelledOut(name) != ""
}
