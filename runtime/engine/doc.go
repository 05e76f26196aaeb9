// Package engine is the contract Execution: it takes plans, runs them durably and answers for them. It owns every write to an execution:
// all of them go through one door, [Engine.Decide]. The façade, the tools and the rooms above (workflow, safety, upkeep, health) call it.
// It calls the hooks [Library], which puts plans in the place of names of workflows, and [Observer], after each commit.
//
//	Execute ─▶ plan.Parse ─▶ plan.Compile (live tools) ─▶ one batch: plan, head, first events, lease ─▶ owner
//	owner:  decide events ─▶ machine.Apply ─▶ machine.Next … ─▶ store.Commit (one batch) ─▶ start calls ─▶ results ─▶ decide …
//
// # The door
//
// Everything that changes an execution is a decision: a worker's results, timers, cancel, suspend, resume, signals. The door loads the
// state, lets the caller decide on events, applies them, adds what [machine.State.Next] says is due, and commits all of it as one
// batch against the version of the head record it had read. When another replica or request was faster, the state is folded again and
// everything is decided again. That version is the fence: a worker that lost its lease and does not know it cannot write.
//
// # Owners
//
// The unit of work is the execution. A worker claims it by a lease (the submitter at once, where it has room), folds its log, and then
// keeps the state in memory as a cache of the log. Its owner goroutine takes everything that happened since the last commit
// (results, requests, timers) into the next one, so that a wide fan-out shares commits. Calls run in goroutines of their own. When only
// timers or decisions are left, the owner commits the next wake, releases the lease and forgets the execution.
//
// A lease is renewed each third of its life. An owner that cannot be sure of its lease any more starts nothing (fence.go); what it has in
// flight goes on, and its result counts where it still decides something. After a crash the lease expires (on the embedded store at
// once) and another owner claims it. What was in flight then is decided by the effect of each capability: package machine has the table.
//
// A store may lose what it acknowledged (a Redis that fails over). An owner that notices commits it again as far as it remembers, holds
// the `once` calls that the log does not know, and tells the log (rollback.go).
//
// # Children and states
//
// A workflow node is an execution of its own, its child: the parent's start event names it before it exists, so the owner of the parent
// can create it once, also after a crash (child.go). Whichever replica commits the child's end notifies the parent; a parent with children
// also looks for itself now and then. Children are suspended and resumed with it (follow.go).
//
// An execution that waits for a state is found by an index term of its head (await.go). It looks when it begins to wait; after that
// the writer of the state looks on its behalf, and a wake in the batch of that write has any replica do so once more; who looks at a state
// that will expire leaves a wake for that (await_notify.go). So waiting costs no owner, no lease and no poll.
package engine
