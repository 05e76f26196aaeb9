package plan

import (
	"slices"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// reach is what a template may read besides the nodes that ran before.
type reach byte

const (
	readsItem   reach = 1 << iota // item and index of for_each
	readsSelf                     // the node's own result
	readsOutput                   // the answer of a verification
	readsState                    // the state that is waited for
	readsErrors                   // why the node itself failed
	readsRound                    // previous and index of a node with repeat
	readsAnswer                   // the answer of a round
)

// around is what the calls of a node, and its values, may read of its list or its rounds.
func around(n *schemas.Node) (may reach) {
	if n.ForEach != nil {
		may |= readsItem
	}
	if n.Repeat != nil {
		may |= readsRound
	}
	return may
}

// placed is a template of a node and its place.
type placed struct {
	template *expr.Template
	at       string // JSON pointer below the node
	may      reach
}

// templates lists a node's templates. The pointers lead to where the plan has them written, bare forms included.
func (n *Node) templates(from *schemas.Node) []placed {
	list := make([]placed, 0, 4)
	add := func(t *expr.Template, at string, may reach) {
		if t != nil {
			list = append(list, placed{t, at, may})
		}
	}
	item := around(from)
	if n.ForEach != nil {
		add(n.ForEach, itemsAt(from), 0)
	}
	add(n.When, "/when", 0)
	if r := n.Repeat; r != nil {
		add(r.Until, "/repeat/until", readsRound|readsAnswer)
		add(r.Every, "/repeat/every", readsRound|readsAnswer)
		add(r.Collect, "/repeat/collect", readsRound|readsAnswer)
	}
	add(n.Inputs, "/inputs", item)
	add(n.Value, "/set", item)
	add(n.Wait, "/wait", 0)
	if a := n.Awaited; a != nil {
		add(a.Key, "/wait_for/state/key", 0)
		add(a.Until, "/wait_for/until", readsState)
	}
	add(n.Question, questionAt(from), 0)
	for k := range n.Fallbacks {
		f, at := &n.Fallbacks[k], schemas.PointerToItem("/fallback", k)
		add(f.Value, at+"/value", item|readsErrors)
		if f.Target != nil && f.Target.Inputs != n.Inputs {
			add(f.Target.Inputs, at+"/inputs", item|readsErrors)
		}
	}
	if n.Compensate != nil {
		add(n.Compensate.Inputs, "/compensate/inputs", item&readsItem|readsSelf)
	}
	if v := n.Verify; v != nil {
		const at = "/on_unknown/verify"
		add(v.Inputs, at+"/inputs", item)
		add(v.Happened, at+"/happened", item|readsOutput)
		add(v.Output, at+"/output", item|readsOutput)
	}
	return list
}

// itemsAt is the pointer to the list of a node.
func itemsAt(n *schemas.Node) string {
	if n.ForEach.Bare {
		return "/for_each"
	}
	return "/for_each/items"
}

// questionAt is the pointer to a review's question.
func questionAt(n *schemas.Node) string {
	if n.Review != nil && n.Review.Bare {
		return "/review"
	}
	return "/review/question"
}

// call is one place of a plan that names a capability.
type call struct {
	capability string
	at         string // JSON pointer below the node
	inputs     string // of its arguments; empty: it has none of its own
}

// callsOf lists the capabilities that a node names, its own first.
func callsOf(n *schemas.Node) []call {
	if n.Capability == "" && len(n.Fallback) == 0 && n.Compensate == nil && n.OnUnknown == nil {
		return nil
	}
	list := make([]call, 0, 1)
	if n.Capability != "" {
		list = append(list, call{n.Capability, "/capability", "/inputs"})
	}
	for k := range n.Fallback {
		f, at := &n.Fallback[k], schemas.PointerToItem("/fallback", k)
		switch {
		case f.Capability == "":
		case f.Bare:
			list = append(list, call{f.Capability, at, ""})
		case len(f.Inputs) == 0:
			list = append(list, call{f.Capability, at + "/capability", ""})
		default:
			list = append(list, call{f.Capability, at + "/capability", at + "/inputs"})
		}
	}
	if c := n.Compensate; c != nil && c.Capability != "" {
		if c.Bare {
			list = append(list, call{c.Capability, "/compensate", "/compensate/inputs"})
		} else {
			list = append(list, call{c.Capability, "/compensate/capability", "/compensate/inputs"})
		}
	}
	if u := n.OnUnknown; u != nil && u.Verify != nil && u.Verify.Capability != "" {
		list = append(list, call{u.Verify.Capability, "/on_unknown/verify/capability", "/on_unknown/verify/inputs"})
	}
	return list
}

// kindNames are the fields that give a node its kind.
var kindNames = []string{
	string(KindCapability), string(KindSet), string(KindWait), string(KindWaitFor), string(KindReview), string(KindWorkflow),
}

// kindsOf lists the kinds that a node is written with; it should be one.
func kindsOf(n *schemas.Node) []string {
	given := [...]bool{n.Capability != "", len(n.Set) > 0, n.Wait != "", n.WaitFor != nil, n.Review != nil, n.Workflow != nil}
	var kinds []string
	for i, name := range kindNames {
		if given[i] {
			kinds = append(kinds, name)
		}
	}
	return kinds
}

// definitionOf is the plan within a workflow node; nil when there is none.
func definitionOf(n *schemas.Node) *schemas.Plan {
	if n.Workflow == nil {
		return nil
	}
	return n.Workflow.Definition
}

// Realms lists the realms that the plan's capabilities name, in plans within the plan too, sorted, each once.
func Realms(p *schemas.Plan) []string {
	var names []string
	var visit func(p *schemas.Plan)
	visit = func(p *schemas.Plan) {
		for i := range p.Nodes {
			for _, c := range callsOf(&p.Nodes[i]) {
				if realm := realmOf(c.capability); realm != "" {
					names = append(names, realm)
				}
			}
			if d := definitionOf(&p.Nodes[i]); d != nil {
				visit(d)
			}
		}
	}
	visit(p)
	slices.Sort(names)
	return slices.Compact(names)
}
