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
	inputs string // of the last call
}

func (r *oneTool) Catalog(context.Context, []string) plan.Catalog { return catalog{tool: r.tool} }

func (r *oneTool) Definition(context.Context, string, string) (plan.Tool, bool) {
	return r.tool, true
}

func (r *oneTool) Invoke(_ context.Context, c *call.Call) (*call.Result, error) {
	r.called++
	r.inputs = string(c.Inputs)
	return &call.Result{Output: json.RawMessage("1")}, nil
}

type catalog struct {
	plan.Catalog
	tool plan.Tool
}

func (c catalog) Tool(string, string) (plan.Tool, bool) { return c.tool, true }

func newCapabilities(t *testing.T, realms capability.Realms) *capability.Capabilities {
	t.Helper()
	r, log := recordstest.Replica(recordstest.Memory(t)), hclog.NewNullLogger()
	return capability.New(capability.Config{
		Store: r, Log: log, Sessions: session.New(session.Config{Store: r, Log: log}), Realms: realms, Random: rand.Float64,
		NewID: func() string { return "id" },
	})
}

// A direct call leaves out and fills in what a call of a plan does: inputs that the tool takes are sent as they are.
func TestAbsentInputsOfDirectCalls(t *testing.T) {
	const schema = `{"type":"object","properties":{"id":{"type":"string"},"mode":{"type":"string","default":"safe"},"note":{"type":"string"},"maybe":{"type":"string","nullable":true}},"required":["id","mode"]}`
	for inputs, want := range map[string]string{
		`{"id": "a", "mode": "b"}`: `{"id": "a", "mode": "b"}`,
		`{"id":"a"}`:               `{"id":"a","mode":"safe"}`,
		`{"id":"a","mode":"b","note":null,"maybe":null}`: `{"id":"a","maybe":null,"mode":"b"}`,
		`{"id":"a","mode":"b","other":null}`:             `{"id":"a","mode":"b","other":null}`,
		`{"id":null}`:                                    "",
		`{"id":"a","mode":null}`:                         "",
		`{"note":null}`:                                  "",
	} {
		realms := &oneTool{tool: plan.Tool{Hash: "now", Effect: schemas.EffectRead, InputSchema: json.RawMessage(schema)}}
		_, err := newCapabilities(t, realms).Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "t", Inputs: json.RawMessage(inputs)})
		if e := schemas.AsError(err); realms.inputs != want || (want == "") != (e != nil && e.Code == schemas.CodeInvalidArgument) {
			t.Errorf("%s: sent %q, %v, want %q", inputs, realms.inputs, err, want)
		}
	}
}

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
			_, err := newCapabilities(t, realms).Invoke(tt.ctx, capability.Invocation{Realm: "r", Capability: "t", Inputs: tt.inputs, Timeout: tt.timeout})
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
