package capability_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

// oneTool are realms with one tool, r.t, and its catalog.
type oneTool struct {
	capability.Realms
	tool   plan.Tool
	called int
}

func (r *oneTool) Catalog(context.Context, []string) plan.Catalog { return catalog{tool: r.tool} }

func (r *oneTool) Definition(context.Context, string, string) (plan.Tool, bool) {
	return r.tool, true
}

func (r *oneTool) Invoke(context.Context, *call.Call) (*call.Result, error) {
	r.called++
	return &call.Result{Output: json.RawMessage("1")}, nil
}

type catalog struct {
	plan.Catalog
	tool plan.Tool
}

func (c catalog) Tool(string, string) (plan.Tool, bool) { return c.tool, true }

// The check of a direct call's inputs ends with the call's timeout, and with its caller. That is no verdict on the inputs: the error is
// that of the end, and the call did not run.
func TestChecksOfDirectCallsEnd(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"list":{"type":"array","items":{"type":"integer"}}}}`)
	large := json.RawMessage(`{"list":[0` + strings.Repeat(",1", 20_000) + `]}`)
	ended, end := context.WithCancel(t.Context())
	end()
	stopping, stop := context.WithCancelCause(t.Context())
	stop(schemas.Errorf(schemas.CodeUnavailable, "the server is stopping"))
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		inputs  json.RawMessage
		timeout time.Duration
		code    schemas.Code // empty: it is called
		says    string
	}{
		{"time enough", t.Context(), large, time.Hour, "", ""},
		{"the timeout of the policy", t.Context(), large, 0, "", ""},
		{"invalid", t.Context(), json.RawMessage(`{"list":[""]}`), time.Hour, schemas.CodeInvalidArgument, "integer"},
		{"no time", t.Context(), large, time.Nanosecond, schemas.CodeTimeout, "not checked within 1ns, the timeout of its call"},
		{"a caller that left", ended, large, time.Hour, schemas.CodeCancelled, "cancelled"},
		{"a server that stops", stopping, large, time.Hour, schemas.CodeUnavailable, "the server is stopping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			realms := &oneTool{tool: plan.Tool{Hash: "now", Effect: schemas.EffectRead, InputSchema: schema}}
			r, log := recordstest.Replica(recordstest.Memory(t)), hclog.NewNullLogger()
			c := capability.New(capability.Config{
				Store: r, Log: log, Sessions: session.New(session.Config{Store: r, Log: log}), Realms: realms, Random: rand.Float64,
				NewID: func() string { return "id" },
			})
			_, err := c.Invoke(tt.ctx, capability.Invocation{Realm: "r", Capability: "t", Inputs: tt.inputs, Timeout: tt.timeout})
			switch e := schemas.AsError(err); {
			case tt.code == "":
				if err != nil || realms.called != 1 {
					t.Errorf("called %d times, %v", realms.called, err)
				}
			case realms.called != 0 || e == nil || e.Code != tt.code || e.Outcome != schemas.NotRun || !strings.Contains(e.Message, tt.says):
				t.Errorf("called %d times, %+v", realms.called, e)
			}
		})
	}
}
