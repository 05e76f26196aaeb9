package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/runplane/runplane/schemas"
)

// AtRest reports whether an execution will not change soon by itself: it ended, is suspended, or waits only for reviews and events. One
// that waits for a state is not at rest, as other executions may set it.
func AtRest(e *schemas.Execution) bool {
	if e.Status.Terminal() || e.Status == schemas.StatusSuspended {
		return true
	}
	if !e.Waiting || len(e.WaitingFor) == 0 {
		return false
	}
	held := 0
	for _, w := range e.WaitingFor {
		switch w.Reason {
		case schemas.ReasonTimer, schemas.ReasonBudget, schemas.ReasonWorkflow, schemas.ReasonState:
			return false // it continues without the client that waits for it
		case schemas.ReasonUnknown, schemas.ReasonDrift, schemas.ReasonError:
			held++
		}
	}
	return held < len(e.WaitingFor) // with nothing but held nodes it is suspended next
}

// hints say what to call next, by the reason for which an execution waits first, and by its status; an empty status stands for all.
var hints = map[string]struct {
	status schemas.Status
	say    func(w *schemas.WaitingFor) string
}{
	schemas.ReasonUnknown: {schemas.StatusSuspended, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("find out whether the call of node %q happened, then resume_execution with a patch for it: retry, skip or output",
			w.NodeID)
	}},
	schemas.ReasonError: {schemas.StatusSuspended, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("repair node %q with resume_execution and a patch: inputs, retry, output or skip", w.NodeID)
	}},
	schemas.ReasonRecovery: {"", func(*schemas.WaitingFor) string {
		return "the runtime died while it worked on this execution: resume_execution has it tried again, and the runtime may die again; " +
			"cancel_execution ends it, without that"
	}},
	schemas.ReasonReview: {"", func(*schemas.WaitingFor) string { return "a person has to decide: `runplane reviews`" }},
	schemas.ReasonEvent: {schemas.StatusRunning, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("signal_execution with event_name %q lets it continue", w.EventName)
	}},
	schemas.ReasonState: {schemas.StatusRunning, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("it continues when state_key %q of state_type %q is as node %q waits for it: get_state shows it, set_state sets it",
			w.State.Key, w.State.Type, w.NodeID)
	}},
	schemas.ReasonBudget: {schemas.StatusRunning, func(*schemas.WaitingFor) string {
		return "it goes on by itself when its quota, or the memory for the items of its list (check_health shows it), has room; " +
			"get_execution_status with wait_seconds waits for the result"
	}},
	schemas.ReasonWorkflow: {schemas.StatusRunning, func(w *schemas.WaitingFor) string {
		return fmt.Sprintf("get_execution_status with wait_seconds waits for the result; "+
			"with execution_id %q it shows what workflow node %q waits for", w.Child, w.NodeID)
	}},
}

// WithHint returns e with a hint that says what to call next, unless e has ended.
func WithHint(e schemas.Execution) schemas.Execution {
	switch e.Status {
	case schemas.StatusSuspended:
		e.Hint = "resume_execution lets it continue; cancel_execution ends it"
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
	if w.Limit != nil && e.Status == schemas.StatusSuspended {
		e.Hint = w.Limit.Hint()
		return e
	}
	h, ok := hints[w.Reason]
	if ok && (h.status == "" || h.status == e.Status) && (e.Waiting || e.Status == schemas.StatusSuspended && h.status != "") {
		e.Hint = h.say(w)
	}
	return e
}

// AsEarlier returns an execution as the answer to a submission whose idempotency key it had already: it says that nothing was started.
func AsEarlier(e schemas.Execution) schemas.Execution {
	e.Earlier = true
	say := fmt.Sprintf("this is the execution of %s with the same idempotency_key; nothing was started now", e.CreatedAt.UTC().Format(time.RFC3339))
	if e.Status.Terminal() {
		say += ". To run the plan again use rerun_execution, or another idempotency_key"
	}
	if e.Hint != "" {
		say += "; " + e.Hint
	}
	e.Hint = say
	return e
}

// Metrics returns counts of what an execution has done so far.
func (r Reader) Metrics(ctx context.Context, id string) (schemas.ExecutionMetrics, error) {
	x, err := r.journal.LoadFor(ctx, id)
	if err != nil {
		return schemas.ExecutionMetrics{}, err
	}
	m := metrics(x.State, r.journal.store.Now())
	m.ExecutionID = id
	return m, nil
}
