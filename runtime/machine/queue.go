package machine

import (
	"container/heap"
	"time"
)

// queue is a FIFO of unit indexes. Entries are not removed when a unit changes: readers check the unit's status.
type queue struct {
	items []int
	head  int
}

func (q *queue) push(unit int) { q.items = append(q.items, unit) }

// pop removes the first entry, and reuses the memory once half of it is unused.
func (q *queue) pop() {
	q.head++
	if q.head*2 > len(q.items) {
		q.items = append(q.items[:0], q.items[q.head:]...)
		q.head = 0
	}
}

func (q *queue) len() int { return len(q.items) - q.head }

// at is the i-th entry from the head.
func (q *queue) at(i int) int { return q.items[q.head+i] }

// timers is a heap of due times. An entry counts while the unit still has that due time.
type timers []timer

type timer struct {
	due  time.Time
	unit int
}

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	if !t[i].due.Equal(t[j].due) {
		return t[i].due.Before(t[j].due)
	}
	return t[i].unit < t[j].unit
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	*t = old[:len(old)-1]
	return last
}

func (t *timers) push(due time.Time, unit int) { heap.Push(t, timer{due, unit}) }
func (t *timers) pop()                         { heap.Pop(t) }
