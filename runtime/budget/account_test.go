package budget

import (
	"testing"

	"github.com/runplane/runplane/schemas"
)

// Of a kind that is used up beyond its limit nothing more is granted, and who needs none of it lacks none of it.
func TestWhatIsNotNeededIsNotLacking(t *testing.T) {
	for k := range kinds {
		for _, over := range []int64{0, 1, 100} {
			a := &Account{Limits: schemas.Budget{}, Used: schemas.Budget{}}
			for other := range kinds {
				*a.Limits.Of(other) = 1000
			}
			*a.Used.Of(k) = 1000 + over
			for needs := range kinds {
				var asked schemas.Budget
				*asked.Of(needs) = 10
				total, ok := a.Grant(schemas.Budget{}, asked, asked)
				_, above, lacks := a.AskFor(schemas.Budget{}, asked, asked)
				if needs == k {
					if ok || lacks == nil || *above.Of(k) != 1010+over {
						t.Errorf("%d used of kind %d, and it is needed: %+v %t, %+v %v", 1000+over, k, total, ok, above, lacks)
					}
					continue
				}
				if !ok || total != asked || lacks != nil || above != a.Limits {
					t.Errorf("%d used of kind %d, kind %d is needed: %+v %t, %+v %v", 1000+over, k, needs, total, ok, above, lacks)
				}
			}
		}
	}
}
