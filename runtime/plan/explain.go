package plan

import (
	"fmt"
	"slices"

	"github.com/runplane/runplane/schemas"
)

// Explain describes the most that the program may do. A workflow counts as one node in waves and critical_path; what is
// inside it is counted in max_calls and listed as workflow/node in reviews and once_nodes.
func (p *Program) Explain() schemas.Explain {
	e := schemas.Explain{Waves: [][]string{}, CriticalPath: []string{}, Reviews: []string{}, OnceNodes: []string{}}
	wave := make([]int, len(p.Nodes))
	last := -1 // the end of the longest chain
	for _, i := range p.order() {
		n := &p.Nodes[i]
		for _, d := range n.Deps {
			wave[i] = max(wave[i], wave[d]+1)
		}
		if last < 0 || wave[i] > wave[last] {
			last = i
		}
	}
	p.edges(&e)
	for i := range p.Nodes {
		for len(e.Waves) <= wave[i] {
			e.Waves = append(e.Waves, nil)
		}
		e.Waves[wave[i]] = append(e.Waves[wave[i]], p.Nodes[i].ID)
	}
	for i := last; i >= 0; {
		e.CriticalPath = append(e.CriticalPath, p.Nodes[i].ID)
		before := -1
		for _, d := range p.Nodes[i].Deps {
			if wave[d] == wave[i]-1 {
				before = d
				break
			}
		}
		i = before
	}
	slices.Reverse(e.CriticalPath)
	most := p.Size().Most
	e.MaxCalls, e.MaxExecutions, e.MaxItems = int(p.summarise(&e, "")), int(most.Executions), int(most.Items)
	e.WorkflowBytes = int(most.Bytes)
	e.Secrets, e.Limits = p.secretNames(), p.Definition.Plan.Limits
	return e
}

// maxEdges is the most pairs of nodes that an explanation lists.
const maxEdges = 1000

// edges lists which node runs before which.
func (p *Program) edges(e *schemas.Explain) {
	for i := range p.Nodes {
		for _, d := range p.Nodes[i].Deps {
			if len(e.Edges) == maxEdges {
				e.MoreEdges++
				continue
			}
			e.Edges = append(e.Edges, []string{p.Nodes[d].ID, p.Nodes[i].ID})
		}
	}
}

// summarise lists the reviews and once nodes below a prefix and returns the largest number of calls.
func (p *Program) summarise(e *schemas.Explain, prefix string) int64 {
	total := int64(0)
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Kind == KindReview || n.Review || n.asksPerson {
			e.Reviews = append(e.Reviews, prefix+n.ID)
		}
		if n.Repeat != nil {
			e.Repeats = append(e.Repeats, fmt.Sprintf("%s%s (at most %d rounds)", prefix, n.ID, n.Repeat.Max))
		}
		if n.once() {
			e.OnceNodes = append(e.OnceNodes, prefix+n.ID)
		}
		calls := int64(n.maxCalls())
		if n.Sub != nil {
			calls = product(n.Sub.summarise(e, prefix+n.ID+"/"), int64(n.tries()))
		}
		items, _ := n.items()
		total = sum(total, product(int64(items), calls))
	}
	return total
}

// secretNames are the secrets that calls are sent with, in plans within the plan too, sorted, each once.
func (p *Program) secretNames() (names []string) {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		names = append(names, n.SecretNames()...)
		for _, f := range n.Fallbacks {
			if f.Target != nil {
				names = append(names, f.Target.SecretNames()...)
			}
		}
		if n.Compensate != nil {
			names = append(names, n.Compensate.SecretNames()...)
		}
		if n.Verify != nil {
			names = append(names, n.Verify.SecretNames()...)
		}
		if n.Sub != nil {
			names = append(names, n.Sub.secretNames()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// once reports whether the node, or a fallback of it, makes a call that is never repeated without a decision.
func (n *Node) once() bool {
	if n.Kind != KindCapability {
		return false
	}
	return n.Effect == schemas.EffectOnce ||
		slices.ContainsFunc(n.Fallbacks, func(f Fallback) bool { return f.Target != nil && f.Target.Effect == schemas.EffectOnce })
}

// maxCalls counts the attempts of one item if everything fails as late as it can: every try, after each of them the
// verification of what is unknown, every fallback, and the compensation.
func (n *Node) maxCalls() int {
	if n.Kind != KindCapability {
		return 0
	}
	calls := n.Retry.MaxAttempts // of one round
	if n.Verify != nil {
		calls = plus(calls, times(n.Retry.MaxAttempts, n.Verify.Retry.MaxAttempts))
	}
	for _, f := range n.Fallbacks {
		if f.Target != nil {
			calls = plus(calls, f.Target.Retry.MaxAttempts)
		}
	}
	calls = times(calls, n.rounds())
	if n.Compensate != nil {
		calls = plus(calls, n.Compensate.Retry.MaxAttempts)
	}
	return calls
}

// plus and times stop at the largest number instead of overflowing.
func plus(a, b int) int { return int(sum(int64(a), int64(b))) }

func times(a, b int) int { return int(product(int64(a), int64(b))) }
