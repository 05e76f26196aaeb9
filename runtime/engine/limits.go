package engine

import (
	"cmp"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
)

// Limits bound what one runtime runs. Zero fields have the default that their comment names.
type Limits struct {
	Plan             plan.Limits
	MaxOutput        int           // bytes of one output that expressions read and a binding may make; 1 MiB
	MaxList          int           // bytes of the list that a node with for_each makes of its outputs, or one with repeat collects; 16 MiB
	MaxCached        int64         // bytes that executions in memory keep together to read them again; [journal.DefaultCached]
	Large            int           // from how many bytes on an execution is read alone, and not again if that kills the process; [journal.DefaultLarge]
	Shown            int           // bytes of an execution that is read for a caller; 0: as [journal.Limits] says
	MaxInputs        int64         // bytes of the inputs of all calls in flight, of which each execution may have one more; 64 MiB
	MaxItemsInMemory int           // items of for_each nodes of all executions in memory, see room; 100,000
	MaxExecutions    int           // executions in memory at once; 256
	MaxParallel      int           // attempts of one execution in flight; 32. A plan may set fewer
	MaxWait          time.Duration // longest wait of one request; 25 s, below the shortest timeout of the common clients
	MaxRecoveries    int           // takeovers of one execution without progress; [machine.DefaultMaxRecoveries]
	MaxMemory        int           // events of the latest commits that an owner remembers, in case the store loses them; 1,000
	Grace            time.Duration // for `once` calls in flight at a stop, and of a cancel that names none; 10 s
	Idempotency      time.Duration // how long an idempotency key is remembered; 7 days
	Lease            time.Duration // time to live of a lease, after which another worker takes over; 15 s, renewed each third

	// Of a tree: an execution that was submitted, and all executions of workflow nodes below it.
	MaxChildren   int           // executions below it, in all; 10,000
	MaxOpen       int           // of those, open at once; 1,000
	MaxCalls      int           // in all; 100,000
	MaxItems      int           // of for_each nodes, in all; 100,000
	MaxEvents     int           // in all; 1,000,000
	MaxBytes      int64         // of all outputs, and of the plans and inputs of workflow nodes; 1 GiB
	MaxEvaluation time.Duration // spent on expressions, in all; 10 minutes
	MaxAge        time.Duration // from the creation of the tree until its last start of anything; 0: no limit
}

// WithDefaults returns l with the defaults in place of zero fields.
func (l Limits) WithDefaults() Limits {
	l.MaxOutput = cmp.Or(l.MaxOutput, 1<<20)
	l.Plan.MaxBound = cmp.Or(l.Plan.MaxBound, l.MaxOutput)
	l.Plan.MaxPassed = cmp.Or(l.Plan.MaxPassed, 64<<20)
	l.MaxList = cmp.Or(l.MaxList, 16<<20)
	l.MaxCached = cmp.Or(l.MaxCached, journal.DefaultCached)
	l.MaxInputs = cmp.Or(l.MaxInputs, 64<<20)
	l.MaxItemsInMemory = cmp.Or(l.MaxItemsInMemory, 100_000)
	l.MaxExecutions = cmp.Or(l.MaxExecutions, 256)
	l.MaxParallel = cmp.Or(l.MaxParallel, 32)
	l.MaxWait = cmp.Or(l.MaxWait, 25*time.Second)
	l.MaxRecoveries = cmp.Or(l.MaxRecoveries, machine.DefaultMaxRecoveries)
	l.MaxMemory = cmp.Or(l.MaxMemory, 1000)
	l.Grace = cmp.Or(l.Grace, 10*time.Second)
	l.Idempotency = cmp.Or(l.Idempotency, 7*24*time.Hour)
	l.Lease = cmp.Or(l.Lease, 15*time.Second)
	l.MaxChildren = cmp.Or(l.MaxChildren, 10_000)
	l.MaxOpen = cmp.Or(l.MaxOpen, 1000)
	l.MaxCalls = cmp.Or(l.MaxCalls, 100_000)
	l.MaxItems = cmp.Or(l.MaxItems, 100_000)
	l.MaxEvents = cmp.Or(l.MaxEvents, 1_000_000)
	l.MaxBytes = cmp.Or(l.MaxBytes, 1<<30)
	l.MaxEvaluation = cmp.Or(l.MaxEvaluation, 10*time.Minute)
	l.Plan.Tree = l.Budget()
	return l
}
