package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// wider takes the inputs of worldSchema and one more, narrow none of them.
var (
	wider  = json.RawMessage(`{"type":"object","properties":{"id":{},"more":{"type":"string"}}}`)
	narrow = json.RawMessage(`{"type":"object","additionalProperties":false,"required":["order"],"properties":{"order":{"type":"string"}}}`)
)

// executeWithDrift runs a plan whose second node calls a tool that changes while the first one runs.
func executeWithDrift(t *testing.T, w *world, p *process, capability string, now plan.Tool) schemas.Execution {
	t.Helper()
	e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"take":"50s"}},
		{"id":"b","capability":"` + capability + `","depends_on":["a"],"inputs":{"id":"b"},"retry":{"max_attempts":1}}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	w.change(string(now.Effect), now)
	if name := capability[2:]; name != string(now.Effect) {
		w.change(name, now)
	}
	return p.rest(t, e.ExecutionID)
}

func TestDriftedToolIsNotCalled(t *testing.T) {
	for _, tt := range []struct {
		name   string
		drift  schemas.Drift
		before string
		now    plan.Tool
		held   bool
	}{
		{"unchanged", "", "r.once", plan.Tool{Hash: "once", Effect: schemas.EffectOnce, InputSchema: worldSchema}, false},
		{"changed", "", "r.once", plan.Tool{Hash: "new", Effect: schemas.EffectOnce, InputSchema: wider}, true},
		{"changed, and compatible", schemas.DriftAllowCompatible, "r.once", plan.Tool{Hash: "new", Effect: schemas.EffectOnce, InputSchema: wider}, false},
		{"the inputs do not fit", schemas.DriftAllowCompatible, "r.once", plan.Tool{Hash: "new", Effect: schemas.EffectOnce, InputSchema: narrow}, true},
		{"the effect is worse", schemas.DriftAllowCompatible, "r.idempotent", plan.Tool{Hash: "new", Effect: schemas.EffectOnce, InputSchema: wider}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := runWithPolicy(w, s, schemas.Policy{Drift: tt.drift})
				defer p.stop()
				e := executeWithDrift(t, w, p, tt.before, tt.now)
				if !tt.held {
					want(t, e, schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
					return
				}
				want(t, e, schemas.StatusSuspended, "", "a=succeeded b=held")
				if len(e.WaitingFor) != 1 || e.WaitingFor[0].Reason != schemas.ReasonDrift || e.Nodes[1].Error.Code != schemas.CodeCapabilityDrift || e.Nodes[1].Attempts != 0 || w.calls("", "b") != 0 {
					t.Errorf("%+v, %+v", e.WaitingFor, e.Nodes[1])
				}
			})
		})
	}
}

// A decision accepts the definition as it is then; the inputs have to fit it, not the one of the plan.
func TestRetryAcceptsTheNewDefinition(t *testing.T) {
	for _, tt := range []struct {
		name  string
		patch schemas.NodePatch
		ends  schemas.Status
		calls int
	}{
		{"inputs that fit", schemas.NodePatch{Inputs: schemas.Object(`{"order":"A-17"}`)}, schemas.StatusSucceeded, 1},
		{"inputs that do not", schemas.NodePatch{Inputs: schemas.Object(`{"id":"b"}`)}, schemas.StatusFailed, 0},
		{"the inputs of the plan", schemas.NodePatch{Retry: true}, schemas.StatusFailed, 0},
		{"an output in its place", schemas.NodePatch{Output: schemas.Value(`1`)}, schemas.StatusSucceeded, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				e := executeWithDrift(t, w, p, "r.idempotent", plan.Tool{Hash: "new", Effect: schemas.EffectIdempotent, InputSchema: narrow})
				p.stop()
				p = run(w, s) // what is held stays held
				defer p.stop()
				p.resumeWith(t, e.ExecutionID, "b", tt.patch)
				e = p.rest(t, e.ExecutionID)
				want(t, e, tt.ends, "", "")
				if n := w.calls("idempotent", ""); n != tt.calls || tt.ends == schemas.StatusFailed && !errors.Is(e.Error, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
					t.Errorf("%d calls, %v", n, e.Error)
				}
			})
		})
	}
}

// After a crash the worse effect of the accepted definition decides, not the one of the plan.
func TestAcceptedEffectDecidesAfterACrash(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		e := executeWithDrift(t, w, p, "r.idempotent", plan.Tool{Hash: "new", Effect: schemas.EffectOnce, InputSchema: worldSchema})
		p.resumeWith(t, e.ExecutionID, "b", schemas.NodePatch{Inputs: schemas.Object(`{"id":"b","mute":true}`)})
		time.Sleep(time.Second)
		if w.calls("", "b") != 1 {
			t.Fatalf("%d calls", w.calls("", "b"))
		}
		p.stop()
		p = run(w, s)
		defer p.stop()
		e = p.rest(t, e.ExecutionID)
		if len(e.WaitingFor) != 1 || e.WaitingFor[0].Reason != schemas.ReasonUnknown || w.calls("", "b") != 1 {
			t.Errorf("%+v after %d calls", e.WaitingFor, w.calls("", "b"))
		}
	})
}

// An approval is for the definition that the person saw.
func TestDriftVoidsAnApproval(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"id":"a"},"safety_level":"review"}]}`)
		approve := func() schemas.Execution {
			t.Helper()
			reviews, err := p.Safety.Reviews(t.Context())
			if err != nil || len(reviews) != 1 {
				t.Fatalf("%+v %v", reviews, err)
			}
			if _, err := p.Safety.Decide(context.Background(), reviews[0].ReviewID, safety.Decision{Approve: true, By: "eve"}); err != nil {
				t.Fatal(err)
			}
			return p.rest(t, e.ExecutionID)
		}
		w.change("once", plan.Tool{Hash: "new", Effect: schemas.EffectOnce, InputSchema: worldSchema})
		e = approve()
		want(t, e, schemas.StatusSuspended, "", "a=held")
		p.resumeWith(t, e.ExecutionID, "a", schemas.NodePatch{Retry: true})
		want(t, p.rest(t, e.ExecutionID), schemas.StatusRunning, "", "a=held")
		want(t, approve(), schemas.StatusSucceeded, "", "a=succeeded")
	})
}

// A tool that changed in silence refuses the call: the node is held like one whose tool was known to have changed.
func TestRefusalByAChangedToolIsDrift(t *testing.T) {
	for _, tt := range []struct {
		code    schemas.Code
		changes bool
		held    bool
	}{
		{schemas.CodeInvalidArgument, true, true},
		{schemas.CodeInvalidArgument, false, false},
		{schemas.CodeUnavailable, true, false},
	} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"r.once",
				"inputs":{"take":"30s","fail":1,"code":"` + string(tt.code) + `"},"retry":{"max_attempts":1}}]}`)})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if tt.changes {
				w.change("once", plan.Tool{Hash: "new", Effect: schemas.EffectOnce, InputSchema: narrow})
			}
			e = p.rest(t, e.ExecutionID)
			if held := e.Status == schemas.StatusSuspended && len(e.WaitingFor) == 1 && e.WaitingFor[0].Reason == schemas.ReasonDrift; held != tt.held {
				t.Errorf("%s, changed %t: %s, %+v, %v", tt.code, tt.changes, e.Status, e.WaitingFor, e.Error)
			}
		})
	}
}
