package engine

import (
	"testing"

	"github.com/runplane/runplane/schemas"
)

// A plan of which nothing is wrong but that tools are not known now is unavailable, which is retryable; any other error makes it invalid.
func TestPlanWhoseToolsAreNotKnownNowIsUnavailable(t *testing.T) {
	missing := schemas.Finding{Severity: schemas.SeverityError, Code: "realm_unavailable", Message: "the tools of realm \"x\" are not known now", Temporary: true}
	broken, cycle, warning := missing, missing, missing
	broken.Temporary, cycle.Temporary, warning.Temporary, warning.Severity = false, false, false, schemas.SeverityWarning
	cycle.Code = "cycle"
	for _, tt := range []struct {
		name     string
		findings []schemas.Finding
		want     schemas.Code
	}{
		{"realm that starts", []schemas.Finding{warning, missing, missing}, schemas.CodeUnavailable},
		{"realm that is broken", []schemas.Finding{missing, broken}, schemas.CodeInvalidPlan},
		{"plan with an error", []schemas.Finding{cycle, missing}, schemas.CodeInvalidPlan},
	} {
		e := InvalidPlan(tt.findings)
		if e.Code != tt.want || e.Retryable != (tt.want == schemas.CodeUnavailable) || len(e.Findings) != len(tt.findings) {
			t.Errorf("%s: %+v", tt.name, e)
		}
		if e.Retryable != (e.RetryAfterSeconds > 0) {
			t.Errorf("%s: retry after %v", tt.name, e.RetryAfterSeconds)
		}
	}
}
