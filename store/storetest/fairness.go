package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/store"
)

var fairnessTests = []test{
	{"fairness keys take turns", testFairness},
	{"while all are due, each round serves each once", func(f *fixture) {
		f.flows(5, "a", "b", "c")
		for round := range 5 {
			got := f.turns(3)
			slices.Sort(got)
			if !slices.Equal(got, []string{"a", "b", "c"}) {
				f.Fatalf("round %d: %v, want a, b and c", round, got)
			}
		}
	}},
	{"a later key gets a turn soon, and no more than its share", func(f *fixture) {
		f.flows(20, "a", "b")
		f.turns(10)
		f.flows(10, "c")
		got := f.turns(9)
		n := len(got) - len(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s == "c" }))
		if !slices.Contains(got[:3], "c") || n < 2 || n > 4 {
			f.Fatalf("got %v, want c within 3 and 3 times in all", got)
		}
	}},
	{"10,000 keys of one do not delay 3 of another", func(f *fixture) {
		for range 5 {
			f.flows(2000, "busy")
		}
		f.flows(3, "calm")
		got := f.turns(8)
		if n := len(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != "calm" })); n != 3 {
			f.Fatalf("of 8 claims %d went to the calm one, want 3: %v", n, got)
		}
	}},
	{"a served key comes after the others of its priority", func(f *fixture) {
		// One tenant makes its key due again each time it is served, another has three due keys: neither starves.
		now := time.Now()
		busy := key("x", "q/busy")
		wake := store.Wake{Key: busy, At: now.Add(-time.Hour), Fairness: "busy"}
		f.commit(store.Batch{Wakes: []store.Wake{wake}})
		for i := range 3 {
			f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", fmt.Sprint("q/calm", i)), At: now.Add(-time.Minute), Fairness: "calm"}}})
		}
		seen := 0
		for range 6 {
			for _, l := range f.claim("x", "w", 1, time.Hour, 0) {
				if l.Key == busy {
					f.commit(store.Batch{Wakes: []store.Wake{wake}, Release: &l})
				} else {
					seen++
				}
			}
		}
		if seen < 2 {
			f.Fatalf("of 6 claims %d went to the calm tenant, want at least 2", seen)
		}
	}},
}

// flows makes n more keys due for each fairness key, those of the first one earliest.
func (f *fixture) flows(n int, fairness ...string) {
	f.Helper()
	var b store.Batch
	for i, flow := range fairness {
		for range n {
			f.serial++
			at := time.Now().Add(-time.Hour * time.Duration(len(fairness)-i))
			b.Wakes = append(b.Wakes, store.Wake{Key: key("x", fmt.Sprintf("q/%s-%d", flow, f.serial)), At: at, Fairness: flow})
		}
	}
	f.commit(b)
}

// turns claims n keys of flows, one at a time, and returns their fairness keys.
func (f *fixture) turns(n int) (fairness []string) {
	f.Helper()
	for range n {
		ls := f.claim("x", "w", 1, time.Hour, 0)
		if len(ls) != 1 {
			f.Fatalf("claimed %v, want one key", ls)
		}
		flow, _, _ := strings.Cut(strings.TrimPrefix(ls[0].Key.ID, "q/"), "-")
		fairness = append(fairness, flow)
	}
	return fairness
}

func testFairness(f *fixture) {
	now := time.Now()
	wake := func(id, fairness string, ago, priority int) {
		at := now.Add(-time.Duration(ago) * time.Second)
		f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", "q/"+id), At: at, Priority: priority, Fairness: fairness}}})
	}
	// Tenant a is first, with five keys; b and c have two and one, which must not wait for all of a's.
	for i := range 5 {
		wake(fmt.Sprint("a", i), "a", 100-i, 3)
	}
	wake("b0", "b", 50, 3)
	wake("b1", "b", 49, 3)
	wake("c0", "c", 10, 3)
	wake("a-urgent", "a", 1, 1)

	var order []string
	for range 9 {
		for _, l := range f.claim("x", "w", 1, time.Hour, 0) {
			order = append(order, strings.TrimPrefix(l.Key.ID, "q/"))
		}
	}
	if len(order) != 9 || order[0] != "a-urgent" {
		f.Fatalf("claimed %v, want all nine, a-urgent first", order)
	}
	place := func(id string) int { return slices.Index(order, id) }
	for _, id := range []string{"a0", "b0", "c0"} {
		if place(id) > 3 {
			f.Errorf("claimed %v: %s did not get its tenant's first turn", order, id)
		}
	}
	if place("b1") > 5 {
		f.Errorf("claimed %v: b1 did not get its tenant's second turn", order)
	}
	for _, pair := range [][2]string{{"a0", "a1"}, {"a1", "a2"}, {"a2", "a3"}, {"a3", "a4"}, {"b0", "b1"}} {
		if place(pair[0]) > place(pair[1]) {
			f.Errorf("claimed %v: %s came after %s", order, pair[0], pair[1])
		}
	}
}
