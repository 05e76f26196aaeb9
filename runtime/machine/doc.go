// Package machine is the pure core: what an execution is, what each event does to it, and what is due next. It has no
// clock, no I/O and no goroutine; time comes in as an argument.
//
// The state of an execution is the fold of its log. [State.Apply] is the only writer of a State, [State.Next] says what
// is due at a time. Everything that happens goes the same way, in package runtime: decide events from a State, Apply
// them, commit them in one batch; when the commit conflicts, the State is thrown away, folded anew and asked again.
//
//	execution
//	  pending ──started──▶ running ◀──resumed── suspended
//	                        │││ └──suspending──▶ suspending ──suspended──▲    (a second one may ask for now)
//	                        ││└──cancelling──▶ cancelling ──finished──▶ cancelled
//	                        ││                     │ compensating                ▲
//	                        │└──compensating──▶ compensating ──finished──▶ failed │ cancelled
//	                        └──finished──▶ succeeded | failed | timed_out | halted
//	  pending ──finished──▶ timed_out: no worker had room in time
//
//	unit: a node, or an item of a for_each node
//	  pending ─(last dependency ended; of an item: let go)─▶ ready
//	  ready ──started──▶ running ──succeeded──▶ succeeded
//	    │                  ├──attempt failed, postponed──▶ backing_off ──(due)──started──▶ running
//	    │                  ├──lost──▶ ready
//	    │                  ├──verifying──▶ ready (phase verify) ──started──▶ running
//	    │                  │                   ──succeeded: it had happened──▶ succeeded
//	    │                  │                   ──not done──▶ backing_off | ready (phase run)
//	    │                  ├──fell back──▶ ready (the next entry of the list)
//	    │                  ├──held(unknown | error)──▶ held ──patched──▶ ready | succeeded | skipped
//	    │                  │                            │   (a for_each node: running; what did not succeed runs again)
//	    │                  │                            └─settled: its result came late──▶ succeeded | ready
//	    │                  └──failed──▶ failed
//	    ├──held(review)──▶ held ──decided──▶ ready | succeeded | failed; ──(expired)──failed──▶ failed
//	    └──expanded──▶ running, until its items have ended ──▶ succeeded | failed
//	  succeeded ──compensating──▶ compensating ──compensated──▶ compensated
//	                                  └──compensation failed──▶ compensating (due later) | succeeded, with the error
//
// Every attempt belongs to a [Phase]: the unit's own call or a fallback's, its verification, its compensation. Each has its
// own target, effect and retry policy. A verification that says no leaves the unit with what its call has spent, the unknown
// attempt with it; total_timeout does not end it, and stands still while a unit is held.
//
// Some arrows have no event of their own, because they follow from a committed one and from the clock: a node becomes
// ready in the event that ended the last dependency it waited for, an item in the one that made room among its node's
// max_parallel, and a unit that backs off is ready again when its time has come. A node that never gets ready is skipped.
// When an execution finishes, whatever has not ended counts as cancelled.
//
// What a unit sends and what a list holds follows from the plan and from the nodes that ended before, so it need not be
// kept. Where a trigger rule starts a unit before they all have ended, the event that starts it holds what was read: the
// next attempt, and the next worker, read that.
//
// A wait_for unit that waits for a state runs until somebody who has looked at the state says how it ends. One that waits for an
// event takes the first signal of its event that nobody had; one that waits already shares a signal with all
// others that do. A workflow unit runs while its child does. An execution that is suspending waits until each child has ended or
// is known to be suspended (node_suspended).
//
// Compensation goes through what succeeded in reverse order of its commits, one after the other. One that fails for good,
// whose outcome is unknown and its effect once, or that kills its workers is listed in the execution's error and stops no
// other.
//
// After a failed attempt [State.Failed] decides by the effect of the capability and by whether the call ran; after a
// crash [State.Recover] does the same for every attempt in flight, and after a verification that said no [State.NotDone].
// Those three hold the promise that a `once` capability is never called again without a decision. The end of a call that
// comes when its attempt was given up is evidence while its outcome is unknown, see [State.Undecided]; later it changes nothing.
package machine
