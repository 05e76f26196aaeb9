package bolt

import (
	"container/heap"
	"slices"
)

// ready holds the due wakes of one kind that nobody leases, in the order of claims: lowest priority number, then the
// fairness keys in turn, then the longest due.
type ready struct {
	items  map[string]*item // by ID
	levels []*level         // by priority, ascending
	peak   int              // most items since items was made
}

// level is one priority. A group that has items stands in turns once; it goes to the end when it was served.
type level struct {
	priority int
	groups   map[string]*group
	turns    []*group
	head     int // turns before it were taken
}

// group is a heap of one fairness key's items, longest due first.
type group struct {
	level    *level
	fairness string
	items    []*item
	queued   bool // stands in turns
}

type item struct {
	id    string
	at    int64
	group *group
	index int // in group.items
}

func newReady() ready { return ready{items: map[string]*item{}} }

func (r *ready) len() int { return len(r.items) }

// put adds the key, or moves it to where its wake now belongs.
func (r *ready) put(id string, at int64, priority int, fairness []byte) {
	if it := r.items[id]; it != nil {
		if it.at == at && it.group.level.priority == priority && it.group.fairness == string(fairness) {
			return
		}
		r.remove(id)
	}
	l := r.level(priority)
	g := l.groups[string(fairness)]
	if g == nil {
		g = &group{level: l, fairness: string(fairness)}
		l.groups[g.fairness] = g
	}
	it := &item{id: id, at: at, group: g}
	r.items[id] = it
	r.peak = max(r.peak, len(r.items))
	heap.Push(g, it)
	if !g.queued {
		g.queued = true
		l.turns = append(l.turns, g)
	}
}

// remove forgets the key; its group, if that leaves it empty, falls away at its turn.
func (r *ready) remove(id string) {
	if it := r.items[id]; it != nil {
		heap.Remove(it.group, it.index)
		r.forget(id)
	}
}

// forget drops the ID; after a flood it gives the memory back, which a map does not do by itself.
func (r *ready) forget(id string) {
	delete(r.items, id)
	if len(r.items) == 0 && r.peak > 1024 {
		r.items, r.peak = map[string]*item{}, 0
	}
}

// pop takes the key that is to be claimed next.
func (r *ready) pop() (id string, ok bool) {
	for _, l := range r.levels {
		for l.head < len(l.turns) {
			g := l.next()
			if len(g.items) == 0 {
				g.queued = false
				delete(l.groups, g.fairness)
				continue
			}
			it := heap.Pop(g).(*item)
			r.forget(it.id)
			if len(g.items) > 0 {
				l.turns = append(l.turns, g)
			} else {
				g.queued = false
				delete(l.groups, g.fairness)
			}
			return it.id, true
		}
	}
	return "", false
}

// next takes the group whose turn it is out of turns.
func (l *level) next() *group {
	g := l.turns[l.head]
	l.turns[l.head] = nil
	l.head++
	if l.head == len(l.turns) {
		l.turns, l.head = l.turns[:0], 0
	} else if l.head > 64 && l.head > len(l.turns)/2 {
		n := copy(l.turns, l.turns[l.head:])
		clear(l.turns[n:])
		l.turns, l.head = l.turns[:n], 0
	}
	return g
}

func (r *ready) level(priority int) *level {
	at, ok := slices.BinarySearchFunc(r.levels, priority, func(l *level, p int) int { return l.priority - p })
	if !ok {
		r.levels = slices.Insert(r.levels, at, &level{priority: priority, groups: map[string]*group{}})
	}
	return r.levels[at]
}

func (g *group) Len() int { return len(g.items) }

func (g *group) Less(i, j int) bool {
	a, b := g.items[i], g.items[j]
	return a.at < b.at || a.at == b.at && a.id < b.id
}

func (g *group) Swap(i, j int) {
	g.items[i], g.items[j] = g.items[j], g.items[i]
	g.items[i].index, g.items[j].index = i, j
}

func (g *group) Push(x any) {
	it := x.(*item)
	it.index = len(g.items)
	g.items = append(g.items, it)
}

func (g *group) Pop() any {
	last := len(g.items) - 1
	it := g.items[last]
	g.items[last] = nil
	g.items = g.items[:last]
	return it
}
