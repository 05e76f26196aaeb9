package journal

import (
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// MaxWaitingFor is the most entries of waiting_for in a view.
const MaxWaitingFor = 100

// View is the execution as callers see it, without what is not in the state: id, name, session. While something can run, its
// cost does not grow with the plan.
func View(s *machine.State) schemas.Execution {
	held, others := s.WaitingUnits()
	v := schemas.Execution{
		Status: s.Status, Waiting: s.Waiting(), Priority: s.Priority, Degraded: s.Degraded,
		CreatedAt: s.Created, Error: s.Error, Output: s.Output, OutputRef: s.OutputRef,
		Progress: schemas.Progress{
			Total:     len(s.Program().Nodes),
			Succeeded: s.Count(schemas.NodeSucceeded) + s.Count(schemas.NodeCompensating) + s.Count(schemas.NodeCompensated),
			Failed:    s.Count(schemas.NodeFailed),
			Skipped:   s.Count(schemas.NodeSkipped),
			Running:   s.InFlight(),
			Waiting:   held + others,
		},
	}
	switch s.Status {
	case schemas.StatusSuspending, schemas.StatusSuspended, schemas.StatusCancelling:
		v.Reason = s.Reason
	}
	if !s.Started.IsZero() {
		v.StartedAt = new(s.Started)
	}
	if !s.Finished.IsZero() {
		v.FinishedAt = new(s.Finished)
	}
	if s.Held != "" {
		v.WaitingFor = []schemas.WaitingFor{{Reason: s.Held, Since: s.Suspended, Limit: s.Limit}}
	}
	if v.Waiting || held > 0 {
		v.WaitingFor = append(v.WaitingFor, waitingFor(s)...)
	}
	return v
}

func waitingFor(s *machine.State) []schemas.WaitingFor {
	var out []schemas.WaitingFor
	for _, wanted := range []func(*units.Unit) bool{heldForReview, heldOtherwise, unheld} { // what needs a person comes first
		out = waits(s, out, wanted)
	}
	return out
}

func heldForReview(u *units.Unit) bool {
	return u.Status == schemas.NodeHeld && u.Reason == schemas.ReasonReview
}

func heldOtherwise(u *units.Unit) bool {
	return u.Status == schemas.NodeHeld && u.Reason != schemas.ReasonReview
}

func unheld(u *units.Unit) bool { return u.Status != schemas.NodeHeld }

// waits appends the wanted units to the list of what the execution waits for.
func waits(s *machine.State, out []schemas.WaitingFor, wanted func(*units.Unit) bool) []schemas.WaitingFor {
	for i := range s.Units {
		u, n := &s.Units[i], s.Node(i)
		if !wanted(u) {
			continue
		}
		w := schemas.WaitingFor{NodeID: n.ID, Since: u.Since}
		if s.IsItem(i) {
			w.Item = new(u.Item)
		}
		if !u.Due.IsZero() {
			w.ExpiresAt = new(u.Due)
		}
		if u.Rounds != nil {
			w.Rounds = u.Rounds.Done
		}
		if u.MayRunUntil.After(u.Since) {
			w.MayRunUntil = new(u.MayRunUntil)
		}
		switch {
		case len(out) == MaxWaitingFor:
			return out
		case u.Status == schemas.NodeHeld:
			w.Reason, w.Question, w.Hidden = u.Reason, schemas.Visible(u.Question), schemas.HasHidden(u.Question)
			if n.Kind == plan.KindReview {
				w.Choices, w.Schema = n.Choices, n.Form
			}
		case u.Status == schemas.NodeBackingOff && u.Reason == string(schemas.CodeQuotaExceeded):
			w.Reason = schemas.ReasonBudget
		case u.Status == schemas.NodeBackingOff:
			w.Reason = schemas.ReasonTimer
		case u.Status != schemas.NodeRunning || u.Calling || u.Expanded:
			continue
		case u.Awaits != nil:
			w.Reason, w.State = schemas.ReasonState, u.Awaits
		case n.Kind == plan.KindWaitFor:
			w.Reason, w.EventName = schemas.ReasonEvent, n.Event
		case n.Kind == plan.KindWorkflow:
			w.Reason, w.Child = schemas.ReasonWorkflow, u.Child
		default:
			w.Reason = schemas.ReasonTimer
		}
		out = append(out, w)
	}
	return out
}

// NodeViews lists the nodes as callers see them; with the view failures only those that failed, are held, or have an error or
// failed items.
func NodeViews(s *machine.State, view schemas.View) []schemas.NodeView {
	out := []schemas.NodeView{}
	for i := range s.Program().Nodes {
		u := &s.Units[i]
		listed := view == schemas.ViewNodes || u.Status == schemas.NodeHeld || u.Status == schemas.NodeFailed || u.Error != nil
		if listed || u.Expanded && s.Items(i).Failed > 0 {
			out = append(out, nodeView(s, i))
		}
	}
	return out
}

// maxNotes is how many notes of its items the view of a node has.
const maxNotes = 5

// nodeView is one node as callers see it.
func nodeView(s *machine.State, node int) schemas.NodeView {
	u, p := &s.Units[node], &s.Program().Nodes[node]
	v := schemas.NodeView{
		ID: p.ID, Status: u.Status, Attempts: u.CallsMade(), Error: u.Error, Child: u.Child,
		Degraded: u.Degraded, ServedBy: u.ServedBy, AgeSeconds: u.Age, Notes: u.Notes, Output: u.Output, OutputRef: u.OutputRef,
	}
	if p.Kind == plan.KindCapability {
		v.Capability = p.Name()
	}
	if bytes := int(u.ContentBytes()); bytes > 0 {
		v.ContentRef = &schemas.OutputRef{NodeID: p.ID, Bytes: bytes}
	}
	if r := u.Rounds; r != nil {
		if v.Rounds = r.Done; u.BetweenRounds() && !u.Due.IsZero() {
			v.NextAt = new(u.Due)
		}
	}
	if u.Expanded {
		items := s.Items(node)
		v.Items = &items
		for i := range u.Count {
			item := &s.Units[u.FirstItem+i]
			v.Attempts += item.CallsMade()
			if len(v.Notes) < maxNotes && len(item.Notes) > 0 {
				v.Notes = append(v.Notes, fmt.Sprintf("item %d: %s", i, item.Notes[0]))
			}
		}
	}
	if !u.First.IsZero() && !u.Ended.IsZero() {
		v.DurationMS = milliseconds(u.Ended.Sub(u.First))
	}
	if len(u.Output) > schemas.MaxViewOutput {
		v.Output, v.OutputRef = nil, &schemas.OutputRef{NodeID: p.ID, Bytes: len(u.Output)}
	}
	return v
}

// metrics is counts and durations of the execution and its nodes.
func metrics(s *machine.State, now time.Time) schemas.ExecutionMetrics {
	end := s.Finished
	if end.IsZero() {
		end = now
	}
	m := schemas.ExecutionMetrics{
		Status: s.Status, Events: s.Seq, Recoveries: s.Takeovers,
		DurationMS: milliseconds(end.Sub(s.Created)),
		NodeCounts: map[schemas.NodeStatus]int{}, Nodes: []schemas.NodeMetrics{},
	}
	account := s.Account()
	m.Used, m.Limits = account.Used, account.Limits
	if limits := s.PlanLimits(); limits != (schemas.PlanLimits{}) {
		used := s.PlanUsed(now)
		used.Time = used.Time.Truncate()
		m.PlanLimits, m.PlanUsed = &limits, &used
	}
	if !s.Started.IsZero() {
		m.QueueMS = milliseconds(s.Started.Sub(s.Created))
	}
	for i := range s.Program().Nodes {
		u, p := &s.Units[i], &s.Program().Nodes[i]
		nm := schemas.NodeMetrics{ID: p.ID, Status: u.Status, OutputBytes: u.Bytes()}
		if p.Kind == plan.KindCapability {
			nm.Capability = p.Name()
		}
		m.NodeCounts[u.Status]++
		m.OutputBytes += nm.OutputBytes
		m.Nodes = append(m.Nodes, nm)
	}
	for i := range s.Units {
		u := &s.Units[i]
		nm := &m.Nodes[s.Node(i).Index]
		nm.Attempts += u.CallsMade()
		nm.CallMS += u.CallMS
		for code, n := range u.TurnedAway {
			nm.TurnedAway, m.TurnedAway = addCount(nm.TurnedAway, code, n), addCount(m.TurnedAway, code, n)
		}
		m.Attempts += u.CallsMade()
		first := 1 // calls that are no retries
		if r := u.Rounds; r != nil {
			nm.Rounds = r.Done
			if first = r.Done; !r.Started.IsZero() {
				first++
			}
		}
		m.Retries += max(u.CallsMade()-first, 0)
		m.CallMS += u.CallMS
	}
	return m
}

// addCount adds n to the count of a code.
func addCount(counts map[schemas.Code]int, code schemas.Code, n int) map[schemas.Code]int {
	if counts == nil {
		counts = map[schemas.Code]int{}
	}
	counts[code] += n
	return counts
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
