package plan

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// foreignSources are the plans of the corpus of other languages' habits.
func foreignSources(t testing.TB) (all [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(foreign, "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		if filepath.Base(file) != "tools.yaml" {
			for _, c := range readForeign(t, file) {
				all = append(all, c.plan)
			}
		}
	}
	return all
}

// planEnds checks a plan and applies its fixes until none is left: each can be applied, and they come to an end.
func planEnds(t *testing.T, source []byte, w world) {
	t.Helper()
	first := source
	defer func() {
		if t.Failed() {
			t.Logf("the plan was %s", first)
		}
	}()
	for range 20 {
		plan, found := Parse(context.Background(), source, Limits{})
		if plan != nil {
			_, more := Compile(context.Background(), plan, w, Limits{})
			found = append(found, more...)
		}
		if !slices.ContainsFunc(found, hasFix) {
			return
		}
		after := applyFixes(t, source, found)
		if string(after) == string(source) {
			t.Fatalf("%s\nfixes that change nothing: %+v", first, found)
		}
		source = after
	}
	t.Fatalf("%s\nfixes without an end: %s", first, source)
}

// TestMixedForeignPlans: as [FuzzForeignPlans], for plans in which a piece is taken out, repeated, or taken from another plan.
func TestMixedForeignPlans(t *testing.T) {
	all, w := foreignSources(t), foreignWorld(t)
	random := rand.New(rand.NewPCG(3, 4))
	piece := func(s []byte) (from, to int) { // between two signs
		signs := []int{0}
		for i, c := range s {
			if slices.Contains([]byte(`{}[],:"$. `), c) {
				signs = append(signs, i)
			}
		}
		a, b := signs[random.IntN(len(signs))], signs[random.IntN(len(signs))]
		if b-a > 60 || a-b > 60 {
			b = a + 1
		}
		return min(a, b, len(s)), min(max(a, b), len(s))
	}
	for range 1500 {
		source := slices.Clone(all[random.IntN(len(all))])
		for range 1 + random.IntN(2) {
			from, to := piece(source)
			other := all[random.IntN(len(all))]
			if random.IntN(2) == 0 {
				other = source
			}
			a, b := piece(other)
			source = slices.Concat(source[:from], other[a:b], source[to:])
		}
		planEnds(t, source, w)
	}
}

func hasFix(f schemas.Finding) bool { return len(f.Fix) > 0 }
