package runtime

import (
	"context"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/runtime/answers"
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
	Answers      *answers.Answers // what answers to clients had no room for

	store   *records.Store
	journal *journal.Journal
	upkeep  *upkeep.Upkeep
	log     hclog.Logger
}

// Run claims and runs executions until ctx ends. Then nothing new starts, calls that may be repeated are stopped, `once` calls get
// the grace period, and all executions are released to the store. The rooms stop together; it returns when all their goroutines have ended,
// those of Executions last.
func (r *Runtime) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, run := range []func(context.Context) error{r.watch, r.upkeep.Run, r.Sessions.Run, r.States.Run, r.Workflows.Run, r.Executions.Run} {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
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
