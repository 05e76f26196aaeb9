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

// Config configures Capabilities. Store, Log, Sessions, Realms, NewID and Random are required.
type Config struct {
	Store    *records.Store
	Log      hclog.Logger
	Sessions *session.Sessions
	Realms   Realms
	Policies schemas.Policies  // see SetPolicies
	Quotas   call.QuotaRules   // see SetQuotas
	Secrets  map[string]string // see SetSecrets
	MaxCache int               // bytes of cached answers; 0: 32 MiB
	Patience time.Duration     // of callers of direct calls; 0: DefaultPatience
	NewID    func() string     // for idempotency keys of direct calls
	Random   func() float64    // returns a number in [0,1), for jitter
}

// Capabilities implements the contract Capability, and has the call chain that every call passes.
type Capabilities struct {
	Realms Realms       // the downstream servers
	Quotas *call.Quotas // what principals and sessions have used

	store    *records.Store
	log      hclog.Logger
	sessions *session.Sessions
	newID    func() string
	random   func() float64

	patience  time.Duration
	checkers  checkers
	rules     atomic.Pointer[resolvedRules]
	secrets   atomic.Pointer[map[string]string]
	breakers  *call.Breakers
	bulkheads call.Bulkheads
	rates     *call.Rates
	cache     *call.Cache

	attempt call.Invoker // one attempt of a node
	direct  call.Invoker // a direct call with its retries
}

// New returns Capabilities; it calls nothing.
func New(config Config) *Capabilities {
	log := config.Log.Named("call")
	tokens := call.NewTokens(config.Store, log)
	c := &Capabilities{
		Realms: config.Realms, Quotas: call.NewQuotas(tokens),
		patience: cmp.Or(config.Patience, DefaultPatience),
		store:    config.Store, log: config.Log, sessions: config.Sessions, newID: config.NewID, random: config.Random,
		breakers: call.NewBreakers(log), rates: call.NewRates(tokens), cache: call.NewCache(cmp.Or(config.MaxCache, 32<<20)),
	}
	c.SetPolicies(config.Policies)
	c.SetQuotas(config.Quotas)
	c.SetSecrets(config.Secrets)
	c.chain()
	return c
}

// Resolve describes a capability as it would be called now. Its errors are those of Realms.Resolve.
func (c *Capabilities) Resolve(ctx context.Context, realm, capability string) (schemas.Capability, error) {
	found, err := c.Realms.Resolve(ctx, realm, capability)
	if err == nil {
		c.addLimits(&found)
	}
	return found, err
}

// Discover lists the capabilities that match. It reads nothing from the store but the key that its cursors are signed with.
func (c *Capabilities) Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	scope := fmt.Sprintf("capabilities %q %q", q.Realm, q.Query)
	var err error
	if q.Cursor, err = c.store.OpenCursor(ctx, "discover_capabilities", scope, q.Cursor); err != nil {
		return schemas.Discovery{}, err
	}
	d, err := c.Realms.Discover(ctx, q)
	if err == nil && d.NextCursor != "" {
		d.NextCursor = c.store.Cursor(ctx, scope, d.NextCursor)
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
	SessionID         string // an open session of the caller; empty: none
	Progress          func(call.Progress)
}

// Invoke calls a capability and waits for its answer, with the timeout, retries and fallbacks of the policy; the call is not durable. The
// inputs are checked against the tool's schema before anything is sent.
func (c *Capabilities) Invoke(ctx context.Context, in Invocation) (schemas.Invocation, error) {
	if err := caller.CheckHops(ctx); err != nil {
		return schemas.Invocation{}, err
	}
	prepared, err := c.prepare(ctx, in)
	if err != nil {
		return schemas.Invocation{}, err
	}
	began := time.Now()
	res, err := c.direct.Invoke(ctx, prepared)
	if err != nil {
		return schemas.Invocation{}, err
	}
	return schemas.Invocation{
		Output: records.OrElse(schemas.Value(res.Output), "null"), Content: schemas.Value(res.Beside()), Attempts: res.Attempts, Degraded: res.Degraded, ServedBy: res.ServedBy,
		Notes: res.Notes, AgeSeconds: res.Age.Seconds(), DurationMS: float64(time.Since(began).Microseconds()) / 1000,
	}, nil
}

// prepare returns the call of an invocation, or the error why it cannot be made.
func (c *Capabilities) prepare(ctx context.Context, in Invocation) (*call.Call, error) {
	if in.SessionID != "" { // a store that is unavailable does not prevent direct calls; one that does not answer delays them
		_, err := records.Timed(ctx, func(ctx context.Context) error {
			_, err := c.sessions.Use(ctx, in.SessionID)
			return err
		})
		if err != nil && !errors.Is(err, records.ErrUnavailable) {
			return nil, err
		}
	}
	tool, known := c.Realms.Catalog(ctx, []string{in.Realm}).Tool(in.Realm, in.Capability)
	if !known { // the realm may still be starting
		if _, err := c.Realms.Resolve(ctx, in.Realm, in.Capability); err != nil {
			return nil, err
		}
		if tool, known = c.Realms.Catalog(ctx, []string{in.Realm}).Tool(in.Realm, in.Capability); !known {
			return nil, schemas.Errorf(schemas.CodeUnavailable, "the tools of realm %q changed meanwhile", in.Realm).WithOutcome(schemas.NotRun)
		}
	}
	checker, err := c.checkers.get(tool.Hash, tool.InputSchema, tool.Policy.IdempotencyArg)
	if err != nil {
		return nil, err
	}
	prepared := &call.Call{
		Realm: in.Realm, Capability: in.Capability, Inputs: in.Inputs, Effect: tool.Effect, Attempt: 1,
		Key: in.IdempotencyKey, IdempotencyArg: tool.Policy.IdempotencyArg,
		Timeout: in.Timeout, TimeoutFrom: "call", Retry: in.Retry.Or(tool.Policy.Retry),
		Rules: c.RulesOf(in.Realm, in.Capability), Hash: tool.Hash,
		Principal: caller.From(ctx).Principal, SessionID: in.SessionID, Progress: in.Progress,
	}
	switch configured := tool.Policy.Timeout; {
	case prepared.Timeout > 0:
	case configured != nil:
		prepared.Timeout, prepared.TimeoutFrom = configured.Std(), tool.Policy.TimeoutFrom
	default:
		prepared.Timeout = c.patience - call.Kept(c.patience, prepared.Rules)
		prepared.TimeoutFrom = "direct call (" + call.PatienceSetting + "; timeout_seconds or a policy's timeout sets another)"
	}
	if prepared.Key == "" {
		prepared.Key = c.newID()
	}
	if err := checkInputs(ctx, checker, prepared); err != nil {
		return nil, err
	}
	return prepared, nil
}

// checkInputs checks the inputs of a direct call against the tool's schema, within the timeout of the call: a check that is large
// waits for others. What counts as absent is left out, and defaults of required arguments are filled in, as for the calls of a plan.
func checkInputs(ctx context.Context, checker *schemas.Checker, prepared *call.Call) error {
	within, cancel := context.WithTimeout(ctx, prepared.Timeout)
	defer cancel()
	settled, problems := checker.CheckSettled(within, records.OrElse(prepared.Inputs, "{}"))
	switch {
	case len(problems) == 0:
		prepared.Inputs = settled
		return nil
	case problems[0].Keyword == schemas.KeywordInterrupted && ctx.Err() == nil:
		return schemas.Errorf(schemas.CodeTimeout, "the inputs of %s were not checked within %s, the timeout of its %s",
			prepared.Name(), schemas.Duration(prepared.Timeout), prepared.TimeoutFrom).WithOutcome(schemas.NotRun)
	}
	for i := range problems {
		problems[i].Field = "/inputs" + problems[i].Field
	}
	return schemas.InvalidArguments(problems).WithOutcome(schemas.NotRun)
}

// fallbackCall returns the call of an entry of a policy's fallback list. It is another effect, so it has another idempotency key.
func (c *Capabilities) fallbackCall(ctx context.Context, failed *call.Call, capability string) (*call.Call, error) {
	realm, name, _ := strings.Cut(capability, ".")
	return c.prepare(ctx, Invocation{
		Realm: realm, Capability: name, Inputs: failed.Inputs, IdempotencyKey: failed.Key + "/fallback/" + capability,
		SessionID: failed.SessionID, Progress: failed.Progress,
	})
}

// checkers caches the compiled input schemas of tools, by hash.
type checkers struct {
	mu     sync.Mutex
	byHash map[checkerKey]*schemas.Checker
}

// checkerKey is the hash of a tool and the argument that the runtime fills in.
type checkerKey struct{ hash, filled string }

// maxCheckers is how many schemas are cached at most; a runtime with more tools in use compiles some of them again.
const maxCheckers = 2000

// get returns the checker of a tool's input schema, in which an argument that the runtime fills in may be missing. For a schema that is
// unusable it checks nothing: the tool checks its inputs itself.
func (c *checkers) get(hash string, schema json.RawMessage, filled string) (*schemas.Checker, error) {
	key := checkerKey{hash, filled}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.byHash[key]; known != nil {
		return known, nil
	}
	checker, err := schemas.NewToolChecker(schemas.Optional(schema, filled))
	if err != nil {
		checker, err = schemas.NewChecker(nil)
	}
	if c.byHash == nil || len(c.byHash) >= maxCheckers {
		c.byHash = map[checkerKey]*schemas.Checker{}
	}
	c.byHash[key] = checker
	return checker, err
}
