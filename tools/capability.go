package tools

import (
	"context"
	"encoding/json"

	"github.com/invopop/jsonschema"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/schemas"
)

type resolveCapability struct {
	Realm          string `json:"realm"`
	CapabilityName string `json:"capability_name"`
}

type invokeCapability struct {
	Realm          string         `json:"realm"`
	CapabilityName string         `json:"capability_name"`
	Inputs         schemas.Object `json:"inputs,omitempty" jsonschema:"description=as its input_schema says"`
	SafetyLevel    string         `json:"safety_level,omitempty" jsonschema:"enum=normal,description=default normal"`
	TimeoutSeconds float64        `json:"timeout_seconds,omitempty" jsonschema:"exclusiveMinimum=0,maximum=86400,description=longest time of one attempt"`
	RetryConfig    *sameRetry     `json:"retry_config,omitempty" jsonschema:"description=as for execute_with_retry"`
	SessionID      string         `json:"session_id,omitempty"`
	IdempotencyKey string         `json:"idempotency_key,omitempty" jsonschema:"maxLength=255,description=passed on to a tool that takes one"`
}

// sameRetry is a retry whose members a list of tools explains once, in execute_with_retry.
type sameRetry schemas.Retry

// ListedSchema leaves the members out.
func (sameRetry) ListedSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "object"} }

type discoverCapabilities struct {
	Realm  string         `json:"realm,omitempty"`
	Query  string         `json:"query,omitempty" jsonschema:"maxLength=500,description=words of names and descriptions"`
	Detail schemas.Detail `json:"detail,omitempty" jsonschema:"enum=names,enum=summary,enum=schema,description=default summary; schema: with schemas"`
	Limit  int            `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200,description=default the best 8"`
	Cursor string         `json:"cursor,omitempty"`
}

// Capability is the contract Capability.
func Capability() []Method {
	const contract = "Capability"
	return []Method{
		method(contract, "discover_capabilities", "Find capabilities", Reads,
			`Lists what can be called: each capability is one tool of one realm (a connected MCP server). Start here, then resolve_capability `+
				`for its schema.`,
			func(ctx context.Context, rt *runtime.Runtime, in discoverCapabilities, _ Request) (schemas.Discovery, error) {
				return rt.Capabilities.Discover(ctx, schemas.DiscoverQuery{Realm: in.Realm, Query: in.Query, Detail: in.Detail, Limit: in.Limit, Cursor: in.Cursor})
			}),
		method(contract, "resolve_capability", "Describe a capability", Reads,
			`Describes one capability: its schemas, limits, health and effect: read, idempotent or once (never repeated without a decision). `+
				`Use it before you write a plan or call invoke_capability.`,
			func(ctx context.Context, rt *runtime.Runtime, in resolveCapability, _ Request) (schemas.Capability, error) {
				return brief(rt.Capabilities.Resolve(ctx, in.Realm, in.CapabilityName))
			}),
		method(contract, "invoke_capability", "Call one capability", Acts,
			`Calls one capability now and returns its output, with the realm's timeout and retries. It is not durable: for several calls, or one that must survive a crash, use execute_plan. A failure's outcome says whether `+
				`the call ran.`,
			func(ctx context.Context, rt *runtime.Runtime, in invokeCapability, r Request) (schemas.Invocation, error) {
				out, err := rt.Capabilities.Invoke(ctx, capability.Invocation{
					Realm: in.Realm, Capability: in.CapabilityName, Inputs: json.RawMessage(in.Inputs),
					Timeout: duration(in.TimeoutSeconds), Retry: (*schemas.Retry)(in.RetryConfig), IdempotencyKey: in.IdempotencyKey, SessionID: in.SessionID,
					Progress: r.relay(),
				})
				if err != nil {
					return out, err
				}
				return withinAnswer(ctx, rt, out), nil
			}),
	}
}

// relay passes a realm's progress on to the client.
func (r Request) relay() func(call.Progress) {
	if r.Progress == nil {
		return nil
	}
	return func(p call.Progress) { r.Progress(p.Done, p.Total, p.Message) }
}
