package upkeep

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/state"
)

// Config configures Upkeep. Store, Log, Journal and States are required.
type Config struct {
	Store       *records.Store
	Log         hclog.Logger
	Journal     *journal.Journal
	States      *state.States
	Retention   Retention
	Idempotency time.Duration // how long an idempotency key is remembered
}

// Upkeep keeps the store in order.
type Upkeep struct {
	// Unqueued counts the executions that needed an owner and were in no queue, since the start of this process. Each one is the result
	// of a defect, and was woken.
	Unqueued atomic.Int64

	store       *records.Store
	log         hclog.Logger
	journal     *journal.Journal
	states      *state.States
	retention   Retention
	idempotency time.Duration
	unbelieved  atomic.Int64 // a time.Duration, see Unbelieved
}

// New returns Upkeep; it does nothing before Run.
func New(c Config) *Upkeep {
	return &Upkeep{store: c.Store, log: c.Log, journal: c.Journal, states: c.States, retention: c.Retention, idempotency: c.Idempotency}
}

// Run does the rounds until ctx ends: the reconciler's, and those of the retention that is configured.
func (u *Upkeep) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { u.store.RunRounds(ctx, u.ReconcileRounds(), "search for executions in no queue") })
	if u.retention.Executions > 0 {
		wg.Go(func() { u.store.RunRounds(ctx, u.ExecutionRounds(), "delete executions that ended long ago") })
	}
	if u.retention.States > 0 {
		wg.Go(func() { u.store.RunRounds(ctx, u.StateRounds(), "delete states that were not written for long") })
	}
	wg.Wait()
	return nil
}
