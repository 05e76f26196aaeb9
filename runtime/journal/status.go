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

// WithHint adds what to call next where the execution itself does not say.
func WithHint(e schemas.Execution) schemas.Execution {
	switch {
	case e.Status.Terminal():
	case e.Status == schemas.StatusSuspended && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonUnknown:
		e.Hint = fmt.Sprintf("find out whether the call of node %q happened, then resume_execution with a patch for it: retry, skip or output", e.WaitingFor[0].NodeID)
	case e.Status == schemas.StatusSuspended && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonError:
		e.Hint = fmt.Sprintf("mend node %q with resume_execution and a patch: inputs, retry, output or skip", e.WaitingFor[0].NodeID)
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonReview:
		e.Hint = "a person has to decide: `runplane reviews`"
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonEvent && e.Status == schemas.StatusRunning:
		e.Hint = fmt.Sprintf("signal_execution with event_name %q lets it go on", e.WaitingFor[0].EventName)
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonState && e.Status == schemas.StatusRunning:
		e.Hint = fmt.Sprintf("it goes on when state_key %q of state_type %q is as node %q waits for it: get_state shows it, set_state sets it",
			e.WaitingFor[0].State.Key, e.WaitingFor[0].State.Type, e.WaitingFor[0].NodeID)
	case e.Waiting && len(e.WaitingFor) > 0 && e.WaitingFor[0].Reason == schemas.ReasonWorkflow && e.Status == schemas.StatusRunning:
		e.Hint = fmt.Sprintf("get_execution_status with wait_seconds waits for the result; with execution_id %q it shows what workflow node %q waits for",
			e.WaitingFor[0].Child, e.WaitingFor[0].NodeID)
	case e.Status == schemas.StatusSuspended:
		e.Hint = "resume_execution lets it go on; cancel_execution ends it"
	default:
		e.Hint = "get_execution_status with wait_seconds waits for the result"
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
