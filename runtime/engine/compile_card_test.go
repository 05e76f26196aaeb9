package engine

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// A plan with three or more errors has the card in its hint; warnings do not count.
func TestManyErrorsShowTheCard(t *testing.T) {
	for n, want := range []bool{1: false, 2: false, 3: true, 4: true} {
		findings := []schemas.Finding{{Severity: schemas.SeverityWarning}, {Severity: schemas.SeverityWarning}}
		for range n {
			findings = append(findings, schemas.Finding{Severity: schemas.SeverityError, Message: "wrong"})
		}
		if e := InvalidPlan(findings); strings.Contains(e.Hint, plan.Card[:len(plan.Card)-1]) != want || len(e.Hint) > plan.MaxCard+200 {
			t.Errorf("%d errors: the hint is %q", n, e.Hint)
		}
	}
}
