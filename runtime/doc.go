// Package runtime is the runtime plane: it takes plans, runs them durably and answers for them. This page is the tour.
//
// # From a plan to its result
//
//	Execute ─▶ plan.Parse ─▶ plan.Compile (live tools) ─▶ one batch: plan, head, first events, lease ─▶ owner
//	owner:  decide events ─▶ machine.Apply ─▶ machine.Next … ─▶ store.Commit (one batch) ─▶ start calls ─▶ results ─▶ decide …
//
// Everything that changes an execution goes through one door, [Runtime.transition]: a worker's results, timers, cancel,
// suspend, resume, signals. The door loads the state, lets the caller decide on events, applies them, adds what
// [machine.State.Next] says is due, and commits all of it as one batch against the version of the head record it had read.
// When somebody else was faster, the state is folded anew and everything is decided again. That version is the fence: a
// worker that lost its lease and does not know it cannot write.
//
// # What is stored, by kind
//
//	execution/<id>      the head: what a summary shows, and the version everybody commits against; its log; its wake
//	plan/<id>           the accepted plan with the tools' schemas and effects as they were (plan.Definition)
//	snapshot/<id>       the folded state, written when the log behind it has outgrown it
//	output/<id>/<node>  an output too large for the log; behind the node $text for its text, $<seq> for inputs or list of that event
//	idempotency/<key>   which execution an idempotency key stands for
//	catalog/<realm>     the tools a realm listed last
//	reconcile/<work>    where the rounds of all replicas have got to: pass (the reconciler's), executions and states (of retention)
//	session/<id>        a session; its wake is when it expires unless it is seen before
//	state/<…>           a state; the ID is a digest of principal and type, and the key
//	workflow/<…>        a workflow's name with its versions; workflow_version/<…>/<n> holds each, and never changes
//	schedule/<…>        when a workflow is executed by itself, and its last firings; under the workflow's ID; its wake is the next one
//	tell/<state>/<time> nothing; its wake is when those are told once more that wait for the state: it was written, or expires
//	secret/cursor       the key that cursors of lists are sealed with
//	overdue/<id>        nothing; its wake is when an execution that waits in the queue has waited too long
//	queue/pause         who paused the queue, since when and why; none: it is open
//	health/<…>          nothing: that it could be written tells a health check that the store takes what is written again
//	nudge/<id>          nothing: who owns the execution learns that somebody else changed it, by the watch or, where that missed it,
//	                    by reading the nudges of the last minute with each renewal
//
// A transition writes its events and the small head, never the whole execution; so a node costs the same in a plan of
// ten and of ten thousand.
//
// # Who runs what
//
// The unit of work is the execution. A worker claims it by a lease (the submitter at once, where it has room), folds its
// log, and then keeps the state in memory as a cache of the log. Its owner goroutine takes everything that happened since the last
// commit (results, requests, timers) into the next one, so that a wide fan-out shares commits. Calls run in goroutines of their own.
// When only timers or decisions are left, the owner commits the next wake, releases the lease and forgets the execution.
//
// A lease is renewed each third of its life. An owner that cannot be sure of its lease any more starts nothing (fence.go); what it
// has in flight goes on, and its result counts where it still decides something.
//
// After a crash the lease lapses (on the embedded store at once) and another owner claims it. What was in flight then is
// decided by the effect of each capability: package machine has the table.
//
// # The queue
//
// An execution that waits for a worker is a key of the store with a wake that is due; the queue is those, and its order is the
// store's: priorities by weight, then sessions in turn, then the oldest. A submission overtakes nobody: it begins at once only
// where the last look of this worker's claim found nobody waiting (admit.go). When it would have to wait in a full queue it is
// refused; what runs, and the workflows of what runs, never are.
//
// A pause is one record that every replica knows within a second (pause.go). While it stands nobody claims: what is in
// memory goes on, what sleeps or is submitted waits.
//
// # What else runs
//
// A workflow node is an execution of its own, its child: the parent's start event names it before it exists, so whoever
// owns the parent can create it once, also after a crash (child.go). Whoever commits the child's end tells the parent;
// a parent with children also looks for itself now and then. Children are suspended and resumed with it (follow.go). A review is no record: it is a held node, found by an index
// term of the head and decided through the door (review.go). An event that was sent is an event of the log.
//
// A schedule decides on its firings in one commit, by ids that it has chosen before the executions exist; so whoever comes next can
// make them, once (schedule_fire.go). Package schedule says when one fires, also where the clock jumps.
//
// A store may lose what it acknowledged (a Redis that fails over). An owner that notices commits it again as far as it remembers, holds
// the `once` calls that the log does not know, and tells the log (rollback.go).
//
// A reconciler looks once a minute for open executions that need an owner and stand in no queue; there should be none (reconcile.go).
//
// What ended long ago is deleted with all that belongs to it, by settings, in passes that the replicas share as they share the
// reconciler's (rounds.go, retention.go, delete.go). Where that takes several commits the first one makes the execution invisible, and
// the head goes last. An open execution keeps its children, its parent and what it is a rerun of.
//
// # Sessions and states
//
// An execution keeps the id of its session and a copy of the session's data as it was at submit. Every call that names a
// session counts as seeing it; a process commits that every few seconds at most (session_touch.go). The end of a session
// is committed by whichever replica claims its wake, which then sees to its executions and states (session_end.go). States
// are independent records; their version is the store's, and a deleted or expired one leaves its version behind for a
// day, so that a compare-and-set never takes a new state for the old one.
//
// An execution that waits for a state is found by an index term of its head (await.go). It looks when it begins to wait; after that
// whoever writes the state looks on its behalf (await_written.go), and a wake in the batch of that write has any replica do so once
// more; who looks at a state that will expire leaves a wake for that (await_tell.go). So waiting costs no owner, no lease and no poll.
//
// Clients that watch a state are told by the process that they are connected to: it looks at what is watched whenever the store's
// watch names it, when it expires, and every few seconds in case the watch missed something (state_watch.go).
//
// # Workflows
//
// A name keeps its versions, which never change; a plan that names one gets its definition when it is accepted. A
// published one is a tool of its principal: the record of the name holds its schema and annotations (publish.go), which
// hold while the workflows within are the same (publish_parts.go), and the clients that were shown a list hear when it is
// not true any more, by the watch or by a look now and then (audience.go).
//
// # Packages
//
//	plan       pure: parse, compile, expressions, binding
//	machine    pure: the state, its events, what is due
//	call       one attempt and what is wrapped around it; dispatch.go here puts the chain together
//	schedule   pure: the times of a schedule
//	realm      the downstream MCP servers
//	telemetry  folds of committed events
//
// State machine: see package machine.
package runtime
