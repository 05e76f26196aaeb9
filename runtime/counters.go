package runtime

import "sync/atomic"

// Counters count since the start of this process what an operator wants to see near zero.
type Counters struct {
	Fenced     int64 // calls that did not leave, because the lease of their execution may have lapsed
	LateUsed   int64 // results that came late and settled a node whose outcome was unknown
	LateUnused int64 // results that came late, when their node was decided otherwise
	Unqueued   int64 // executions found in no queue that needed an owner; each one is a defect, and was repaired
	RolledBack int64 // executions whose store had lost commits that it had acknowledged
}

type counters struct {
	fenced, lateUsed, lateUnused, unqueued, rolledBack atomic.Int64
}

// Counters are the numbers of this process.
func (r *Runtime) Counters() Counters {
	c := &r.counters
	return Counters{
		Fenced: c.fenced.Load(), LateUsed: c.lateUsed.Load(), LateUnused: c.lateUnused.Load(), Unqueued: c.unqueued.Load(), RolledBack: c.rolledBack.Load(),
	}
}
