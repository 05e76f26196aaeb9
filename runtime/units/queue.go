package units

import (
	"container/heap"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Queue is a FIFO of unit indexes. Entries are not removed when a unit changes: readers check the unit's status.
type Queue struct {
	items []int
	head  int
}

// Push adds a unit at the end.
func (q *Queue) Push(unit int) { q.items = append(q.items, unit) }

// Pop removes the first entry, and reuses the memory once half of it is unused.
func (q *Queue) Pop() {
	q.head++
	if q.head*2 > len(q.items) {
		q.items = append(q.items[:0], q.items[q.head:]...)
		q.head = 0
	}
}

// Len is the number of entries.
func (q *Queue) Len() int { return len(q.items) - q.head }

// At is the i-th entry from the head.
func (q *Queue) At(i int) int { return q.items[q.head+i] }

// Timers is a heap of due times. An entry counts while the unit still has that due time.
type Timers struct{ heap timerHeap }

// Timer is a time that a unit waits for.
type Timer struct {
	Due  time.Time
	Unit int
}

// Add adds a timer.
func (t *Timers) Add(due time.Time, unit int) { heap.Push(&t.heap, Timer{due, unit}) }

// First is the timer that is due first; ok reports whether there is one.
func (t *Timers) First() (first Timer, ok bool) {
	if len(t.heap) == 0 {
		return Timer{}, false
	}
	return t.heap[0], true
}

// Remove removes the first timer.
func (t *Timers) Remove() { heap.Pop(&t.heap) }

// Drop removes timers from the front until one of them counts.
func (t *Timers) Drop(list []Unit, counts func(Timer, *Unit) bool) {
	for len(t.heap) > 0 && !counts(t.heap[0], &list[t.heap[0].Unit]) {
		t.Remove()
	}
}

// IsBackoffOf reports whether the unit still backs off until the timer.
func (t Timer) IsBackoffOf(u *Unit) bool {
	return u.Status == schemas.NodeBackingOff && t.Due.Equal(u.Due)
}

// IsTimerOf reports whether the timer is still one of the unit's. Backoffs have timers of their own, see IsBackoffOf, and
// total_timeout does not end a verification: it counts again once that found that the call did not happen.
func (t Timer) IsTimerOf(u *Unit) bool {
	return t.Due.Equal(u.Due) && u.Status != schemas.NodeBackingOff ||
		t.Due.Equal(u.TotalDue) && u.Phase != PhaseVerify || t.Due.Equal(u.QueueDue)
}

type timerHeap []Timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if !h[i].Due.Equal(h[j].Due) {
		return h[i].Due.Before(h[j].Due)
	}
	return h[i].Unit < h[j].Unit
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)   { *h = append(*h, x.(Timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
