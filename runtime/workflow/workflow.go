package workflow

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
)

// Config configures Workflows. Every field is required.
type Config struct {
	Store        *records.Store
	Log          hclog.Logger
	Journal      *journal.Journal
	Capabilities *capability.Capabilities
	Executions   *engine.Engine
	Plans        plan.Limits
	NewID        func() string // makes the ids of executions of schedules
}

// Workflows implements the contract Workflow.
type Workflows struct {
	store        *records.Store
	log          hclog.Logger
	journal      *journal.Journal
	capabilities *capability.Capabilities
	executions   *engine.Engine
	plans        plan.Limits
	newID        func() string
	listeners    listeners
}

// New returns Workflows. Until Run, schedules do not fire.
func New(c Config) *Workflows {
	return &Workflows{
		store: c.Store, log: c.Log, journal: c.Journal, capabilities: c.Capabilities, executions: c.Executions,
		plans: c.Plans, newID: c.NewID,
		listeners: listeners{remembered: records.NewSignal()},
	}
}

// Run fires schedules and notifies listeners of published workflows, until ctx ends.
func (w *Workflows) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { w.store.HandleDueByDay(ctx, KindSchedule, w.fire) })
	wg.Go(func() { w.pollPublished(ctx) })
	wg.Wait()
	return nil
}
