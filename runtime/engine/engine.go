package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Config is what an Engine is made of. Every field is required.
type Config struct {
	Store        *records.Store
	Log          hclog.Logger
	Sessions     *session.Sessions
	States       *state.States
	Capabilities *capability.Capabilities
	Journal      *journal.Journal
	Queue        *queue.Queue
	Feed         *telemetry.Feed
	Limits       Limits         // as WithDefaults gives them
	NewID        func() string  // for executions
	Random       func() float64 // [0,1) for jitter
}

// Library knows the plans that names of workflows stand for.
type Library interface {
	// Resolve puts the plan of a workflow in the place of its name, all the way down. within are the workflows around p, outermost
	// first. The findings refuse p; an error means that the store does not answer, and says nothing of p.
	Resolve(ctx context.Context, p *schemas.Plan, within []string) ([]schemas.Finding, error)
}

// Observer hears of every commit to an execution that this process makes, those of one execution in their order. Committed must not block.
type Observer interface {
	Committed(c journal.Commit)
}

// Engine runs executions. Its methods are the contract Execution; the read-only half is [journal.Reader].
type Engine struct {
	journal.Reader
	Counters Counters

	store        *records.Store
	log          hclog.Logger
	sessions     *session.Sessions
	states       *state.States
	capabilities *capability.Capabilities
	journal      *journal.Journal
	queue        *queue.Queue
	library      Library
	observers    []Observer
	feed         *telemetry.Feed
	limits       Limits
	newID        func() string
	random       func() float64
	worker       string // this replica's name on leases
	written      *records.Dirty[store.Key]

	running  atomic.Bool // Run has begun and not ended: this process may own executions
	mu       sync.Mutex
	owned    map[string]*owner
	stopping bool
	owners   sync.WaitGroup
	slots    *semaphore.Weighted // executions in memory

	stop     chan struct{}      // closed when no new call may start
	callsCtx context.Context    //nolint:containedctx // root of all calls; outlives every request
	endCalls func(error)        // ends the calls in flight
	storeCtx context.Context    //nolint:containedctx // root of all commits of owners
	endStore context.CancelFunc // ends them
}

// New makes an Engine; nothing happens before Run.
func New(c Config) *Engine {
	r := &Engine{
		Reader: c.Journal.Reader(), store: c.Store, log: c.Log, sessions: c.Sessions, states: c.States, capabilities: c.Capabilities, journal: c.Journal,
		queue: c.Queue, observers: []Observer{feedObserver{c.Feed}}, feed: c.Feed, limits: c.Limits, newID: c.NewID, random: c.Random, worker: c.Store.Worker(),
		written: records.NewDirty[store.Key](maxWritten), owned: map[string]*owner{}, slots: semaphore.NewWeighted(int64(c.Limits.MaxExecutions)),
		stop: make(chan struct{}),
	}
	r.callsCtx, r.endCalls = context.WithCancelCause(context.Background())
	r.storeCtx, r.endStore = context.WithCancel(context.Background())
	return r
}

// Connect gives the engine the rooms above that it calls. It is called once, before anything else.
func (r *Engine) Connect(l Library, observers ...Observer) {
	r.library = l
	r.observers = append(r.observers, observers...)
}

// Running reports whether Run has begun and not ended: this process may own executions.
func (r *Engine) Running() bool { return r.running.Load() }

// Run claims and runs executions until ctx ends. Then nothing new starts, calls that may be repeated are stopped, `once` calls get the
// grace period, and every execution is handed back to the store. It returns when nothing of it is left.
func (r *Engine) Run(ctx context.Context) error {
	r.running.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { r.claimDue(ctx) })
	wg.Go(func() { r.renewLeases(r.storeCtx) })
	wg.Go(func() { r.store.HandleDue(ctx, journal.KindOverdue, r.expireQueued) })
	wg.Go(func() { r.store.HandleDue(ctx, state.KindNotify, r.notifyDue) })
	telling := make(chan struct{})
	go func() { r.written.Handle(ctx, notifiers, r.notifyWritten); close(telling) }()

	<-ctx.Done()
	r.running.Store(false)
	r.mu.Lock()
	r.stopping = true
	close(r.stop)
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.owners.Wait(); close(done) }()
	if !waitUpTo(done, r.limits.Grace) {
		r.endCalls(errStopped)
		waitUpTo(done, settle)
	}
	r.endCalls(errStopped)
	waitUpTo(telling, settle)
	r.endStore()
	<-telling
	<-done
	wg.Wait()
	return nil
}

// settle is how long the results of calls that were just stopped may take to be committed.
const settle = 5 * time.Second

var errStopped = schemas.Errorf(schemas.CodeCancelled, "the runtime stopped while the call was in flight").WithHint("it goes on when the runtime is back")

func waitUpTo(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}
