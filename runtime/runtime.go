package runtime

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"

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
)

// Runtime is the façade: one field for each contract, and Run.
type Runtime struct {
	Executions   *engine.Engine
	Sessions     *session.Sessions
	States       *state.States
	Workflows    *workflow.Workflows
	Capabilities *capability.Capabilities
	Queue        *queue.Queue
	Safety       *safety.Safety
	Health       *health.Health
	Telemetry    *telemetry.Feed

	store   *records.Store
	journal *journal.Journal
	upkeep  *upkeep.Upkeep
	log     hclog.Logger
}

// Run claims and runs executions until ctx ends. Then nothing new starts, calls that may be repeated are stopped, `once` calls get
// the grace period, and all executions are released to the store. It returns when all its goroutines have ended.
func (r *Runtime) Run(ctx context.Context) error {
	// In the order in which they are stopped.
	return runAll(ctx, r.watch, r.upkeep.Run, r.Sessions.Run, r.States.Run, r.Executions.Run, r.Workflows.Run)
}

// runAll calls all functions at once. When ctx ends it stops one after the other, and waits for each.
func runAll(ctx context.Context, runs ...func(context.Context) error) error {
	var stops []func() error
	for _, run := range runs {
		running, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan error, 1)
		go func() { done <- run(running) }()
		stops = append(stops, func() error { cancel(); return <-done })
	}
	<-ctx.Done()
	var err error
	for _, stop := range stops {
		err = errors.Join(err, stop())
	}
	return err
}

// watch passes the keys that the store's watch names, which may have been changed by other replicas, to the rooms.
func (r *Runtime) watch(ctx context.Context) error {
	keys, err := r.store.Watch(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of ctx is not an error
	}
	if err != nil {
		r.log.Warn("watch the store: polling instead", "error", err)
		return nil
	}
	for key := range keys {
		r.States.Changed(key)
		r.Queue.Changed(ctx, key)
		r.Executions.RecordChanged(ctx, key)
		r.Workflows.Changed(ctx, key)
	}
	return nil
}
