package journal

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// AtRest tells whether nothing will change soon without somebody's doing: it finished, is suspended, or waits for decisions
// and events alone. A state is for others to set.
func AtRest(e *schemas.Execution) bool {
	if e.Status.Terminal() || e.Status == schemas.StatusSuspended {
		return true
	}
	if !e.Waiting || len(e.WaitingFor) == 0 {
		return false
	}
	for _, w := range e.WaitingFor {
		switch w.Reason {
		case schemas.ReasonTimer, schemas.ReasonBudget, schemas.ReasonWorkflow, schemas.ReasonState: // it goes on without whoever waits for it
			return false
		}
	}
	return true
}

// hints say what to call next, by what an execution waits for first and by its status; an empty status stands for all.
var hints = map[string]struct {
	status schemas.Status
	say    func(w *schemas.WaitingFor) string
}{
	schemas.ReasonUnknown: {schemas.StatusSuspended, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("find out whether the call of node %q happened, then resume_execution with a patch for it: retry, skip or output", w.NodeID)
	}},
	schemas.ReasonError: {schemas.StatusSuspended, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("mend node %q with resume_execution and a patch: inputs, retry, output or skip", w.NodeID)
	}},
	schemas.ReasonReview: {"", func(*schemas.WaitingFor) string { return "a person has to decide: `runplane reviews`" }},
	schemas.ReasonEvent: {schemas.StatusRunning, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("signal_execution with event_name %q lets it go on", w.EventName)
	}},
	schemas.ReasonState: {schemas.StatusRunning, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("it goes on when state_key %q of state_type %q is as node %q waits for it: get_state shows it, set_state sets it", w.State.Key, w.State.Type, w.NodeID)
	}},
	schemas.ReasonWorkflow: {schemas.StatusRunning, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("get_execution_status with wait_seconds waits for the result; with execution_id %q it shows what workflow node %q waits for", w.Child, w.NodeID)
	}},
}

// WithHint adds what to call next where the execution itself does not say.
func WithHint(e schemas.Execution) schemas.Execution {
	switch e.Status {
	case schemas.StatusSuspended:
		e.Hint = "resume_execution lets it go on; cancel_execution ends it"
	default:
		if e.Status.Terminal() {
			return e
		}
		e.Hint = "get_execution_status with wait_seconds waits for the result"
	}
	if len(e.WaitingFor) == 0 {
		return e
	}
	w := &e.WaitingFor[0]
	h, ok := hints[w.Reason]
	if ok && (h.status == "" || h.status == e.Status) && (e.Waiting || e.Status == schemas.StatusSuspended && h.status != "") {
		e.Hint = h.say(w)
	}
	return e
}

// Metrics counts what an execution has done so far.
func (r Reader) Metrics(ctx context.Context, id string) (schemas.ExecutionMetrics, error) {
	x, err := r.journal.LoadFor(ctx, id)
	if err != nil {
		return schemas.ExecutionMetrics{}, err
	}
	m := x.State.Metrics(records.Now())
	m.ExecutionID = id
	return m, nil
}
