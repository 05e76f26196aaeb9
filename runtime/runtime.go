package runtime

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/store"
)

// Runtime is the façade: a door for each contract, and Run.
type Runtime struct {
	Executions   *engine.Engine
	Sessions     *session.Sessions
	States       *state.States
	Capabilities *capability.Capabilities
	Queue        *queue.Queue
	Telemetry    *telemetry.Feed

	store    *records.Store
	journal  *journal.Journal
	log      hclog.Logger
	limits   engine.Limits
	newID    func() string
	keep     RetentionRules
	clients  clients
	audience audience
	unqueued atomic.Int64              // executions found in no queue
	ended    *records.Dirty[store.Key] // schedules of which an execution has ended
}

// Run claims and runs executions until ctx ends. Then nothing new starts, calls that may be repeated are stopped, `once` calls get
// the grace period, and every execution is handed back to the store. It returns when nothing of it is left.
func (r *Runtime) Run(ctx context.Context) error {
	do := func(f func(context.Context)) func(context.Context) error {
		return func(ctx context.Context) error { f(ctx); return nil }
	}
	return runAll(ctx, // in the order in which they are stopped
		do(r.watch), do(func(ctx context.Context) { r.store.MakeRounds(ctx, r.reconciler(), "look for executions in no queue") }), do(r.retain),
		do(func(ctx context.Context) { r.store.HandleDue(ctx, kindSchedule, r.fire) }), do(r.pollPublished),
		r.Sessions.Run, r.States.Run, r.Executions.Run, do(func(ctx context.Context) { r.ended.Handle(ctx, 4, r.tellSchedule) }))
}

// runAll runs the rooms until ctx ends. Then it stops one after the other, and waits for each.
func runAll(ctx context.Context, rooms ...func(context.Context) error) error {
	var stops []func() error
	for _, run := range rooms {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan error, 1)
		go func() { done <- run(own) }()
		stops = append(stops, func() error { cancel(); return <-done })
	}
	<-ctx.Done()
	var err error
	for _, stop := range stops {
		err = errors.Join(err, stop())
	}
	return err
}

// watch passes on what the store's watch names: what other replicas changed.
func (r *Runtime) watch(ctx context.Context) {
	keys, err := r.store.Watch(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.log.Warn("watch the store: waiting requests poll instead", "error", err)
		return
	}
	for key := range keys {
		r.States.Changed(key)
		r.Queue.Changed(ctx, key)
		r.Executions.Changed(ctx, key)
		if key.Kind == kindWorkflow {
			r.workflowChanged(ctx, key)
		}
	}
}
