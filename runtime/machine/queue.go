package machine

import (
	"container/heap"
	"time"
)

// queue is a FIFO of node indexes. Entries are not removed when a node changes: readers check the node's status.
type queue struct {
	items []int
	head  int
}

func (q *queue) push(node int) { q.items = append(q.items, node) }

// pop drops the first entry and gives the room back once half of it is used up.
func (q *queue) pop() {
	q.head++
	if q.head*2 > len(q.items) {
		q.items = append(q.items[:0], q.items[q.head:]...)
		q.head = 0
	}
}

func (q *queue) len() int { return len(q.items) - q.head }

// at is the i-th entry behind the head.
func (q *queue) at(i int) int { return q.items[q.head+i] }

// timers is a heap of due times. An entry counts while the node still has that due time.
type timers []timer

type timer struct {
	due  time.Time
	node int
}

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	if !t[i].due.Equal(t[j].due) {
		return t[i].due.Before(t[j].due)
	}
	return t[i].node < t[j].node
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	*t = old[:len(old)-1]
	return last
}

func (t *timers) push(due time.Time, node int) { heap.Push(t, timer{due, node}) }
func (t *timers) pop()                         { heap.Pop(t) }
