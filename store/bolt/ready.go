package bolt

import (
	"container/heap"

	"github.com/runplane/runplane/store"
)

// ready holds the due wakes of one kind that nobody leases, in the order of claims: the priorities by their weights, then the
// fairness keys in turn, then the longest due.
//
// The priorities share the claims by self-clocked weighted fair queuing: each has a tag, where its last claim finished in a
// virtual time in which a claim of priority p takes cost(p). The one whose next claim would finish first is next. A
// priority with nothing due takes part from the present time on, which is where the last claim started: it neither saves up
// claims nor loses what it was charged.
type ready struct {
	items  map[string]*item // by ID
	levels [store.Priorities]level
	now    int64 // the virtual time: the start of the last claim
	peak   int   // most items since items was made
}

// level is one priority. A group that has items stands in turns once; it goes to the end when it was served.
type level struct {
	priority int
	finish   int64 // the tag: where the last claim of the priority finished in virtual time
	items    int
	groups   map[string]*group
	turns    []*group
	head     int // turns before it were taken
}

// cost is what one claim of the priority takes of the virtual time.
func cost(priority int) int64 { return int64(store.Weight(1) / store.Weight(priority)) }

// group is a heap of one fairness key's items, longest due first.
type group struct {
	level    *level
	fairness string
	items    heapOf[*item]
	queued   bool // stands in turns
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

// put adds the key, or moves it to where its wake now belongs. A priority beyond the ends counts as the end.
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

// remove forgets the key; its group, if that leaves it empty, falls away at its turn.
func (r *ready) remove(id string) {
	if it := r.items[id]; it != nil {
		heap.Remove(&it.group.items, it.index)
		it.group.level.items--
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
	l := r.turn()
	if l == nil {
		return "", false
	}
	for {
		g := l.next()
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

// turn says which priority is served next, and charges it; nil: nothing is ready.
func (r *ready) turn() *level {
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

// oldest is the least time of all that are ready; false: none is.
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

// drop forgets a group without items that does not stand in turns any more.
func (l *level) drop(g *group) {
	g.queued = false
	delete(l.groups, g.fairness)
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
