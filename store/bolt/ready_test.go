package bolt

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestReadyKeepsItsOrder compares ready with a list that is searched for the next key each time: lowest priority, then
// the fairness key that waited longest for its turn, then the longest due.
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
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := entry{fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id")), int64(rapid.IntRange(0, 9).Draw(t, "at")),
					rapid.IntRange(1, 3).Draw(t, "priority"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "fairness")}
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
				want := ""
			search:
				for priority := 1; priority <= 3; priority++ {
					for len(turns[priority]) > 0 {
						fairness := turns[priority][0]
						turns[priority] = turns[priority][1:]
						e := has(priority, fairness)
						if e == nil {
							continue
						}
						want = e.id
						delete(model, e.id)
						if has(priority, fairness) != nil {
							turns[priority] = append(turns[priority], fairness)
						}
						break search
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
	l := r.levels[0]
	if r.len() != 0 || r.peak != 0 || len(l.groups) != 0 || len(l.turns) != 0 {
		t.Errorf("left: %d items, peak %d, %d groups, %d turns", r.len(), r.peak, len(l.groups), len(l.turns))
	}
}
