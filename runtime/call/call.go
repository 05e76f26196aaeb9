// Package call defines one attempt at a capability: the [Call], its [Result], and the wrappers around the [Invoker] that makes
// it, a file each: gate, retry, fallback, breaker, rate limits, quotas, bulkheads, cache, timeout, heartbeat, log. It owns what the
// wrappers remember in this process. Package capability chains the wrappers (dispatch.go there has their order) and package realm
// implements the innermost Invoker. Its hooks are the Invoker, [Taker] for rate limits and quotas, the functions given to Retry
// and Fallback, and Call.BeforeSend and Call.Progress.
package call

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Call is one attempt at one capability.
type Call struct {
	Realm      string
	Capability string
	Inputs     json.RawMessage // a JSON object; nil counts as {}
	Secrets    []string        // names of the secrets to which Inputs has references, see expr.SecretReference
	Effect     schemas.Effect
	Attempt    int // from 1

	// Key is the idempotency key, the same for every attempt at the same effect. It is sent in `_meta` and, if IdempotencyArg is
	// set, as that argument of the call.
	Key            string
	IdempotencyArg string

	Timeout     time.Duration // of the attempt; 0: none
	Heartbeat   time.Duration // longest time between two progress notifications; 0: no limit
	TimeoutFrom string        // the setting that Timeout comes from, for the error: "node", "plan defaults", "capability", …

	Retry *schemas.Retry // of a direct call: the policy in the request; nil: the built-in one

	Rules *Rules // what the wrappers enforce; nil: nothing
	Hash  string // of the tool's definition that the caller expects; empty: any
	// Accepted: a person accepted that definition after the plan was made, and the inputs were not checked against it.
	Accepted bool

	// Allowed: the log of the execution says that the call may be made, by its policy or by a person; see Gate.
	Allowed bool

	Principal   string // the caller
	SessionID   string // empty: no session
	ExecutionID string // empty for a direct call
	NodeID      string
	TraceParent string // W3C traceparent; empty: none

	// BeforeSend is called by the innermost Invoker just before the call is sent, after everything else that takes time. Its error
	// ends the call, and nothing is sent. nil: the call may be sent. See CheckSend.
	BeforeSend func() error

	// Late, if not nil, is called at most once when more becomes known of a call for which Invoke has returned an error of unknown outcome,
	// perhaps before it has returned: the call was answered after all, or it has ended (an error of unknown outcome that is Ended). It is
	// called in a goroutine of its own.
	Late func(*Result, error)

	// Progress receives the realm's progress notifications, one at a time; nil: they are ignored. It must not block.
	Progress func(Progress)
}

// Name is realm.capability.
func (c *Call) Name() string { return c.Realm + "." + c.Capability }

// CheckSend calls BeforeSend: nil if the call may be sent now. Every innermost Invoker calls it.
func (c *Call) CheckSend() error {
	if c.BeforeSend == nil {
		return nil
	}
	return c.BeforeSend()
}

// Progress is one progress notification of a realm.
type Progress struct {
	Done    float64
	Total   float64 // 0: unknown
	Message string
}

// Result is the answer of a capability.
type Result struct {
	// Output is the tool's structuredContent; else its single text block, decoded if it is a JSON object or array; else the list
	// of content blocks.
	Output json.RawMessage
	Text   string // the joined text blocks
	// Content is the list of content blocks as the tool sent it. It is empty if the blocks are one text without more, or are Output, as Blocks
	// says.
	Content  json.RawMessage
	Blocks   bool
	ServedBy string // realm.capability that answered
	Degraded bool
	Notes    []string      // what was repaired in the realm's answer, so that clients can read it
	Age      time.Duration // of a result from the cache
	Attempts int
	Duration time.Duration
}

// Invoker makes a call. An error is a *schemas.Error whose Outcome is whether the call ran; when ctx ends, the error is made
// from context.Cause.
type Invoker interface {
	Invoke(ctx context.Context, c *Call) (*Result, error)
}

// Func is a function as an Invoker.
type Func func(ctx context.Context, c *Call) (*Result, error)

// Invoke calls f.
func (f Func) Invoke(ctx context.Context, c *Call) (*Result, error) { return f(ctx, c) }

// Wrapper adds behaviour to an Invoker.
type Wrapper func(Invoker) Invoker

// Chain wraps inner so that the first wrapper is the outermost.
func Chain(inner Invoker, wrappers ...Wrapper) Invoker {
	for i := len(wrappers) - 1; i >= 0; i-- {
		inner = wrappers[i](inner)
	}
	return inner
}
