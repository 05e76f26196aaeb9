package runtime

import (
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/ulid/v2"

	"github.com/runplane/runplane/runtime/answers"
	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/health"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/runtime/upkeep"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Config configures a Runtime. Store and Realms are required; other zero fields take their defaults.
type Config struct {
	Store  store.Store
	Realms capability.Realms
	// Policies and Quotas are set by the operator; SetPolicies and SetQuotas of Capabilities replace them.
	Policies schemas.Policies
	Quotas   call.QuotaRules
	Secrets  map[string]string // by name, for the inputs of calls; SetSecrets of Capabilities replaces them
	Log      hclog.Logger      // nil: silent
	Limits   engine.Limits
	NewID    func() string  // makes the ids of executions and sessions; nil: ULIDs
	Random   func() float64 // returns a number in [0,1), for jitter; nil: math/rand. It is called from many goroutines

	MaxQueued int           // when so many executions wait in the queue, new ones are refused; 10,000
	MaxCache  int           // bytes of cached answers; 32 MiB
	Patience  time.Duration // of callers of direct calls; [capability.DefaultPatience]

	Sessions  session.Rules
	States    state.Rules
	Retention upkeep.Retention // zero fields: nothing is deleted
}

// New returns a Runtime. It does nothing by itself before Run.
func New(c Config) *Runtime {
	if c.Log == nil {
		c.Log = hclog.NewNullLogger()
	}
	if c.NewID == nil {
		c.NewID = records.NewID
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	limits := c.Limits.WithDefaults()
	s := records.New(records.Config{Store: c.Store, Log: c.Log, Worker: ulid.Make().String(), Lease: limits.Lease, Random: c.Random})
	r := &Runtime{
		Telemetry: new(telemetry.Feed), store: s, log: c.Log,
	}
	r.Sessions = session.New(session.Config{Store: s, Log: c.Log, Rules: c.Sessions, NewID: c.NewID})
	r.Answers = answers.New(s, c.NewID)
	r.States = state.New(state.Config{
		Store: s, Log: c.Log, Sessions: r.Sessions, Rules: c.States, Views: r.views(),
		Written: func(key store.Key) { r.Executions.StateWritten(key) },
	})
	r.Capabilities = capability.New(capability.Config{
		Store: s, Log: c.Log, Sessions: r.Sessions, Realms: c.Realms, Policies: c.Policies, Quotas: c.Quotas, Secrets: c.Secrets, MaxCache: c.MaxCache,
		Patience: c.Patience,
		NewID:    c.NewID, Random: c.Random,
	})
	r.journal = journal.Open(journal.Config{
		Store: s, Sessions: r.Sessions, Limits: journal.Limits{
			Plan: limits.Plan, MaxOutput: limits.MaxOutput, Tree: limits.Budget(), MaxOpen: limits.MaxOpen, MaxCached: limits.MaxCached,
			Large: limits.Large, Shown: limits.Shown,
		},
		Retention: c.Retention.Executions, UnknownRules: r.Capabilities.UnknownRules,
	})
	r.Queue = queue.New(queue.Config{
		Store: s, Log: c.Log, MaxQueued: c.MaxQueued, Capacity: limits.MaxExecutions,
		InFlight: func() int { return r.Executions.InMemory() },
	})
	r.Executions = engine.New(engine.Config{
		Store: s, Log: c.Log, Sessions: r.Sessions, States: r.States, Capabilities: r.Capabilities, Journal: r.journal, Queue: r.Queue,
		Feed: r.Telemetry, Limits: limits, NewID: c.NewID, Random: c.Random,
	})
	r.Workflows = workflow.New(workflow.Config{
		Store: s, Log: c.Log, Journal: r.journal, Capabilities: r.Capabilities, Executions: r.Executions, Plans: limits.Plan, NewID: c.NewID,
	})
	r.Safety = safety.New(safety.Config{Store: s, Journal: r.journal, Executions: r.Executions})
	r.upkeep = upkeep.New(upkeep.Config{
		Store: s, Log: c.Log, Journal: r.journal, States: r.States, Retention: c.Retention, Idempotency: limits.Idempotency,
	})
	r.Health = health.New(health.Config{
		Store: s, Log: c.Log, Sessions: r.Sessions, Capabilities: r.Capabilities, Executions: r.Executions, Upkeep: r.upkeep,
	})
	r.Executions.Connect(r.Workflows, r.Workflows)
	r.Sessions.OnEnd(r.Executions, r.States)
	return r
}
