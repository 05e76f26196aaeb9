package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// Resolve describes one capability as it would be called now.
func (r *Runtime) Resolve(ctx context.Context, realm, capability string) (schemas.Capability, error) {
	c, err := r.realms.Resolve(ctx, realm, capability)
	if err == nil {
		r.bounds(&c)
	}
	return c, err
}

// Discover lists the capabilities that match.
func (r *Runtime) Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	return r.realms.Discover(ctx, q)
}

// Invocation is a direct call of one capability.
type Invocation struct {
	Realm, Capability string
	Inputs            json.RawMessage
	Timeout           time.Duration // of one attempt; 0: the policy's
	Retry             *schemas.Retry
	IdempotencyKey    string
	SessionID         string
	Progress          func(call.Progress)
}

// Invoke calls one capability now and waits for its answer, with the policy's timeout and retries; nothing of it is durable.
// Inputs are checked against the tool's schema before anything is sent.
func (r *Runtime) Invoke(ctx context.Context, in Invocation) (schemas.Invocation, error) {
	if err := tooFar(ctx); err != nil {
		return schemas.Invocation{}, err
	}
	tool, known := r.realms.Catalog(ctx, []string{in.Realm}).Tool(in.Realm, in.Capability)
	if !known {
		_, err := r.realms.Resolve(ctx, in.Realm, in.Capability) // it knows why
		if err == nil {
			err = fmt.Errorf("%s.%s is resolved but not in the catalog", in.Realm, in.Capability)
		}
		return schemas.Invocation{}, err
	}
	checker, err := r.checkers.of(tool.Hash, tool.InputSchema)
	if err != nil {
		return schemas.Invocation{}, err
	}
	if problems := checker.Check(orElse(in.Inputs, "{}")); len(problems) > 0 {
		for i := range problems {
			problems[i].Field = "/inputs" + problems[i].Field
		}
		return schemas.Invocation{}, schemas.InvalidArguments(problems).WithOutcome(schemas.NotRun)
	}
	c := &call.Call{
		Realm: in.Realm, Capability: in.Capability, Inputs: in.Inputs, Effect: tool.Effect, Attempt: 1,
		Key: in.IdempotencyKey, IdempotencyArg: tool.Policy.IdempotencyArg,
		Timeout: in.Timeout, TimeoutFrom: "call", Retry: in.Retry.Or(tool.Policy.Retry),
		Rules: r.rulesOf(in.Realm, in.Capability), Hash: tool.Hash, Principal: CallerFrom(ctx).Principal, SessionID: in.SessionID, Progress: in.Progress,
	}
	switch own := tool.Policy.Timeout; {
	case c.Timeout > 0:
	case own != nil:
		c.Timeout, c.TimeoutFrom = own.Std(), tool.Policy.TimeoutFrom
	default:
		c.Timeout, c.TimeoutFrom = defaultTimeout, "built-in default"
	}
	if c.Key == "" {
		c.Key = r.newID()
	}
	began := time.Now()
	res, err := r.direct.Invoke(ctx, c)
	if err != nil {
		return schemas.Invocation{}, err
	}
	return schemas.Invocation{
		Output: orElse(schemas.Value(res.Output), "null"), Attempts: res.Attempts, Degraded: res.Degraded, ServedBy: res.ServedBy,
		DurationMS: float64(time.Since(began).Microseconds()) / 1000,
	}, nil
}

// checkers keeps the compiled input schemas of the tools that were called directly.
type checkers struct {
	mu     sync.Mutex
	byHash map[string]*schemas.Checker
}

// maxCheckers bounds the memory of checkers; a runtime with more tools in use compiles some of them again.
const maxCheckers = 2000

// of is the checker of a tool's input schema. One that is no usable schema checks nothing: the tool judges for itself.
func (c *checkers) of(hash string, schema json.RawMessage) (*schemas.Checker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.byHash[hash]; known != nil {
		return known, nil
	}
	checker, err := schemas.NewChecker(schema)
	if err != nil {
		checker, err = schemas.NewChecker(nil)
	}
	if c.byHash == nil || len(c.byHash) >= maxCheckers {
		c.byHash = map[string]*schemas.Checker{}
	}
	c.byHash[hash] = checker
	return checker, err
}
