package schemas

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// The methods Brief return a result within a number of bytes of JSON. What it has no room for is left out and can be read by its field more.

// frame is room for what an answer has beside the parts that may be large.
const frame = 600

// Brief shortens texts and leaves out findings, which it counts.
func (e *Error) Brief(most int) *Error {
	if e == nil || Size(e) <= most {
		return e
	}
	return e.With(func(e *Error) {
		e.Message, e.Hint = cutTo(e.Message, most/2), cutTo(e.Hint, most/4)
		e.Candidates, _ = fit(e.Candidates, most/8)
		all := len(e.Findings)
		if all == 0 {
			return
		}
		found := e.Findings
		e.Findings = nil
		const last = 200 // of the finding that counts the others
		if e.Findings, _ = fit(found, most-Size(e)-last); len(e.Findings) < all {
			e.Findings = append(slices.Clone(e.Findings), Finding{
				Severity: SeverityError, Code: "too_large", Message: fmt.Sprintf("and %d more; repair these first", all-len(e.Findings)),
			})
		}
	})
}

// cutTo cuts a text whose JSON is longer than most; empty: nothing of it has room.
func cutTo(s string, most int) string {
	const mark = "… (cut)"
	for limit := most; Size(s) > most; limit = limit * 3 / 4 {
		if limit <= len(mark) {
			return ""
		}
		s = Cut(s, limit, mark)
	}
	return s
}

// SameErrors lists nodes that ended with the same error once: the first, with the ids of the others.
func SameErrors(nodes []NodeView) []NodeView {
	var list []NodeView
	first := map[string]int{}
	for i := range nodes {
		n := nodes[i]
		if n.Error == nil || n.Items != nil || n.Child != "" || len(n.Output) > 0 {
			list = append(list, n)
			continue
		}
		raw, _ := Encode(n.Error) // an error that does not encode is in no answer
		key := string(n.Status) + string(raw)
		at, known := first[key]
		if !known {
			first[key] = len(list)
			list = append(list, n)
			continue
		}
		list[at].SameError = append(list[at].SameError, n.ID)
	}
	return list
}

// shown are the nodes with shorter parts.
func (e *Execution) shown(part int) []NodeView {
	nodes := SameErrors(e.Nodes)
	for i := range nodes {
		n := &nodes[i]
		n.Error = n.Error.Brief(part)
		if len(n.Output) > part {
			n.Output, n.OutputRef = nil, &OutputRef{NodeID: n.ID, Bytes: len(n.Output)}
		}
		if ids, _ := fit(n.SameError, part); len(ids) < len(n.SameError) {
			n.MoreSame = len(n.SameError) - len(ids)
			n.SameError = ids
		}
		n.Notes, _ = fit(n.Notes, part)
		if n.Items != nil {
			items := *n.Items
			items.Errors = slices.Clone(items.Errors)
			for k := range items.Errors {
				items.Errors[k].Error = items.Errors[k].Error.Brief(part / 4)
			}
			items.Errors, _ = fit(items.Errors, part)
			n.Items = &items
		}
	}
	return nodes
}

// Brief is within most bytes.
func (e Execution) Brief(most int) Execution {
	whole := Size(e)
	if whole <= most {
		return e
	}
	view := ViewSummary
	if len(e.Nodes) > 0 {
		view = ViewNodes
	}
	short := e
	short.Output, short.Nodes, short.WaitingFor = nil, nil, nil
	short.Name, short.Reason, short.Hint = cutTo(e.Name, most/16), cutTo(e.Reason, most/16), cutTo(e.Hint, most/8)
	short.Error = e.Error.Brief(most / 4)
	short.More = NewRef(whole, "execution", e.ExecutionID, string(view))
	left := most - Size(short) - 100
	waits := slices.Clone(e.WaitingFor)
	room := left / 2
	share := room / max(len(waits), 1) // so that each says at least what it is
	tight := Size(waits) > room
	for i := range waits {
		if w := &waits[i]; tight && Size(w) > share {
			w.Question, w.Schema = cutTo(w.Question, max(share/2, 40)), nil
			w.Choices, _ = fit(w.Choices, max(share/4, 40))
		}
	}
	var used int
	short.WaitingFor, used = fit(waits, room)
	left -= used
	if len(e.Output) > 0 && len(e.Output) > left-len(e.Nodes)*200 {
		short.OutputRef = &OutputRef{NodeID: "$output", Bytes: len(e.Output)}
	} else {
		short.Output = e.Output
		left -= len(e.Output)
	}
	short.Nodes = fitNodes(e.shown(max(most/16, 200)), left)
	return short
}

// rankOf says which nodes are shown first where there is no room for all: those that need a person.
func rankOf(s NodeStatus) int {
	switch s {
	case NodeFailed:
		return 0
	case NodeHeld:
		return 1
	case NodeSucceeded:
		return 3
	case NodePending, NodeSkipped:
		return 4
	}
	return 2
}

// fitNodes returns the nodes for which there is room, in their order.
func fitNodes(nodes []NodeView, room int) []NodeView {
	order := make([]int, len(nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rankOf(nodes[a].Status), rankOf(nodes[b].Status)) })
	n := 0
	for ; n < len(order); n++ {
		if room -= Size(nodes[order[n]]) + 1; room < 0 {
			break
		}
	}
	slices.Sort(order[:n])
	fitting := make([]NodeView, n)
	for i, at := range order[:n] {
		fitting[i] = nodes[at]
	}
	return fitting
}

// Brief leaves out the nodes whose calls took least.
func (m ExecutionMetrics) Brief(most int) ExecutionMetrics {
	whole := Size(m)
	if whole <= most {
		return m
	}
	nodes := slices.Clone(m.Nodes)
	slices.SortStableFunc(nodes, func(a, b NodeMetrics) int {
		return cmp.Or(cmp.Compare(b.CallMS, a.CallMS), cmp.Compare(b.Attempts, a.Attempts))
	})
	m.Nodes = nil
	m.More = NewRef(whole, "metrics", m.ExecutionID)
	m.Nodes, _ = fit(nodes, most-Size(m)-20)
	return m
}

// Brief leaves out the data, the context, or both.
func (s State) Brief(most int) State {
	if len(s.StateData)+len(s.Context) <= most-2*len(s.StateKey)-2*len(s.StateType)-frame || Size(s) <= most {
		return s
	}
	whole := Size(s)
	data, about := s.StateData, s.Context
	s.StateData, s.Context = nil, nil
	s.More = NewRef(whole, "state", s.StateType, s.StateKey, strconv.FormatInt(s.Version, 10))
	left := most - Size(s) - 40
	if len(about) <= left {
		s.Context, left = about, left-len(about)
	}
	if len(data) <= left {
		s.StateData = data
	}
	return s
}

// Brief leaves out the data, the user's context, or both.
func (s Session) Brief(most int) Session {
	if len(s.Data)+len(s.UserContext) <= most-2*len(s.AgentID)-frame || Size(s) <= most {
		return s
	}
	whole := Size(s)
	data, about := s.Data, s.UserContext
	s.Data, s.UserContext = nil, nil
	s.More = NewRef(whole, "session", s.SessionID, strconv.FormatInt(s.Version, 10))
	left := most - Size(s) - 40
	if len(about) <= left {
		s.UserContext, left = about, left-len(about)
	}
	if len(data) <= left {
		s.Data = data
	}
	return s
}

// Brief shortens the description and leaves out large inputs of the schedule and its older firings.
func (w WorkflowInfo) Brief(most int) WorkflowInfo {
	whole := Size(w)
	if whole <= most {
		return w
	}
	w.More = NewRef(whole, "workflow", w.Name)
	if w.Description = cutTo(w.Description, most/4); w.Schedule == nil {
		return w
	}
	s := *w.Schedule
	if len(s.Inputs) > most/4 {
		s.Inputs = nil
	}
	s.Last, _ = fit(s.Last, most/8)
	s.Due, _ = fit(s.Due, most/16)
	s.Next, _ = fit(s.Next, most/16)
	w.Schedule = &s
	return w
}

// Brief shortens WorkflowInfo, shows the latest versions and executions, and leaves out a large input schema.
func (w WorkflowStatus) Brief(most int) WorkflowStatus {
	whole := Size(w)
	if whole <= most {
		return w
	}
	latest := w.Latest
	w.WorkflowInfo = w.WorkflowInfo.Brief(most / 4)
	w.More = NewRef(whole, "workflow", w.Name)
	w.Latest, w.Versions = []Execution{}, slices.Clone(w.Versions[max(0, len(w.Versions)-50):])
	if len(w.InputSchema) > most/4 {
		w.InputSchema = nil
	}
	left := most - Size(w)
	for i := range latest {
		e := latest[i].Brief(most / 8)
		if left -= Size(e) + 1; left < 0 {
			break
		}
		w.Latest = append(w.Latest, e)
	}
	return w
}

// Brief leaves out the schema of the output, then the annotations and limits, and shows large arguments in short.
func (c Capability) Brief(most int) Capability {
	whole := Size(c)
	if whole <= most {
		return c
	}
	c.More = NewRef(whole, "capability", c.Realm, c.CapabilityName)
	for _, shorten := range []func(){
		func() { c.OutputSchema = nil },
		func() { c.Warnings, _ = fit(c.Warnings, most/16) },
		func() { c.Description = cutTo(c.Description, most/4) },
		func() { c.Annotations = nil },
		func() { c.Arguments, c.InputSchema = cutTo(ArgumentsOf(c.InputSchema), most/4), nil },
		func() { c.Health, c.Limits, c.Breaker = nil, nil, nil },
	} {
		if shorten(); Size(c) <= most {
			break
		}
	}
	return c
}

// Brief leaves out ids of the explanation, which it counts.
func (v Validation) Brief(most int) Validation {
	if v.Explain == nil || Size(v) <= most {
		return v
	}
	x := *v.Explain
	whole := x
	x.Waves, x.Edges, x.CriticalPath, x.Reviews, x.OnceNodes, x.Repeats, x.Secrets = [][]string{}, nil, []string{}, []string{}, []string{}, nil, nil
	v.Explain = &x
	left := most - Size(v) - 100
	cut := func(list []string, room int) []string {
		kept, used := fit(list, room)
		x.MoreIDs += len(list) - len(kept)
		left -= used
		return kept
	}
	x.Reviews, x.OnceNodes = cut(whole.Reviews, left/4), cut(whole.OnceNodes, left/4)
	x.Secrets, x.Repeats = cut(whole.Secrets, left/4), cut(whole.Repeats, left/4)
	x.CriticalPath = cut(whole.CriticalPath, left/3)
	for i, wave := range whole.Waves {
		ids := cut(wave, max(left/2-10, 0))
		if left -= 4; len(ids) > 0 {
			x.Waves = append(x.Waves, ids)
		}
		if len(ids) < len(wave) {
			for _, later := range whole.Waves[i+1:] {
				x.MoreIDs += len(later)
			}
			break
		}
	}
	x.Edges, _ = fit(whole.Edges, left)
	x.MoreEdges += len(whole.Edges) - len(x.Edges)
	return v
}

// Brief shows what is wrong before what is not.
func (h Health) Brief(most int) Health {
	whole := Size(h)
	if whole <= most {
		return h
	}
	rank := map[HealthStatus]int{HealthDown: 0, HealthDegraded: 1, HealthOK: 2}
	checks := slices.Clone(h.Checks)
	slices.SortStableFunc(checks, func(a, b Check) int { return cmp.Compare(rank[a.Status], rank[b.Status]) })
	for i := range checks {
		c := &checks[i]
		c.Message, c.Cure, c.Realm = cutTo(c.Message, most/16), cutTo(c.Cure, most/16), nil
	}
	h.Checks = nil
	h.More = NewRef(whole, "health")
	h.Checks, _ = fit(checks, most-Size(h)-20)
	return h
}

// Brief leaves out the output, data and texts of the event.
func (e Event) Brief(most int) Event {
	if Size(e) <= most {
		return e
	}
	e.Cut = true
	if len(e.Output) > 0 && e.Node != "" {
		e.OutputRef = &OutputRef{NodeID: e.Node, Bytes: len(e.Output)}
	}
	e.Output, e.Text, e.Content, e.Data, e.Patch, e.Errors = nil, "", nil, nil, nil, nil
	e.Error, e.Reason = e.Error.Brief(most/4), cutTo(e.Reason, most/8)
	e.Notes, _ = fit(e.Notes, most/8)
	return e
}
