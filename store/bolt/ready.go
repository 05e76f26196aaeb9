package bolt

import (
	"container/heap"

	"github.com/runplane/runplane/store"
)

// ready holds the due wakes of one kind whose keys are not leased, in the order of claims: priorities by weight, then
// fairness keys in turn, then the longest due.
//
// The priorities share the claims by self-clocked weighted fair queuing: each has a finish tag, the virtual time at which its
// last claim finished, where a claim of priority p takes cost(p). The priority whose next claim would finish first is served
// next. The tag of a priority with nothing due rises to the current virtual time, the start of the last claim: it neither
// saves up claims nor loses what it was charged.
type ready struct {
	items  map[string]*item // by ID
	levels [store.Priorities]level
	now    int64 // the virtual time: the start of the last claim
	peak   int   // most items since the map was allocated
}

// level is one priority. A group that has items is in turns once, and moves to the end when it was served.
type level struct {
	priority int
	finish   int64 // the finish tag
	items    int
	groups   map[string]*group
	turns    []*group
	head     int // index of the next in turns
}

// cost is the virtual time that a claim of the priority takes.
func cost(priority int) int64 { return int64(store.Weight(1) / store.Weight(priority)) }

// group is a heap of one fairness key's items, longest due first.
type group struct {
	level    *level
	fairness string
	items    heapOf[*item]
	queued   bool // is in turns
}

type item struct {
	id    string
	at    int64
	group *group
	index int // in group.items
}

func (it *item) before(other *item) bool {
	return it.at < other.at || it.at == other.at && it.id < other.id
}
func (it *item) setIndex(i int) { it.index = i }

func newReady() ready {
	r := ready{items: map[string]*item{}}
	for i := range r.levels {
		r.levels[i] = level{priority: i + 1, groups: map[string]*group{}}
	}
	return r
}

func (r *ready) len() int { return len(r.items) }

// put adds the key, or moves it to where its wake now belongs. A priority out of range counts as the nearest one.
func (r *ready) put(id string, at int64, priority int, fairness []byte) {
	priority = min(max(priority, 1), store.Priorities)
	if it := r.items[id]; it != nil {
		if it.at == at && it.group.level.priority == priority && it.group.fairness == string(fairness) {
			return
		}
		r.remove(id)
	}
	l := &r.levels[priority-1]
	g := l.groups[string(fairness)]
	if g == nil {
		g = &group{level: l, fairness: string(fairness)}
		l.groups[g.fairness] = g
	}
	it := &item{id: id, at: at, group: g}
	r.items[id] = it
	r.peak = max(r.peak, len(r.items))
	heap.Push(&g.items, it)
	l.items++
	if !g.queued {
		g.queued = true
		l.turns = append(l.turns, g)
	}
}

// remove removes the key; a group that becomes empty is dropped when its turn comes.
func (r *ready) remove(id string) {
	if it := r.items[id]; it != nil {
		heap.Remove(&it.group.items, it.index)
		it.group.level.items--
		r.forget(id)
	}
}

// forget deletes the ID. When the last of very many is deleted it replaces the map, since a map never shrinks.
func (r *ready) forget(id string) {
	delete(r.items, id)
	if len(r.items) == 0 && r.peak > 1024 {
		r.items, r.peak = map[string]*item{}, 0
	}
}

// pop removes and returns the key that is to be claimed next.
func (r *ready) pop() (id string, ok bool) {
	l := r.nextLevel()
	if l == nil {
		return "", false
	}
	for {
		g := l.nextGroup()
		if len(g.items) == 0 {
			l.drop(g)
			continue
		}
		it := heap.Pop(&g.items).(*item)
		l.items--
		r.forget(it.id)
		if len(g.items) > 0 {
			l.turns = append(l.turns, g)
		} else {
			l.drop(g)
		}
		return it.id, true
	}
}

// nextLevel returns the priority that is served next and charges it; nil: nothing is ready.
func (r *ready) nextLevel() *level {
	var best *level
	for i := range r.levels {
		l := &r.levels[i]
		if l.items == 0 {
			l.finish = max(l.finish, r.now)
		} else if best == nil || l.finish+cost(l.priority) < best.finish+cost(best.priority) {
			best = l
		}
	}
	if best != nil {
		r.now = best.finish
		best.finish += cost(best.priority)
	}
	return best
}

// oldest is the earliest time of all ready wakes; false: there are none.
func (r *ready) oldest() (at int64, ok bool) {
	for i := range r.levels {
		for _, g := range r.levels[i].groups {
			if len(g.items) > 0 && (!ok || g.items[0].at < at) {
				at, ok = g.items[0].at, true
			}
		}
	}
	return at, ok
}

// drop deletes a group that has no items and is no longer in turns.
func (l *level) drop(g *group) {
	g.queued = false
	delete(l.groups, g.fairness)
}

// nextGroup removes the group whose turn it is from turns and returns it.
func (l *level) nextGroup() *group {
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
