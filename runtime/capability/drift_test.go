package capability_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

// interrupting are realms with one tool; the calls of its definition end ctx, just before the inputs are checked against it.
type interrupting struct {
	capability.Realms
	tool   plan.Tool
	end    func()
	called bool
}

func (r *interrupting) Definition(context.Context, string, string) (plan.Tool, bool) {
	r.end()
	return r.tool, true
}

func (r *interrupting) Invoke(ctx context.Context, _ *call.Call) (*call.Result, error) {
	r.called = true
	return nil, context.Cause(ctx)
}

// A check of inputs that are large enough to be interrupted goes on to its end: a timeout, or a stop, is not recorded as a verdict on them.
func TestInterruptedCheckIsNoVerdict(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"list":{"type":"array","items":{"type":"integer"}}}}`)
	valid := json.RawMessage(`{"list":[0` + strings.Repeat(",1", 20_000) + `]}`)
	invalid := json.RawMessage(`{"list":[""` + strings.Repeat(",1", 20_000) + `]}`)
	compatible := &call.Rules{Drift: schemas.DriftAllowCompatible}
	for _, tt := range []struct {
		name   string
		call   call.Call
		inputs json.RawMessage
		called bool
		code   schemas.Code
	}{
		{"accepted", call.Call{Hash: "now", Accepted: true}, valid, true, schemas.CodeTimeout},
		{"accepted, with inputs that do not fit", call.Call{Hash: "now", Accepted: true}, invalid, false, schemas.CodeInvalidArgument},
		{"compatible", call.Call{Hash: "then", Rules: compatible}, valid, true, schemas.CodeTimeout},
		{"not compatible", call.Call{Hash: "then", Rules: compatible}, invalid, false, schemas.CodeCapabilityDrift},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			realms := &interrupting{tool: plan.Tool{Hash: "now", Effect: schemas.EffectRead, InputSchema: schema}}
			realms.end = func() { cancel(schemas.Errorf(schemas.CodeTimeout, "too slow")) }
			r, log := recordstest.Replica(recordstest.Memory(t)), hclog.NewNullLogger()
			c := capability.New(capability.Config{
				Store: r, Log: log, Sessions: session.New(session.Config{Store: r, Log: log}), Realms: realms, NewID: records.NewID, Random: rand.Float64,
			})
			planned := tt.call
			planned.Realm, planned.Capability, planned.ExecutionID, planned.NodeID, planned.Attempt = "r", "t", "e", "n", 1
			planned.Inputs, planned.Effect = tt.inputs, schemas.EffectRead
			_, err := c.Attempt(ctx, &planned)
			if e := schemas.AsError(err); realms.called != tt.called || e.Code != tt.code {
				t.Errorf("called %t, %v", realms.called, err)
			}
		})
	}
}
