package runtime

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// wantRefused asserts that a decision is refused with the code and a message that has these words.
func (p *process) wantRefused(t *testing.T, id string, code schemas.Code, words string) {
	t.Helper()
	_, err := p.Safety.Decide(t.Context(), id, safety.Decision{Approve: true, By: "ada"})
	if !errors.Is(err, &schemas.Error{Code: code}) || !strings.Contains(err.Error(), words) {
		t.Errorf("review %s: %v, want %s: … %s", id, err, code, words)
	}
}

// A second approval of one review does not approve the next review of the same node: neither that of its fallback, nor that of its next try.
func TestADecisionIsForOneReviewAlone(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"pay","capability":"r.once","safety_level":"review","inputs":{"id":"own","fail":9},
			"on_error":"suspend","fallback":[{"capability":"r.idempotent","inputs":{"id":"other","fail":9}}]}]}`)
		own := p.review(t, id, "pay")
		yes := safety.Decision{Approve: true, By: "ada", Comment: "fine"}
		p.decide(t, own, yes)
		synctest.Wait()
		fallback := p.review(t, id, "pay")
		p.wantRefused(t, own, schemas.CodeAlreadyFinished, "ada approved it")
		if w.calls("idempotent", "") != 0 {
			t.Errorf("one approval allowed two calls: %v", w.ledger)
		}
		p.decide(t, fallback, yes)
		want(t, p.rest(t, id), schemas.StatusSuspended, "", "pay=held")
		p.resumeWith(t, id, "pay", schemas.NodePatch{Inputs: schemas.Object(`{"id":"third"}`)})
		synctest.Wait()
		again := p.review(t, id, "pay")
		for _, old := range []string{own, fallback} {
			p.wantRefused(t, old, schemas.CodeAlreadyFinished, "fine")
		}
		p.decide(t, again, safety.Decision{By: "ada", Comment: "enough"})
		p.wantRefused(t, again, schemas.CodeAlreadyFinished, "ada rejected it")
		if w.calls("", "third") != 0 {
			t.Errorf("ledger %v", w.ledger)
		}
	})
}

// An id that is not, or no longer, that of an open review is refused with what became of it.
func TestReviewsThatAreNotOpen(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		source := `{"plan":"v1","nodes":[{"id":"q","review":{"question":"sure?","expires":"1h"}},{"id":"a","capability":"r.read"}]}`
		id := p.submit(t, source)
		open := p.review(t, id, "q")
		for _, never := range []string{"", id, id + "/q", id + "/q/", id + "/q/0", id + "/q/+4", id + "/q/1", id + "/q/999", id + "/a/4", id + "/zzz/4", strings.Replace(open, "/q/", "/a/", 1), "x" + open} {
			p.wantRefused(t, never, schemas.CodeNotFound, "")
		}
		time.Sleep(2 * time.Hour)
		p.wantRefused(t, open, schemas.CodeConflict, "expired")
		id = p.submit(t, source)
		open = p.review(t, id, "q")
		p.cancel(t, id, engine.CancelOptions{})
		p.wantRefused(t, open, schemas.CodeAlreadyFinished, "cancelled")
		if _, err := p.Safety.Decide(as(t, "other"), open, safety.Decision{}); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			t.Errorf("another principal's review: %v", err)
		}
	})
}

// A review has the same id after another process took the execution over.
func TestReviewSurvivesItsProcess(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		first := run(w, s)
		id := first.submit(t, `{"plan":"v1","nodes":[{"id":"pay","capability":"r.once","safety_level":"review"}]}`)
		open := first.review(t, id, "pay")
		first.stop()
		second := run(w, s)
		defer second.stop()
		if got := second.review(t, id, "pay"); got != open {
			t.Errorf("the review is %s now, it was %s", got, open)
		}
		second.decide(t, open, safety.Decision{Approve: true, By: "ada"})
		want(t, second.rest(t, id), schemas.StatusSucceeded, "", "pay=succeeded")
	})
}

// Large inputs of a review are shown, used for the call and stored in a record of their own.
func TestReviewOfLargeInputs(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		large := strings.Repeat("x", 2*engine.MaxInlineOutput)
		id := p.submit(t, `{"plan":"v1","inputs":{"x":"`+large+`"},"nodes":[{"id":"pay","capability":"r.once","safety_level":"review","inputs":{"id":"${inputs.x}"}}]}`)
		open, err := p.Safety.Reviews(t.Context())
		if err != nil || len(open) != 1 || string(open[0].Inputs) != `{"id":"`+large+`"}` {
			t.Fatalf("%.80v %v", open, err)
		}
		events, err := p.Executions.Events(t.Context(), id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if held := events.Events[len(events.Events)-1]; len(held.Data) > 0 || held.DataRef == nil || held.DataRef.Bytes <= len(large) {
			t.Errorf("%+v", held)
		}
		mended := strings.Repeat("y", 2*engine.MaxInlineOutput)
		p.decide(t, open[0].ReviewID, safety.Decision{Approve: true, By: "ada", Inputs: schemas.Object(`{"id":"` + mended + `"}`)})
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "pay=succeeded")
		if w.calls("once", mended) != 1 || w.calls("", "") != 1 {
			t.Errorf("%d calls", w.calls("", ""))
		}
	})
}

// What a person decides on shows the characters that would not be seen, and says that there are some; the inputs stay exact.
func TestReviewsShowHiddenCharacters(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		for _, row := range []struct{ node, question, inputs string }{
			{`{"id":"q","review":"Pay \u202e01\u202c?\u200b"}`, `Pay \u202e01\u202c?\u200b`, ""},
			{`{"id":"q","review":"red \u001b[31m \ud83d\ude00"}`, `red \u001b[31m 😀`, ""},
			{`{"id":"q","capability":"r.once","safety_level":"review","inputs":{"id":"\u202eA"}}`, "", "{\"id\":\"\u202eA\"}"},
			{`{"id":"q","review":"plain é?"}`, "plain é?", ""},
		} {
			id := p.submit(t, `{"plan":"v1","nodes":[`+row.node+`]}`)
			p.review(t, id, "q")
			hidden := row.question != "plain é?"
			e, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 0, nil)
			if err != nil || len(e.WaitingFor) != 1 {
				t.Fatal(err, e)
			}
			if got := e.WaitingFor[0]; row.question != "" && (got.Question != row.question || got.Hidden != hidden) {
				t.Errorf("%s waits for %q, hidden %v", row.node, got.Question, got.Hidden)
			}
			open, err := p.Safety.Reviews(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range open {
				if r.ExecutionID == id && (row.question != "" && r.Question != row.question || r.Hidden != hidden || string(r.Inputs) != row.inputs) {
					t.Errorf("%s: review %+v with inputs %s", row.node, r, r.Inputs)
				}
			}
		}
	})
}
