package runtime

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Limits bound what one runtime takes on. Zero fields take the default beside them.
type Limits struct {
	Plan          plan.Limits
	MaxOutput     int           // bytes of one output that expressions read and a binding may make; 1 MiB
	MaxExecutions int           // executions in memory at once; 256
	MaxQueued     int           // executions that wait in the queue when new ones are refused; 10,000
	MaxCalls      int           // of one execution, in all; 100,000
	MaxBytes      int64         // of all outputs of one execution; 1 GiB
	MaxParallel   int           // attempts of one execution in flight; 32. A plan may ask for fewer
	MaxWait       time.Duration // longest wait of one request; 25 s, below the shortest wall of the common clients
	MaxRecoveries int           // machine.DefaultMaxRecoveries
	Grace         time.Duration // for `once` calls in flight at a stop, and of a cancel that names none; 10 s
	Idempotency   time.Duration // how long an idempotency key is remembered; 7 days
	MaxCache      int           // bytes of answers that are kept; 32 MiB
	Lease         time.Duration // how long a dead worker's executions stay its own; 15 s, renewed each third
}

func (l Limits) withDefaults() Limits {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	setTime := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	set(&l.MaxOutput, 1<<20)
	set(&l.Plan.MaxBound, l.MaxOutput)
	set(&l.MaxExecutions, 256)
	set(&l.MaxQueued, 10_000)
	set(&l.MaxCache, 32<<20)
	set(&l.MaxParallel, 32)
	set(&l.MaxCalls, 100_000)
	l.MaxBytes = cmp.Or(l.MaxBytes, 1<<30)
	set(&l.MaxRecoveries, machine.DefaultMaxRecoveries)
	setTime(&l.MaxWait, 25*time.Second)
	setTime(&l.Grace, 10*time.Second)
	setTime(&l.Idempotency, 7*24*time.Hour)
	setTime(&l.Lease, 15*time.Second)
	return l
}

// Config is what a Runtime is made of. Store and Realms are required.
type Config struct {
	Store  store.Store
	Realms capability.Realms
	// Policies and Quotas are the operator's; SetPolicies and SetQuotas replace them.
	Policies schemas.Policies
	Quotas   call.QuotaRules
	Log      hclog.Logger   // nil: silent
	Limits   Limits         // zero fields: the defaults
	NewID    func() string  // for executions and sessions; nil: ULIDs
	Random   func() float64 // [0,1) for jitter; nil: math/rand. It is called from many goroutines

	Sessions session.Rules // zero fields: the defaults
	States   state.Rules

	Retention RetentionRules // zero fields: nothing is deleted
}

// Runtime is the façade: a method for each method of the contracts, and Run.
type Runtime struct {
	journal.Reader
	Sessions     *session.Sessions
	States       *state.States
	Capabilities *capability.Capabilities
	Queue        *queue.Queue

	store    *records.Store
	journal  *journal.Journal
	log      hclog.Logger
	limits   Limits
	newID    func() string
	random   func() float64
	keep     RetentionRules
	clients  clients
	audience audience
	written  written
	feed     telemetry.Feed
	worker   string // this replica's name on leases

	counters counters
	remember int // events of an execution, see recollection

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

// New makes a runtime; nothing happens before Run.
func New(c Config) *Runtime {
	r := &Runtime{
		log: c.Log, limits: c.Limits.withDefaults(), newID: c.NewID, random: c.Random,
		worker: ulid.Make().String(), owned: map[string]*owner{}, remember: memoryEvents, stop: make(chan struct{}),
		keep: c.Retention, audience: audience{there: make(chan struct{}, 1)}, written: newWritten(),
	}
	if r.log == nil {
		r.log = hclog.NewNullLogger()
	}
	if r.newID == nil {
		r.newID = records.NewID
	}
	if r.random == nil {
		r.random = rand.Float64
	}
	r.store = records.New(records.Config{Store: c.Store, Log: r.log, Worker: r.worker, Lease: r.limits.Lease, Random: r.random})
	r.Sessions = session.New(session.Config{Store: r.store, Log: r.log, Rules: c.Sessions, NewID: r.newID})
	r.States = state.New(state.Config{Store: r.store, Log: r.log, Sessions: r.Sessions, Rules: c.States, Views: r.views(), Written: r.written.note})
	r.Sessions.OnEnd(r, r.States)
	r.Capabilities = capability.New(capability.Config{
		Store: r.store, Log: r.log, Sessions: r.Sessions, Realms: c.Realms, Policies: c.Policies, Quotas: c.Quotas, MaxCache: r.limits.MaxCache,
		NewID: r.newID, Random: r.random,
	})
	r.journal = journal.Open(journal.Config{
		Store: r.store, Sessions: r.Sessions, Limits: journal.Limits{Plan: r.limits.Plan, MaxOutput: r.limits.MaxOutput}, Kept: c.Retention.Executions,
		Forbids: r.Capabilities.Forbids,
	})
	r.Reader = r.journal.Reader()
	r.Queue = queue.New(queue.Config{Store: r.store, Log: r.log, MaxQueued: r.limits.MaxQueued, Capacity: r.limits.MaxExecutions, InFlight: r.inMemory})
	r.slots = semaphore.NewWeighted(int64(r.limits.MaxExecutions))
	ctx, end := context.WithCancelCause(context.Background())
	r.callsCtx, r.endCalls = ctx, end
	r.storeCtx, r.endStore = context.WithCancel(context.Background())
	return r
}

// Feed lets others watch committed events.
func (r *Runtime) Feed() *telemetry.Feed { return &r.feed }

// Run claims and runs executions until ctx ends. Then nothing new starts, calls that may be repeated are stopped, `once` calls get
// the grace period, and every execution is handed back to the store. It returns when nothing of it is left.
func (r *Runtime) Run(ctx context.Context) error {
	r.running.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { r.claim(ctx) })
	wg.Go(func() { r.renew(r.storeCtx) })
	wg.Go(func() { r.watch(ctx) })
	wg.Go(func() { r.store.MakeRounds(ctx, r.reconciler(), "look for executions in no queue") })
	wg.Go(func() { r.retain(ctx) })
	wg.Go(func() { _ = r.Sessions.Run(ctx) }) // its error is always nil
	wg.Go(func() { r.store.HandleDue(ctx, journal.KindOverdue, r.expire) })
	wg.Go(func() { r.store.HandleDue(ctx, kindSchedule, r.fire) })
	wg.Go(func() { r.pollPublished(ctx) })
	wg.Go(func() { _ = r.States.Run(ctx) }) // its error is always nil
	wg.Go(func() { r.store.HandleDue(ctx, state.KindNotify, r.tellAgain) })
	telling := make(chan struct{})
	go func() { r.tellWritten(ctx); close(telling) }()

	<-ctx.Done()
	r.running.Store(false)
	r.mu.Lock()
	r.stopping = true
	close(r.stop)
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.owners.Wait(); close(done) }()
	if !within(done, r.limits.Grace) {
		r.endCalls(stopped)
		within(done, settle)
	}
	r.endCalls(stopped)
	within(telling, settle)
	r.endStore()
	<-telling
	<-done
	wg.Wait()
	return nil
}

// settle is how long the results of calls that were just stopped may take to be committed.
const settle = 5 * time.Second

var stopped = schemas.Errorf(schemas.CodeCancelled, "the runtime stopped while the call was in flight").WithHint("it goes on when the runtime is back")

func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// watch tells owners what others did to their executions, and passes on what other replicas changed as far as somebody
// here watches it.
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
		if key.Kind == kindWorkflow {
			r.workflowChanged(ctx, key)
			continue
		}
		if o := r.owner(key.ID); o != nil && key.Kind == journal.KindNudge {
			o.refresh()
			continue
		}
		if key.Kind != journal.KindExecution || r.owner(key.ID) != nil || !r.feed.Watched(key.ID) {
			continue
		}
		if h, _, err := r.journal.ReadHead(ctx, key.ID); err == nil {
			r.feed.Publish(telemetry.Update{ExecutionID: key.ID, Execution: h.Execution})
		} else if !errors.Is(err, context.Canceled) {
			r.log.Debug("read a changed execution", "execution_id", key.ID, "error", err)
		}
	}
}
