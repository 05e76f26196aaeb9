package plan

import (
	"regexp"
	"strconv"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Size is how large the tree of executions of a program can get. Numbers stop at [maxCount] instead of overflowing.
type Size struct {
	Most   schemas.Budget // executions below it, calls, items and, roughly, events if every retry is used and every list is as long as its limit
	Least  schemas.Budget // the same if every node succeeds, of those that certainly run, over lists that are known now
	Height int            // levels of executions below it
	Width  int            // executions below it that can be open at once
}

// maxCount is the largest number that every JSON client can read.
const maxCount = 1<<53 - 1

// Size returns how large the tree of executions of the program can get. It is computed once.
func (p *Program) Size() *Size { return p.size() }

// measure computes the Size of a program.
func (p *Program) measure() *Size {
	size := new(Size)
	for i := range p.Nodes {
		size.add(p, &p.Nodes[i])
	}
	size.Most.Events = sum(int64(16+8*len(p.Nodes)), sum(product(size.Most.Calls, 6),
		sum(product(size.Most.Items, 4), product(size.Most.Executions, 16))))
	return size
}

// StoredBytes counts those of the definition, which is stored with each execution of it. They are counted once.
func (p *Program) StoredBytes() int64 { return p.stored() }

func (p *Program) measureStored() int64 {
	raw, err := schemas.Encode(p.Definition)
	if err != nil { // then no execution of it can be stored
		return maxCount
	}
	return int64(len(raw))
}

// add adds what a node contributes.
func (z *Size) add(p *Program, n *Node) {
	items, known := n.items()
	most := schemas.Budget{Calls: int64(n.maxStarts())}
	least := schemas.Budget{}
	if n.Kind == KindCapability && !n.Review {
		least.Calls = 1
	}
	if n.Sub != nil {
		inner := n.Sub.Size()
		tries := int64(n.tries())
		most = counts(inner.Most, tries)
		most = totals(most, schemas.Budget{Executions: tries, Calls: tries, Bytes: product(n.Sub.StoredBytes(), tries)})
		least = totals(inner.Least, schemas.Budget{Executions: 1, Calls: 1, Bytes: n.Sub.StoredBytes() - n.replaced(p)})
		z.Height = max(z.Height, 1+inner.Height)
		z.Width = int(sum(int64(z.Width), product(int64(n.atOnce(p, items)), int64(1+inner.Width))))
	}
	if n.ForEach != nil {
		most, least = counts(most, int64(items)), counts(least, int64(items))
		most.Items, least.Items = sum(most.Items, int64(items)), sum(least.Items, int64(items))
	}
	z.Most = totals(z.Most, most)
	if n.certain() && known {
		z.Least = totals(z.Least, least)
	}
}

// replaced is how many bytes of the definition of a workflow the inputs of its node may replace.
func (n *Node) replaced(p *Program) int64 {
	if len(p.Definition.Plan.Nodes[n.Index].Inputs) == 0 {
		return 0
	}
	return int64(len(n.Sub.Definition.Plan.Inputs))
}

// certain reports whether the node runs if all nodes before it succeed.
func (n *Node) certain() bool {
	return n.When == nil && (n.Rule == schemas.AllSuccess || n.Rule == schemas.NoneFailed || n.Rule == schemas.AllDone)
}

// tries is how many executions a workflow node makes at most, one after the other.
func (n *Node) tries() int {
	if !n.RetryExplicit {
		return n.rounds()
	}
	return times(max(n.Retry.MaxAttempts, 1), n.rounds())
}

// maxStarts counts the attempts of one item at most, as an execution counts them.
func (n *Node) maxStarts() int {
	switch n.Kind {
	case KindCapability:
		return n.maxCalls()
	case KindWait, KindWaitFor:
		return 1
	}
	return 0
}

// atOnce is how many items of a workflow node can be open at once.
func (n *Node) atOnce(p *Program, items int) int {
	if n.ForEach == nil {
		return 1
	}
	if n.MaxParallel > 0 {
		return min(items, n.MaxParallel)
	}
	if all := p.Definition.Plan.MaxParallel; all > 0 {
		return min(items, all)
	}
	return items
}

// items is how often the node runs at most; known: exactly so often, as the list is written out or a range. Nothing is evaluated.
func (n *Node) items() (count int, known bool) {
	if n.ForEach == nil {
		return 1, true
	}
	if whole := n.ForEach.Whole(); whole != nil {
		if m := countedRange.FindStringSubmatch(whole.Text); m != nil {
			if count, err := strconv.Atoi(m[1]); err == nil && count <= n.MaxItems {
				return count, true
			}
		}
		return n.MaxItems, false
	}
	doc, _ := n.ForEach.Sample()
	if list, err := document.Parse(string(doc)); err == nil && list.Kind == '[' {
		return len(list.Items), true
	}
	return n.MaxItems, false
}

var countedRange = regexp.MustCompile(`^lists\.range\(\s*([0-9]{1,9})\s*\)$`)

// counts multiplies what can be counted before a program runs.
func counts(b schemas.Budget, by int64) schemas.Budget {
	return schemas.Budget{Executions: product(b.Executions, by), Calls: product(b.Calls, by), Items: product(b.Items, by),
		Bytes: product(b.Bytes, by)}
}

// totals adds what can be counted before a program runs.
func totals(a, b schemas.Budget) schemas.Budget {
	return schemas.Budget{
		Executions: sum(a.Executions, b.Executions), Calls: sum(a.Calls, b.Calls), Items: sum(a.Items, b.Items), Bytes: sum(a.Bytes, b.Bytes),
	}
}

func sum(a, b int64) int64 { return min(a+b, maxCount) }

func product(a, b int64) int64 {
	if a != 0 && b > maxCount/a {
		return maxCount
	}
	return min(a*b, maxCount)
}
