package journal

import (
	"reflect"
	"slices"
	"testing"
	"time"

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
		{"is about to be suspended", waiting(schemas.ReasonUnknown), false},
		{"is about to be suspended for several nodes", waiting(schemas.ReasonError, schemas.ReasonDrift), false},
		{"waits for a review, with a node held", waiting(schemas.ReasonUnknown, schemas.ReasonReview), true},
		{"waits for an event, with a node held", waiting(schemas.ReasonEvent, schemas.ReasonError), true},
		{"waits for a review and a timer", waiting(schemas.ReasonReview, schemas.ReasonTimer), false},
	} {
		if got := AtRest(&tt.e); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// AppendJSON must write what schemas.Encode writes, byte for byte, whichever member is set beside the usual ones.
func TestHeadsAreAppendedAsTheyAreEncoded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	var usual Head
	usual.ExecutionID, usual.Name, usual.Status, usual.CreatedAt, usual.StartedAt = "x", `a "name"`, schemas.StatusRunning, now, &now
	usual.Priority, usual.SessionID, usual.ParentID, usual.Progress = 5, "s", "p", schemas.Progress{Total: 1, Succeeded: 2, Failed: 3, Skipped: 4, Running: 5, Waiting: 6}
	usual.Principal, usual.Seq, usual.Snapshot, usual.Tail, usual.SnapshotBytes = "ada", 3, 2, 100, 50
	usual.TreeSince, usual.Worker, usual.Items, usual.Due = now, "w", 9, now
	heads := []Head{{}, usual}
	for _, h := range []Head{{}, usual} {
		for _, within := range []func(*Head) reflect.Value{
			func(h *Head) reflect.Value { return reflect.ValueOf(h).Elem() },
			func(h *Head) reflect.Value { return reflect.ValueOf(&h.Execution).Elem() },
		} {
			for i := range within(&h).NumField() {
				changed := h
				switch v := within(&changed).Field(i); {
				case v.Kind() == reflect.String:
					v.SetString("x")
				case v.Kind() == reflect.Bool:
					v.SetBool(true)
				case v.CanInt():
					v.SetInt(7)
				case v.CanFloat():
					v.SetFloat(7)
				case v.Kind() == reflect.Pointer:
					v.Set(reflect.New(v.Type().Elem()))
				case v.Type() == reflect.TypeFor[schemas.Value]():
					v.SetBytes([]byte("7"))
				case v.Kind() == reflect.Slice:
					v.Set(reflect.MakeSlice(v.Type(), 1, 1))
				case v.Type() == reflect.TypeFor[time.Time]():
					v.Set(reflect.ValueOf(now))
				case v.Kind() == reflect.Struct: // its members are set on their own
				default:
					t.Fatalf("the test knows no value of %s", v.Type())
				}
				heads = append(heads, changed)
			}
		}
	}
	for i := range heads {
		want, err := schemas.Encode(&heads[i])
		if err != nil {
			t.Fatal(err)
		}
		got, err := heads[i].AppendJSON([]byte("before"))
		if err != nil || string(got) != "before"+string(want) {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
	}
}
