package engine

import "sync/atomic"

// Counters count since the start of this process what an operator wants to see near zero.
type Counters struct {
	Fenced     atomic.Int64 // calls that were not sent, because the lease of their execution may have expired
	LateUsed   atomic.Int64 // results that came late and settled a node whose outcome was unknown
	LateUnused atomic.Int64 // results that came late, when their node was decided otherwise
	RolledBack atomic.Int64 // executions whose store had lost commits that it had acknowledged
}
