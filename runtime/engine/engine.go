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
	Limits       Limits         // with their defaults: [Limits.WithDefaults]
	NewID        func() string  // for executions
	Random       func() float64 // [0,1) for jitter
}

// Library knows the plans of workflows by their names.
type Library interface {
	// Resolve replaces each name of a workflow in p by the plan of the workflow, at every depth. within are the workflows around p,
	// outermost first. A finding of severity error refuses p; an error means that the store did not answer, and says nothing about p.
	Resolve(ctx context.Context, p *schemas.Plan, within []string) ([]schemas.Finding, error)
}

// Observer is called after every commit to an execution that this process makes.
type Observer interface {
	// Committed must not block. It is called for the commits of one execution in their order, for those of several at the same time.
	Committed(c journal.Commit)
}

// Engine runs executions. Its methods are the contract Execution; its read-only half is [journal.Reader]. They may be called by several
// goroutines at once.
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
	worker       string                    // this replica's name on leases
	written      *records.Dirty[store.Key] // states whose waits are to be notified
	guests       guests

	running  atomic.Bool // Run has begun and not ended
	mu       sync.Mutex
	owned    map[string]*owner
	stopping bool                // nothing is adopted any more
	owners   sync.WaitGroup      // owners, their calls, and what follows their commits
	slots    *semaphore.Weighted // executions in memory
	apart    apart
	seen     seen
	children *semaphore.Weighted // that are read, created or changed for their parents

	childWork   childWork
	uncommitted uncommitted
	inputs      atomic.Int64 // bytes of the inputs of calls in flight, and of those that turns start; see turn.crowded
	room        room
	alone       *semaphore.Weighted // held while an execution is evaluated or read that may kill the process

	stopBy   atomic.Pointer[time.Time] // nil: Limits.Grace after the end of Run's context
	stop     chan struct{}             // closed when no new call may start
	callsCtx context.Context           //nolint:containedctx // root of all calls; outlives every request
	endCalls func(error)               // cancels callsCtx
	storeCtx context.Context           //nolint:containedctx // root of all commits of owners
	endStore context.CancelFunc        // cancels storeCtx
}

// New makes an Engine. It does nothing before Run. [Engine.Connect] is to be called before any other method.
func New(c Config) *Engine {
	r := &Engine{
		Reader: c.Journal.Reader(), store: c.Store, log: c.Log, sessions: c.Sessions, states: c.States, capabilities: c.Capabilities,
		journal: c.Journal, queue: c.Queue, observers: []Observer{feedObserver{c.Feed}}, feed: c.Feed, limits: c.Limits,
		newID: c.NewID, random: c.Random, worker: c.Store.Worker(), written: records.NewDirty[store.Key](maxWritten),
		owned: map[string]*owner{}, apart: newApart(c.Limits.MaxExecutions), slots: semaphore.NewWeighted(int64(c.Limits.MaxExecutions)),
		alone: semaphore.NewWeighted(1), children: semaphore.NewWeighted(childrenAtOnce), childWork: childWork{next: map[string]func(){}},
		room: room{limit: c.Limits.MaxItemsInMemory}, stop: make(chan struct{}),
	}
	r.callsCtx, r.endCalls = context.WithCancelCause(context.Background())
	r.storeCtx, r.endStore = context.WithCancel(context.Background())
	return r
}

// Connect sets the hooks that the engine calls. It is called once, before any other method.
func (r *Engine) Connect(l Library, observers ...Observer) {
	r.library = l
	r.observers = append(r.observers, observers...)
}

// Running reports whether Run has begun and its context has not ended: this process may own executions.
func (r *Engine) Running() bool { return r.running.Load() }

// StopBy sets when the grace period of Run ends, if ctx ends before. The caller may have waited for calls already, and has no whole
// Limits.Grace left. It is called before ctx ends.
func (r *Engine) StopBy(t time.Time) { r.stopBy.Store(&t) }

// grace is how long `once` calls in flight may take when Run's context has just ended.
func (r *Engine) grace() time.Duration {
	if by := r.stopBy.Load(); by != nil {
		return max(0, min(time.Until(*by), r.limits.Grace))
	}
	return r.limits.Grace
}

// Run claims and runs executions until ctx ends. Then it starts nothing new, stops calls that may be repeated, gives `once` calls the
// grace period, Limits.Grace or until StopBy, and releases every execution. It returns nil when all of its goroutines have ended.
func (r *Engine) Run(ctx context.Context) error {
	r.running.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { r.claimDue(ctx) })
	wg.Go(func() { r.renewLeases(r.storeCtx) })
	wg.Go(func() { r.store.HandleDue(ctx, journal.KindOverdue, r.expireQueued) })
	wg.Go(func() { r.store.HandleDue(ctx, state.KindNotify, r.notifyDue) })
	if r.store.TwoTimes() {
		wg.Go(func() { r.store.HandleDueByDay(ctx, journal.KindAlarm, r.ring) })
	}
	notified := make(chan struct{})
	go func() { r.written.Handle(ctx, notifiers, r.notifyWritten); close(notified) }()

	<-ctx.Done()
	r.running.Store(false)
	r.mu.Lock()
	r.stopping = true
	close(r.stop)
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.owners.Wait(); close(done) }()
	if !waitUpTo(done, r.grace()) {
		r.endCalls(errStopped)
		waitUpTo(done, settle)
	}
	r.endCalls(errStopped)
	waitUpTo(notified, settle)
	r.endStore()
	<-notified
	<-done
	wg.Wait()
	return nil
}

// settle is how long the results of calls that were just stopped may take to be committed.
const settle = 5 * time.Second

// errStopped is the cause by which calls in flight are cancelled when Run ends.
var errStopped = schemas.Errorf(schemas.CodeCancelled, "the runtime stopped while the call was in flight").
	WithHint("the execution continues when the runtime is back")

// waitUpTo waits for done for at most d, and reports whether it was closed.
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
