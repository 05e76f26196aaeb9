package machine

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// MaxWaitingFor is how many entries of waiting_for a view lists.
const MaxWaitingFor = 100

// View is the execution as callers see it, without what the state does not know: id, name, session. Its cost does not
// grow with the plan while something can run.
func (s *State) View() schemas.Execution {
	v := schemas.Execution{
		Status: s.Status, Waiting: s.Waiting(), Priority: s.Priority, Degraded: s.Degraded,
		CreatedAt: s.Created, Error: s.Error, Output: s.Output, OutputRef: s.OutputRef,
		Progress: schemas.Progress{
			Total:     len(s.Nodes),
			Succeeded: s.Count(schemas.NodeSucceeded),
			Failed:    s.Count(schemas.NodeFailed),
			Skipped:   s.Count(schemas.NodeSkipped),
			Running:   s.inFlight,
			Waiting:   s.Count(schemas.NodeHeld) + s.Count(schemas.NodeBackingOff) + s.Count(schemas.NodeRunning) - s.inFlight,
		},
	}
	if !s.Started.IsZero() {
		v.StartedAt = new(s.Started)
	}
	if !s.Finished.IsZero() {
		v.FinishedAt = new(s.Finished)
	}
	if v.Waiting || s.Count(schemas.NodeHeld) > 0 {
		v.WaitingFor = s.waitingFor()
	}
	return v
}

func (s *State) waitingFor() []schemas.WaitingFor {
	var out []schemas.WaitingFor
	for i := range s.Nodes {
		n := &s.Nodes[i]
		w := schemas.WaitingFor{NodeID: s.program.Nodes[i].ID, Since: n.Since}
		switch {
		case len(out) == MaxWaitingFor:
			return out
		case n.Status == schemas.NodeHeld:
			w.Reason = n.Reason
		case n.Status == schemas.NodeBackingOff, n.Status == schemas.NodeRunning && s.program.Nodes[i].Kind == plan.KindWait:
			w.Reason, w.ExpiresAt = schemas.ReasonTimer, new(n.Due)
		default:
			continue
		}
		out = append(out, w)
	}
	return out
}

// NodeViews lists the nodes as callers see them; failures leaves out all but the failed, held and cancelled-in-flight ones.
func (s *State) NodeViews(view schemas.View) []schemas.NodeView {
	out := []schemas.NodeView{}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; view == schemas.ViewNodes || n.Status == schemas.NodeHeld || n.Status == schemas.NodeFailed || n.Error != nil {
			out = append(out, s.NodeView(i))
		}
	}
	return out
}

// NodeView is one node as callers see it.
func (s *State) NodeView(node int) schemas.NodeView {
	n, p := &s.Nodes[node], &s.program.Nodes[node]
	v := schemas.NodeView{
		ID: p.ID, Status: n.Status, Attempts: n.Attempts, Error: n.Error,
		Degraded: n.Degraded, ServedBy: n.ServedBy, Output: n.Output, OutputRef: n.OutputRef,
	}
	if p.Kind == plan.KindCapability {
		v.Capability = p.Realm + "." + p.Capability
	}
	if !n.First.IsZero() && !n.Ended.IsZero() {
		v.DurationMS = milliseconds(n.Ended.Sub(n.First))
	}
	if len(n.Output) > schemas.MaxViewOutput {
		v.Output, v.OutputRef = nil, &schemas.OutputRef{NodeID: p.ID, Bytes: len(n.Output)}
	}
	return v
}

// Metrics folds the state into counts and times; events is the length of the log.
func (s *State) Metrics(now time.Time) schemas.ExecutionMetrics {
	end := s.Finished
	if end.IsZero() {
		end = now
	}
	m := schemas.ExecutionMetrics{
		Status: s.Status, Events: s.Seq, Recoveries: s.Takeovers,
		DurationMS: milliseconds(end.Sub(s.Created)),
		NodeCounts: map[schemas.NodeStatus]int{}, Nodes: []schemas.NodeMetrics{},
	}
	if !s.Started.IsZero() {
		m.QueueMS = milliseconds(s.Started.Sub(s.Created))
	}
	for i := range s.Nodes {
		n, p := &s.Nodes[i], &s.program.Nodes[i]
		nm := schemas.NodeMetrics{ID: p.ID, Status: n.Status, Attempts: n.Attempts, CallMS: n.CallMS, OutputBytes: int64(len(n.Output))}
		if n.OutputRef != nil {
			nm.OutputBytes = int64(n.OutputRef.Bytes)
		}
		if p.Kind == plan.KindCapability {
			nm.Capability = p.Realm + "." + p.Capability
		}
		m.NodeCounts[n.Status]++
		m.CallMS += n.CallMS
		m.Attempts += n.Attempts
		m.Retries += max(n.Attempts-1, 0)
		m.OutputBytes += nm.OutputBytes
		m.Nodes = append(m.Nodes, nm)
	}
	return m
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
