package bolt

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestReadyKeepsItsOrder compares ready with a model that searches all keys for the next one: the priority whose claim
// finishes first in virtual time, then the fairness key that has waited longest for its turn, then the longest due.
func TestReadyKeepsItsOrder(t *testing.T) {
	type entry struct {
		id       string
		at       int64
		priority int
		fairness string
	}
	rapid.Check(t, func(t *rapid.T) {
		r := newReady()
		model := map[string]entry{}
		turns := map[int][]string{} // by priority: the fairness keys in the order of their turns
		finish, now := map[int]int{}, 0
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := entry{fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id")), int64(rapid.IntRange(0, 9).Draw(t, "at")),
					rapid.IntRange(1, 5).Draw(t, "priority"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "fairness")}
				r.put(e.id, e.at, e.priority, []byte(e.fairness))
				model[e.id] = e
				if !slices.Contains(turns[e.priority], e.fairness) {
					turns[e.priority] = append(turns[e.priority], e.fairness)
				}
			},
			"remove": func(t *rapid.T) {
				id := fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id"))
				r.remove(id)
				delete(model, id)
			},
			"pop": func(t *rapid.T) {
				has := func(priority int, fairness string) (best *entry) {
					for _, e := range model {
						if e.priority == priority && e.fairness == fairness && (best == nil || e.at < best.at || e.at == best.at && e.id < best.id) {
							best = &e
						}
					}
					return best
				}
				best, cost := 0, []int{0, 1, 2, 4, 8, 16}
				for priority := 5; priority >= 1; priority-- {
					waits := false
					for _, e := range model {
						waits = waits || e.priority == priority
					}
					if !waits {
						finish[priority] = max(finish[priority], now)
					} else if best == 0 || finish[priority]+cost[priority] <= finish[best]+cost[best] {
						best = priority
					}
				}
				if best > 0 {
					now = finish[best]
					finish[best] += cost[best]
				}
				want := ""
				for want == "" && best > 0 {
					fairness := turns[best][0]
					turns[best] = turns[best][1:]
					if e := has(best, fairness); e != nil {
						want = e.id
						delete(model, e.id)
						if has(best, fairness) != nil {
							turns[best] = append(turns[best], fairness)
						}
					}
				}
				if got, _ := r.pop(); got != want {
					t.Fatalf("popped %q, want %q", got, want)
				}
			},
			"": func(t *rapid.T) {
				if r.len() != len(model) {
					t.Fatalf("%d ready, want %d", r.len(), len(model))
				}
			},
		})
	})
}

func TestReadyGivesMemoryBack(t *testing.T) {
	r := newReady()
	for i := range 5000 {
		r.put(fmt.Sprint(i), int64(i), 3, []byte(fmt.Sprint(i%700)))
	}
	for i := range 5000 {
		if i%2 == 0 {
			r.remove(fmt.Sprint(i))
		}
	}
	for _, ok := r.pop(); ok; _, ok = r.pop() {
	}
	l := &r.levels[2]
	if r.len() != 0 || r.peak != 0 || len(l.groups) != 0 || len(l.turns) != 0 {
		t.Errorf("left: %d items, peak %d, %d groups, %d turns", r.len(), r.peak, len(l.groups), len(l.turns))
	}
}

// TestPrioritiesShareByWeight keeps all priorities due: of 31 claims each gets as many as its weight.
func TestPrioritiesShareByWeight(t *testing.T) {
	r := newReady()
	for i := range 1000 {
		r.put(fmt.Sprint(i), int64(i), 1+i%5, nil)
	}
	var got [6]int
	for range 62 {
		id, _ := r.pop()
		var i int
		fmt.Sscan(id, &i)
		got[1+i%5]++
	}
	if want := [6]int{0, 32, 16, 8, 4, 2}; got != want {
		t.Errorf("62 claims by priority: %v, want %v", got, want)
	}
}

// TestNoPriorityStarvesUnderAlternatingLoad has keys of priorities 1 and 2 arrive in turn, so that they never wait for long:
// their claims are charged all the same, so priority 5 gets its turn.
func TestNoPriorityStarvesUnderAlternatingLoad(t *testing.T) {
	r := newReady()
	r.put("patient", 0, 5, nil)
	for i := range 100 {
		r.put("urgent", int64(i), 1+i%2, nil)
		if id, _ := r.pop(); id == "patient" {
			return
		}
	}
	t.Error("priority 5 was not served in 100 claims")
}
