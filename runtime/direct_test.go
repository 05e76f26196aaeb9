package runtime

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A direct call ends before its client gives up, and its error says what to change; who asks for more has it.
func TestDirectCallsEndBeforeTheirClientsGiveUp(t *testing.T) {
	for name, tt := range map[string]struct {
		inputs  string
		policy  schemas.Policy
		timeout time.Duration
		retry   *schemas.Retry
		took    time.Duration
		code    schemas.Code
		says    string
		calls   int
	}{
		"no answer":                    {inputs: `{"mute":true}`, took: 50 * time.Second, code: schemas.CodeTimeout, says: "limits.direct_timeout", calls: 1},
		"a short timeout of its own":   {inputs: `{"mute":true}`, timeout: 3 * time.Second, took: 3 * time.Second, code: schemas.CodeTimeout, says: "the timeout of its call", calls: 1},
		"a long timeout of its own":    {inputs: `{"mute":true}`, timeout: 2 * time.Minute, took: 2 * time.Minute, code: schemas.CodeTimeout, says: "2m", calls: 1},
		"a long timeout of the policy": {inputs: `{"take":"80s"}`, policy: schemas.Policy{Timeout: new(schemas.Duration(90 * time.Second))}, took: 80 * time.Second, calls: 1},
		"attempts that are asked for":  {inputs: `{"mute":true}`, timeout: 3 * time.Second, retry: &schemas.Retry{MaxAttempts: 3, InitialInterval: schemas.Duration(time.Second), BackoffCoefficient: 1, Jitter: new(0.0)}, took: 11 * time.Second, code: schemas.CodeTimeout, says: "3 attempts were made", calls: 3},
		"attempts for ever":            {inputs: `{"mute":true}`, timeout: 20 * time.Second, retry: &schemas.Retry{MaxAttempts: 100}, took: 50 * time.Second, code: schemas.CodeTimeout, says: "attempts were made", calls: 3},
		"a rate limit without a token": {inputs: `{}`, policy: schemas.Policy{RateLimit: &schemas.RateLimit{Rate: 1, Per: schemas.Duration(30 * time.Second)}}, code: schemas.CodeRateLimited, says: "rate limit", calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				policies := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"r": {Policy: tt.policy}}}
				w.change("read", plan.Tool{Hash: "read", Effect: schemas.EffectRead, InputSchema: worldSchema, Policy: policies.For("r", "read")})
				p := run(w, s, func(c *Config) { c.Policies = policies })
				defer p.stop()
				ask := capability.Invocation{Realm: "r", Capability: "read", Inputs: json.RawMessage(tt.inputs), Timeout: tt.timeout, Retry: tt.retry}
				if tt.code == schemas.CodeRateLimited {
					if _, err := p.Capabilities.Invoke(t.Context(), ask); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				_, err := p.Capabilities.Invoke(t.Context(), ask)
				e := schemas.AsError(err)
				if took := time.Since(began); code(e) != tt.code || took.Round(time.Second) != tt.took || tt.code != "" && !strings.Contains(e.Message, tt.says) {
					t.Errorf("%v after %s, want %s that says %q after %s", e, took, tt.code, tt.says, tt.took)
				}
				if tt.code == schemas.CodeRateLimited && (e.RetryAfterSeconds < 20 || e.Outcome != schemas.NotRun) {
					t.Errorf("%+v", e)
				}
				if n := w.calls("read", ""); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
			})
		})
	}
}

// deaf is a world one of whose tools does not answer.
type deaf struct {
	*world
	tool string
}

func (d deaf) Invoke(ctx context.Context, c *call.Call) (*call.Result, error) {
	if c.Capability != d.tool {
		return d.world.Invoke(ctx, c)
	}
	<-ctx.Done()
	return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.Unknown)
}

// A call that is not answered falls back within the same time, also after attempts that take all of it.
func TestDirectCallsLeaveTimeForTheirFallbacks(t *testing.T) {
	for name, tt := range map[string]struct {
		fallback schemas.PolicyFallback
		timeout  time.Duration
		retry    *schemas.Retry
		took     time.Duration
		served   string
	}{
		"a value":                 {fallback: schemas.PolicyFallback{Value: schemas.Value(`"instead"`)}, took: 40 * time.Second, served: "value"},
		"another capability":      {fallback: schemas.PolicyFallback{Capability: "r.idempotent"}, took: 40 * time.Second, served: "r.idempotent"},
		"after a long timeout":    {fallback: schemas.PolicyFallback{Capability: "r.idempotent"}, timeout: time.Minute, took: time.Minute, served: "r.idempotent"},
		"after a timeout of 45 s": {fallback: schemas.PolicyFallback{Capability: "r.idempotent"}, timeout: 45 * time.Second, took: 45 * time.Second, served: "r.idempotent"},
		"after many attempts": {
			fallback: schemas.PolicyFallback{Capability: "r.idempotent"}, timeout: 15 * time.Second, retry: &schemas.Retry{MaxAttempts: 9},
			took: 40 * time.Second, served: "r.idempotent",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				policies := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"r": {
					Capabilities: map[string]schemas.Policy{"read": {Fallback: []schemas.PolicyFallback{tt.fallback}}},
				}}}
				w.change("read", plan.Tool{Hash: "read", Effect: schemas.EffectRead, InputSchema: worldSchema, Policy: policies.For("r", "read")})
				p := run(w, s, func(c *Config) { c.Policies, c.Realms = policies, deaf{w, "read"} })
				defer p.stop()
				began := time.Now()
				out, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{
					Realm: "r", Capability: "read", Inputs: json.RawMessage(`{}`), Timeout: tt.timeout, Retry: tt.retry,
				})
				if took := time.Since(began).Round(time.Second); err != nil || !out.Degraded || took != tt.took || !strings.Contains(out.ServedBy, tt.served) {
					t.Errorf("%+v, %v after %s, want %s", out, err, took, tt.took)
				}
			})
		})
	}
}

// An argument that takes the idempotency key is filled in, so it may be missing in a call and in a plan; the others may not.
func TestArgumentOfTheKeyMayBeMissing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		policies := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"r": {
			Capabilities: map[string]schemas.Policy{"once": {IdempotencyArg: "key"}},
		}}}
		schema := []byte(`{"type":"object","properties":{"id":{"type":"string"},"key":{"type":"string"}},"required":["key","id"]}`)
		w.change("once", plan.Tool{Hash: "once", Effect: schemas.EffectIdempotent, InputSchema: schema, Policy: policies.For("r", "once")})
		p := run(w, s, func(c *Config) { c.Policies = policies })
		defer p.stop()
		for inputs, want := range map[string]schemas.Code{`{"id":"a"}`: "", `{"id":"b","key":"mine"}`: "", `{}`: schemas.CodeInvalidArgument} {
			_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "once", Inputs: json.RawMessage(inputs)})
			if code(schemas.AsError(err)) != want {
				t.Errorf("%s: %v", inputs, err)
			}
		}
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","inputs":{"id":"c"}}]}`)
		want(t, e, schemas.StatusSucceeded, "", "n=succeeded")
		if _, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.once"}]}`)}); err == nil {
			t.Error("a plan without the other argument is accepted")
		}
	})
}
