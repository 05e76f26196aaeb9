package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/runplane/runplane/store"
)

// shares models which priority is served next, as the contract of Claim defines it: each priority has a finish tag, the virtual
// time at which its last claim finished; a claim takes the longer, the lower the priority's weight.
type shares struct {
	finish [store.Priorities]int
	start  int // virtual time at which the last claim started
}

// next returns the priority that is served next and charges it; 0: none has due keys.
func (s *shares) next(waiting [store.Priorities]int) (priority int) {
	cost := func(i int) int { return store.Weight(1) / store.Weight(i+1) }
	best := -1
	for i, n := range waiting {
		if n == 0 {
			s.finish[i] = max(s.finish[i], s.start)
		} else if best < 0 || s.finish[i]+cost(i) < s.finish[best]+cost(best) {
			best = i
		}
	}
	if best >= 0 {
		s.start = s.finish[best]
		s.finish[best] += cost(best)
	}
	return best + 1
}

var priorityTests = []test{
	{"the lowest number comes first, 0 counts as 3", func(f *fixture) {
		for i, p := range []int{5, 0, 1, 3, 2, 4} {
			at := time.Now().Add(-time.Duration(100-i) * time.Second)
			f.commit(store.Batch{Wakes: []store.Wake{{Key: key("x", fmt.Sprint("q/p", p)), At: at, Priority: p}}})
		}
		f.wantClaim("x", 10, "q/p1", "q/p2", "q/p0", "q/p3", "q/p4", "q/p5")
	}},
	{"each gets its share while all are due", func(f *fixture) {
		f.flood(map[int]int{1: 40, 2: 20, 3: 10, 4: 6, 5: 4})
		var got [store.Priorities]int
		for range 62 {
			for _, p := range f.served(1) {
				got[p-1]++
			}
		}
		if want := [store.Priorities]int{32, 16, 8, 4, 2}; got != want {
			f.Fatalf("62 claims by priority: %v, want %v", got, want)
		}
	}},
	{"a claim of several keys is like several claims", func(f *fixture) {
		f.flood(map[int]int{1: 8, 3: 8, 5: 8})
		s, waiting, want := shares{}, [store.Priorities]int{0: 8, 2: 8, 4: 8}, []int(nil)
		for range 24 {
			p := s.next(waiting)
			waiting[p-1]--
			want = append(want, p)
		}
		if got := f.served(24); !slices.Equal(got, want) {
			f.Fatalf("priorities %v, want %v", got, want)
		}
	}},
	{"priority 5 does not starve under load of priority 1", func(f *fixture) {
		f.flood(map[int]int{5: 1})
		for n := range 40 {
			f.flood(map[int]int{1: 2})
			if slices.Contains(f.served(1), 5) {
				if n < 10 {
					f.Fatalf("priority 5 was served after %d claims of priority 1", n)
				}
				return
			}
		}
		f.Fatal("priority 5 was not served in 40 claims")
	}},
	{"priority 5 does not starve under alternating load", func(f *fixture) {
		f.flood(map[int]int{5: 1})
		for n := range 60 {
			f.flood(map[int]int{1 + n%2: 1})
			if slices.Contains(f.served(1), 5) {
				return
			}
		}
		f.Fatal("priority 5 was not served in 60 claims")
	}},
	{"a priority without due keys saves up nothing", func(f *fixture) {
		f.flood(map[int]int{1: 120})
		f.served(100)
		f.flood(map[int]int{5: 10})
		if got := f.served(17); slices.Index(got, 5) < 10 || slices.Index(got, 5) != lastIndex(got, 5) {
			f.Fatalf("after priority 1 was alone: %v, want one 5 among 17, near the end", got)
		}
	}},
	{"the shares are exact under random load", func(f *fixture) {
		seed := uint64(time.Now().UnixNano())
		random := rand.New(rand.NewPCG(seed, 0))
		var s shares
		var waiting [store.Priorities]int
		for step := range 150 {
			if random.IntN(3) == 0 {
				more := map[int]int{}
				for range 1 + random.IntN(2) {
					p := 1 + random.IntN(store.Priorities)
					more[p] += 1 + random.IntN(8)
				}
				f.flood(more)
				for p, n := range more {
					waiting[p-1] += n
				}
				continue
			}
			n := 1 + random.IntN(4)
			var want []int
			for range n {
				p := s.next(waiting)
				if p == 0 {
					break
				}
				waiting[p-1]--
				want = append(want, p)
			}
			if got := f.served(n); !slices.Equal(got, want) {
				f.Fatalf("seed %d, step %d: priorities %v, want %v", seed, step, got, want)
			}
		}
	}},
}

// flood makes more keys due, a number for each priority, all in one partition.
func (f *fixture) flood(more map[int]int) {
	f.Helper()
	var b store.Batch
	for p, n := range more {
		for range n {
			f.serial++
			b.Wakes = append(b.Wakes, store.Wake{Key: key("x", fmt.Sprintf("q/%d-%d", p, f.serial)), At: time.Now().Add(-time.Second), Priority: p})
		}
	}
	f.commit(b)
}

// served claims up to n keys of flood and returns their priorities.
func (f *fixture) served(n int) (priorities []int) {
	f.Helper()
	for _, l := range f.claim("x", "w", n, time.Hour, 0) {
		p := 0
		if _, err := fmt.Sscanf(l.Key.ID, "q/%d-", &p); err != nil {
			f.Fatalf("claimed %q: %v", l.Key, err)
		}
		priorities = append(priorities, p)
	}
	return priorities
}

func lastIndex(list []int, v int) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == v {
			return i
		}
	}
	return -1
}
