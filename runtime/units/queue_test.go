package units

import (
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// A queue gives out what was added, in order, however often it is emptied in between.
func TestQueueKeepsTheOrder(t *testing.T) {
	var q Queue
	next := 0
	for i := range 100 {
		q.Push(i)
		if i%3 == 2 {
			for range 2 {
				if got := q.At(0); got != next {
					t.Fatalf("got %d, want %d", got, next)
				}
				q.Pop()
				next++
			}
		}
	}
	if q.Len() != 100-next || q.At(1) != next+1 {
		t.Errorf("%d are left, the second is %d; want %d and %d", q.Len(), q.At(1), 100-next, next+1)
	}
}

// Timers come in the order of their times, and those that no longer count are dropped.
func TestTimersComeInOrder(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	list := []Unit{{Due: at(3)}, {Due: at(1), Status: schemas.NodeBackingOff}, {TotalDue: at(2), Phase: PhaseVerify}, {QueueDue: at(4)}}
	var timers Timers
	for unit, due := range []time.Time{at(3), at(1), at(2), at(4)} {
		timers.Add(due, unit)
	}
	if first, _ := timers.First(); first.Unit != 1 || !first.IsBackoffOf(&list[1]) {
		t.Errorf("first is %+v", first)
	}
	timers.Drop(list, Timer.IsTimerOf) // a backoff is none of them, and a total_timeout does not end a verification
	for _, want := range []int{0, 3} {
		if first, ok := timers.First(); !ok || first.Unit != want {
			t.Fatalf("got %+v, want unit %d", first, want)
		}
		timers.Remove()
	}
	if _, ok := timers.First(); ok {
		t.Error("a timer is left")
	}
}
