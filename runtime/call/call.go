// Package call is one attempt at a capability: what is asked, what comes back, and the wrappers around it, a file each.
// Which of them a call passes, and in which order, package runtime says in dispatch.go. Package runtime/realm implements the innermost Invoker.
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
	Effect     schemas.Effect
	Attempt    int // from 1

	// Key is the same for every attempt at the same effect. It goes downstream in `_meta` and, where IdempotencyArg is
	// set, as that argument of the call.
	Key            string
	IdempotencyArg string

	Timeout     time.Duration // longest time of the attempt; 0 means no limit of its own
	Heartbeat   time.Duration // longest silence between two progress notifications; 0 means no limit
	TimeoutFrom string        // which setting Timeout comes from, for the error: "node", "plan defaults", "capability", …

	Retry *schemas.Retry // of a direct call: what somebody asked for; nil means the built-in policy

	Rules *Rules // what the wrappers hold the call to; nil: nothing
	Hash  string // of the tool's definition that the caller goes by; empty: whatever it is now
	// Accepted: somebody accepted that definition later than the plan, and the inputs were not checked against it.
	Accepted bool

	Principal   string // whose call it is
	SessionID   string // empty: outside of a session
	ExecutionID string // empty for a direct call
	NodeID      string
	TraceParent string // W3C traceparent; empty: none

	// Leave is asked by the innermost Invoker at the last moment before the call leaves the process, once everything else
	// that takes time is done; its error is the call's end then, and nothing was called. nil: it may leave. See MayLeave.
	Leave func() error

	// Progress receives the realm's progress notifications, one at a time; nil ignores them. It must not block.
	Progress func(Progress)
}

// Name is realm.capability.
func (c *Call) Name() string { return c.Realm + "." + c.Capability }

// MayLeave is nil where the call may leave this process now, else why not; every innermost Invoker asks.
func (c *Call) MayLeave() error {
	if c.Leave == nil {
		return nil
	}
	return c.Leave()
}

// Progress is one progress notification of a realm.
type Progress struct {
	Done    float64
	Total   float64 // 0: unknown
	Message string
}

// Result is what a capability answered.
type Result struct {
	// Output is the tool's structuredContent; else its single text block, JSON-decoded where it is an object or array;
	// else the list of content blocks.
	Output   json.RawMessage
	Text     string // the joined text blocks
	ServedBy string // realm.capability that answered
	Degraded bool
	Age      time.Duration // of an answer that was kept from an earlier call
	Attempts int
	Duration time.Duration
}

// Invoker makes a call. A failure is a *schemas.Error whose Outcome says whether the call ran; when ctx ends, its
// message tells by context.Cause what ended it.
type Invoker interface {
	Invoke(ctx context.Context, c *Call) (*Result, error)
}

// Func is a function as an Invoker.
type Func func(ctx context.Context, c *Call) (*Result, error)

// Invoke calls f.
func (f Func) Invoke(ctx context.Context, c *Call) (*Result, error) { return f(ctx, c) }

// Wrapper puts something around an Invoker.
type Wrapper func(Invoker) Invoker

// Chain wraps inner so that the first wrapper is the outermost.
func Chain(inner Invoker, wrappers ...Wrapper) Invoker {
	for i := len(wrappers) - 1; i >= 0; i-- {
		inner = wrappers[i](inner)
	}
	return inner
}
