package journal

import (
	"slices"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestSessionsOfTwoPrincipalsDoNotShareTheirTurns(t *testing.T) {
	a, b := Head{Principal: "a"}, Head{Principal: "b"}
	same := Head{Principal: "a"}
	same.SessionID = "s"
	other := Head{Principal: "b"}
	other.SessionID = "s"
	seen := map[string]bool{}
	for _, h := range []Head{a, b, same, other} {
		if seen[h.Fairness()] {
			t.Errorf("%+v takes its turns with another one", h)
		}
		seen[h.Fairness()] = true
	}
}

// The terms of an execution are what lists, sessions, workflows, waits and retention find it by.
func TestTermsOfAHead(t *testing.T) {
	execution := func(status schemas.Status, edit func(*Head)) Head {
		h := Head{Principal: "ada", Execution: schemas.Execution{ExecutionID: "x", Status: status}}
		if edit != nil {
			edit(&h)
		}
		return h
	}
	related := func(h *Head) { h.ParentID, h.RerunOf = "p", "r" }
	for _, tt := range []struct {
		name string
		head Head
		want []string
	}{
		{"plain", execution(schemas.StatusRunning, nil), []string{"status=running", "principal=ada"}},
		{"in a session", execution(schemas.StatusRunning, func(h *Head) { h.SessionID = "s" }), []string{"status=running", "principal=ada", "session=s"}},
		{"of a workflow", execution(schemas.StatusFailed, func(h *Head) { h.Workflow = "w@7" }), []string{"status=failed", "principal=ada", TermWorkflow("ada", "w")}},
		{"waits", execution(schemas.StatusRunning, func(h *Head) {
			h.WaitingFor = []schemas.WaitingFor{{Reason: schemas.ReasonTimer}, {Reason: schemas.ReasonReview}, {Reason: schemas.ReasonReview}}
			h.Awaits = []string{"awaits=1"}
		}), []string{"status=running", "principal=ada", TermReview, "awaits=1"}},
		{"needs others", execution(schemas.StatusSuspended, related), []string{"status=suspended", "principal=ada", TermNeeds("p"), TermNeeds("r")}},
		{"has ended, and needs no other", execution(schemas.StatusSucceeded, related), []string{"status=succeeded", "principal=ada"}},
		{"is being deleted", execution(schemas.StatusSucceeded, func(h *Head) { h.Deleted, h.SessionID = true, "s" }), []string{TermDeleted}},
	} {
		if got := tt.head.Terms(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if TermWorkflow("ada", "w") == TermWorkflow("bob", "w") {
		t.Error("workflows of two principals have one term")
	}
}

func TestAtRest(t *testing.T) {
	waiting := func(reasons ...string) schemas.Execution {
		e := schemas.Execution{Status: schemas.StatusRunning, Waiting: true}
		for _, r := range reasons {
			e.WaitingFor = append(e.WaitingFor, schemas.WaitingFor{Reason: r})
		}
		return e
	}
	for _, tt := range []struct {
		name string
		e    schemas.Execution
		want bool
	}{
		{"succeeded", schemas.Execution{Status: schemas.StatusSucceeded}, true},
		{"suspended", schemas.Execution{Status: schemas.StatusSuspended}, true},
		{"suspending", schemas.Execution{Status: schemas.StatusSuspending}, false},
		{"runs", schemas.Execution{Status: schemas.StatusRunning}, false},
		{"runs, and a node waits for a review", schemas.Execution{Status: schemas.StatusRunning, WaitingFor: []schemas.WaitingFor{{Reason: schemas.ReasonReview}}}, false},
		{"waits for a review", waiting(schemas.ReasonReview), true},
		{"waits for an event", waiting(schemas.ReasonEvent), true},
		{"waits in the paused queue", waiting(schemas.ReasonQueue), true},
		{"waits for a timer", waiting(schemas.ReasonTimer), false},
		{"waits for a quota", waiting(schemas.ReasonBudget), false},
		{"waits for a workflow", waiting(schemas.ReasonWorkflow), false},
		{"waits for a state", waiting(schemas.ReasonState), false},
		{"waits for a review and a timer", waiting(schemas.ReasonReview, schemas.ReasonTimer), false},
	} {
		if got := AtRest(&tt.e); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
