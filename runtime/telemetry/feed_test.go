package telemetry

import (
	"fmt"
	"sync"
	"testing"
)

func TestFeedGoesToSubscribers(t *testing.T) {
	var f Feed
	a, b, all := f.Subscribe("a", 4), f.Subscribe("b", 4), f.Subscribe("", 4)
	f.Publish(Update{ExecutionID: "a"})
	for name, s := range map[string]*Subscription{"a": a, "all": all} {
		if u := <-s.C; u.ExecutionID != "a" {
			t.Errorf("%s got %+v", name, u)
		}
	}
	if len(b.C) != 0 {
		t.Error("b received an update of a")
	}
	all.Close()
	if !f.Watched("a") || f.Watched("c") {
		t.Errorf("watched: a %v, c %v", f.Watched("a"), f.Watched("c"))
	}
	a.Close()
	a.Close()
	if f.Watched("a") || len(f.byID) != 1 {
		t.Errorf("closed subscriptions are kept: %v", f.byID)
	}
}

func TestSlowReaderIsDroppedAndKeepsItsBuffer(t *testing.T) {
	var f Feed
	slow := f.Subscribe("a", 2)
	for range 3 {
		f.Publish(Update{ExecutionID: "a"})
	}
	n := 0
	for range slow.C {
		n++
	}
	if n != 2 || f.Watched("a") {
		t.Errorf("read %d, watched %v", n, f.Watched("a"))
	}
	slow.Close()
}

func TestFeedIsSafeForConcurrentUse(t *testing.T) {
	var f Feed
	var wg sync.WaitGroup
	for i := range 8 {
		id := fmt.Sprint(i % 3)
		wg.Go(func() {
			for range 200 {
				s := f.Subscribe(id, 1)
				f.Publish(Update{ExecutionID: id})
				<-s.C
				s.Close()
			}
		})
	}
	wg.Wait()
	if len(f.byID) != 0 {
		t.Errorf("left: %v", f.byID)
	}
}
