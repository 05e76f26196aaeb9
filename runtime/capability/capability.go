package capability

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

// Config is what Capabilities are made of. Store, Log, Sessions, Realms, NewID and Random are required.
type Config struct {
	Store    *records.Store
	Log      hclog.Logger
	Sessions *session.Sessions
	Realms   Realms
	Policies schemas.Policies // see SetPolicies
	Quotas   call.QuotaRules  // see SetQuotas
	MaxCache int              // bytes of answers that are kept; 0: 32 MiB
	NewID    func() string    // for idempotency keys of direct calls
	Random   func() float64   // [0,1) for jitter
}

// Capabilities is the contract Capability, and what every call passes.
type Capabilities struct {
	Realms Realms       // the downstream servers
	Quotas *call.Quotas // what principals and sessions have used

	store    *records.Store
	log      hclog.Logger
	sessions *session.Sessions
	newID    func() string
	random   func() float64

	checkers checkers
	rules    atomic.Pointer[resolvedRules]
	breakers *call.Breakers
	rooms    call.Rooms
	rates    *call.Rates
	answers  *call.Answers

	attempt call.Invoker // one attempt of a node
	direct  call.Invoker // a direct call with its retries
}

// New makes Capabilities; nothing is called.
func New(c Config) *Capabilities {
	log := c.Log.Named("call")
	tokens := call.NewTokens(c.Store, log)
	r := &Capabilities{
		Realms: c.Realms, Quotas: call.NewQuotas(tokens), store: c.Store, log: c.Log, sessions: c.Sessions, newID: c.NewID, random: c.Random,
		breakers: call.NewBreakers(log), rates: call.NewRates(tokens), answers: call.NewAnswers(cmp.Or(c.MaxCache, 32<<20)),
	}
	r.SetPolicies(c.Policies)
	r.SetQuotas(c.Quotas)
	r.chain()
	return r
}

// Resolve describes one capability as it would be called now.
func (r *Capabilities) Resolve(ctx context.Context, realm, capability string) (schemas.Capability, error) {
	c, err := r.Realms.Resolve(ctx, realm, capability)
	if err == nil {
		r.bounds(&c)
	}
	return c, err
}

// Discover lists the capabilities that match. It asks the store for nothing but the key that its cursors are sealed with.
func (r *Capabilities) Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	scope := fmt.Sprintf("capabilities %q %q", q.Realm, q.Query)
	var err error
	if q.Cursor, err = r.store.OpenCursor(ctx, "discover_capabilities", scope, q.Cursor); err != nil {
		return schemas.Discovery{}, err
	}
	d, err := r.Realms.Discover(ctx, q)
	if err == nil && d.NextCursor != "" {
		d.NextCursor = r.store.Cursor(ctx, scope, d.NextCursor)
	}
	return d, err
}

// Invocation is a direct call of one capability.
type Invocation struct {
	Realm, Capability string
	Inputs            json.RawMessage
	Timeout           time.Duration // of one attempt; 0: the policy's
	Retry             *schemas.Retry
	IdempotencyKey    string
	SessionID         string // a living session of the caller; empty: none
	Progress          func(call.Progress)
}

// Invoke calls one capability now and waits for its answer, with the policy's timeout, retries and fallbacks; nothing of it
// is durable. Inputs are checked against the tool's schema before anything is sent.
func (r *Capabilities) Invoke(ctx context.Context, in Invocation) (schemas.Invocation, error) {
	if err := caller.CheckHops(ctx); err != nil {
		return schemas.Invocation{}, err
	}
	c, err := r.prepare(ctx, in)
	if err != nil {
		return schemas.Invocation{}, err
	}
	began := time.Now()
	res, err := r.direct.Invoke(ctx, c)
	if err != nil {
		return schemas.Invocation{}, err
	}
	return schemas.Invocation{
		Output: records.OrElse(schemas.Value(res.Output), "null"), Attempts: res.Attempts, Degraded: res.Degraded, ServedBy: res.ServedBy,
		AgeSeconds: res.Age.Seconds(), DurationMS: float64(time.Since(began).Microseconds()) / 1000,
	}, nil
}

// prepare makes a direct call, or says why it cannot be made.
func (r *Capabilities) prepare(ctx context.Context, in Invocation) (*call.Call, error) {
	if in.SessionID != "" { // a store that is away stops no direct call, and one that says nothing delays it a little
		_, err := records.Timed(ctx, func(ctx context.Context) error {
			_, err := r.sessions.Use(ctx, in.SessionID)
			return err
		})
		if err != nil && !errors.Is(err, records.Unavailable) {
			return nil, err
		}
	}
	tool, known := r.Realms.Catalog(ctx, []string{in.Realm}).Tool(in.Realm, in.Capability)
	if !known {
		_, err := r.Realms.Resolve(ctx, in.Realm, in.Capability) // it knows why
		if err == nil {
			err = fmt.Errorf("%s.%s is resolved but not in the catalog", in.Realm, in.Capability)
		}
		return nil, err
	}
	checker, err := r.checkers.of(tool.Hash, tool.InputSchema)
	if err != nil {
		return nil, err
	}
	if problems := checker.Check(records.OrElse(in.Inputs, "{}")); len(problems) > 0 {
		for i := range problems {
			problems[i].Field = "/inputs" + problems[i].Field
		}
		return nil, schemas.InvalidArguments(problems).WithOutcome(schemas.NotRun)
	}
	c := &call.Call{
		Realm: in.Realm, Capability: in.Capability, Inputs: in.Inputs, Effect: tool.Effect, Attempt: 1,
		Key: in.IdempotencyKey, IdempotencyArg: tool.Policy.IdempotencyArg,
		Timeout: in.Timeout, TimeoutFrom: "call", Retry: in.Retry.Or(tool.Policy.Retry),
		Rules: r.RulesOf(in.Realm, in.Capability), Hash: tool.Hash, Principal: caller.From(ctx).Principal, SessionID: in.SessionID, Progress: in.Progress,
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
	return c, nil
}

// fallback makes the call of an entry of a policy's fallback list; it is another effect, with a key of its own.
func (r *Capabilities) fallback(ctx context.Context, failed *call.Call, capability string) (*call.Call, error) {
	realm, name, _ := strings.Cut(capability, ".")
	return r.prepare(ctx, Invocation{
		Realm: realm, Capability: name, Inputs: failed.Inputs, IdempotencyKey: failed.Key + "/fallback/" + capability, SessionID: failed.SessionID, Progress: failed.Progress,
	})
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
