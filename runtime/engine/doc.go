// Package engine is the contract Execution: it takes plans, runs them durably and answers for them. It owns every write to an execution;
// each of them is a [Decision]. The façade, the tools, the command line and the rooms above (workflow, safety, health) call it. It calls
// two hooks: [Library], which replaces names of workflows by their plans, and [Observer], after each commit. It implements one,
// session.Belongings, and is called after each write of a state ([Engine.StateWritten]).
//
//	Execute ─▶ plan.Parse ─▶ plan.Compile (live tools) ─▶ one batch: plan, head, first events, lease ─▶ owner
//	owner:  decide events ─▶ machine.Apply ─▶ machine.Next … ─▶ store.Commit (one batch) ─▶ start calls ─▶ results ─▶ decide …
//
// # Decisions and commits
//
// Everything that changes an execution is a [Decision]: the results of calls, timers, cancel, suspend, resume, signals. Decide loads the
// state, calls the decision for its events, applies them, adds what [machine.State.Next] says is due, and commits all of it as one batch
// against the version of the head record that it has read. If another replica or request committed first, the state is folded again and
// the decision is made again. The version is the fence for writes: a worker that has lost its lease without knowing it cannot write.
//
// One such cycle is a step (step.go), one try of it a turn (turn.go). Decide, step, turn and owner are the kernel. What an execution has to
// do with the world beyond its own log is in its companions: family.go, await.go, overdue.go and rollback.go (companion.go).
//
// # Owners
//
// The unit of work is the execution. A worker claims it by a lease (at submission, if the worker has room), folds its log, and then keeps
// the state in memory as a cache of the log. The owner is one goroutine (owner.go). It takes everything that happened since the last
// commit (results, requests, timers) into the next commit, so a wide fan-out shares commits. Calls run in goroutines of their own. When
// only timers or decisions are left, the owner commits the next wake, releases the lease and drops the execution from memory.
//
// A lease is renewed each third of its life. An owner whose lease may have expired starts nothing (fence.go); its calls in flight
// continue, and their results count if they still decide something. After a crash the lease expires (on the embedded store at
// once) and another owner claims the execution. What was in flight is then decided by the effect of each capability: package machine has
// the table.
//
// A store may lose commits that it has acknowledged (a Redis that fails over). An owner that notices commits them again as far as it
// remembers them, holds `once` calls that the log does not know, and records the rollback in the log (rollback.go).
//
// # Children and states
//
// A workflow node is an execution of its own, its child: the parent's start event names it before it exists, so the owner of the parent
// can create it exactly once, also after a crash (child.go). The replica that commits the child's end notifies the parent; a parent with
// children also checks them now and then (family.go). Children are suspended and resumed with their parent (child_suspend.go).
//
// A node with repeat makes its call in rounds (repeat.go). After each of them the turn evaluates what the plan says; then the node ends, or the
// execution sleeps until the next round as it does for a wait. What is collected goes into records of their own in pieces, so that a round
// costs the same however many there were.
//
// A process that dies by what it evaluates must not take the next one with it: the head of an execution is marked while its evaluation takes
// long or much memory, and who finds the mark of another process holds the execution (guard.go, recovery.go).
//
// A root and all executions below it share one budget: [Limits] that end with "of a tree". It is handed down in the events that start
// children, and taken back when they end, so there is no common counter and a crash loses none of it (allowance.go; package budget
// has the arithmetic). What exceeds it fails with quota_exceeded; more children than may be open at once wait.
//
// An execution that waits for a state is found by an index term of its head. It reads the state when the wait begins (await.go); after
// that, the writer of the state checks the waits for it, and a wake in the batch of that write makes some replica check them again
// (await_notify.go). A check of a state that will expire leaves a wake for the expiry. So a wait needs no owner, no lease and no polling.
package engine
