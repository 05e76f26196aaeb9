// Package machine is the pure core: what an execution is, what each event does to it, and what is due next. It owns the state of an
// execution and the table of legal transitions. The records of nodes and items are of package units, the arithmetic of the budget of package
// budget. Package engine applies events to the state, and packages journal, safety and capability read it. It has no clock, no I/O and no
// goroutine, and calls no hooks but the function given to [State.SetUnknownRules]; time and random numbers are arguments.
//
// The state of an execution is the fold of its log. Only [State.Apply] changes a State; [State.Next] returns what is due at a
// time. Everything happens in the same way in package engine: decide events from a State, apply them, commit them in one batch;
// if the commit conflicts, the State is discarded, folded again from the log and asked again.
//
//	execution
//	  pending ──started──▶ running ◀──resumed── suspended
//	                        │││ └──suspending──▶ suspending ──suspended──▲    (a second one may change the mode to now)
//	                        ││└──cancelling──▶ cancelling ──finished──▶ cancelled
//	                        ││                     │ compensating                ▲
//	                        │└──compensating──▶ compensating ──finished──▶ failed │ cancelled
//	                        └──finished──▶ succeeded | failed | timed_out | halted
//	  pending ──finished──▶ timed_out: no worker was free in time
//
//	unit: a node, or an item of a for_each node
//	  pending ─(last dependency ended; of an item: released)─▶ ready
//	  ready ──started──▶ running ──succeeded──▶ succeeded
//	    │                  ├──attempt failed, postponed──▶ backing_off ──(due)──started──▶ running
//	    │                  ├──lost──▶ ready
//	    │                  ├──verifying──▶ ready (phase verify) ──started──▶ running
//	    │                  │                   ──succeeded: the call happened──▶ succeeded
//	    │                  │                   ──not yet: it may still run──▶ backing_off (phase verify)
//	    │                  │                   ──not done──▶ backing_off | ready (phase run)
//	    │                  ├──fell back──▶ ready (the next entry of the list)
//	    │                  ├──held(unknown | error)──▶ held ──patched──▶ ready | succeeded | skipped
//	    │                  │                            │   (a for_each node: running; items that did not succeed run again)
//	    │                  │                            └─settled: its result arrived late──▶ succeeded | ready
//	    │                  └──failed──▶ failed
//	    │                  ├──round ended──▶ running, asked for until ──succeeded──▶ succeeded
//	    │                  │                     ├──repeated──▶ ready | backing_off ──(due)──started──▶ running (the next round)
//	    │                  │                     └──failed: repeat_exhausted──▶ failed
//	    ├──held(review)──▶ held ──decided──▶ ready | succeeded | failed; ──(expired)──failed──▶ failed
//	    └──expanded──▶ running, until its items have ended ──▶ succeeded | failed
//	  any that has not ended ──cancelled──▶ cancelled   (while running: not needed any more, see race.go)
//	  succeeded ──compensating──▶ compensating ──compensated──▶ compensated
//	                                  └──compensation failed──▶ compensating (due later) | succeeded, with the error
//
// Every attempt belongs to a [units.Phase]: the unit's own call or a fallback's, its verification, its compensation. Each has its
// own target, effect and retry policy. After a verification that found that the call did not happen, the unit has spent the
// attempts of its call, including the unknown one. total_timeout does not end a verification, and is stopped while a unit is held.
//
// Some arrows have no event of their own, because they follow from a committed event or from the clock: a node becomes
// ready in the event that ended the last dependency it waited for, an item in the one that freed a place within its node's
// max_parallel, and a unit that backs off is ready again at its due time. A node that can never become ready is skipped.
// When an execution finishes, units that have not ended count as cancelled.
//
// What a unit sends and what a list contains follows from the plan and from the nodes that ended before, so it is not stored.
// If a trigger rule starts a unit before all of them have ended, the event that starts it has what was read, which the next
// attempt and the next worker use.
//
// A unit of a node with repeat makes its call in rounds. A round has everything that a call has: its attempts and their retries, a review, a
// verification, fallbacks; the next one begins with all of that again. When a round has its answer ([State.Succeeded]) the unit asks what
// follows ([Ask]): it succeeds, or the next round is due (node_repeated), or, after repeat.max rounds or repeat.timeout, it fails. Between two
// rounds it backs off, without an error. No fallback follows the end of the rounds: none of the calls has failed. The times of a
// suspension and of a hold do not count for repeat.timeout; a person who has a held unit run again gives it its rounds and its time again.
// What was collected is in the unit as references to records, and a rest of bounded size.
//
// A wait_for unit that waits for a state runs until the runtime, which reads the state, ends it. One that waits for an event
// takes the first signal of its event that no unit has taken; all units that wait when a signal comes share it. A workflow
// unit runs while its child does. An execution that is suspending waits until each child has ended or is known to be suspended
// (node_suspended).
//
// When a node with cancel_others starts, its other dependencies are dropped, and what only they need. What has no call in flight is
// cancelled at once. A call is stopped as by a cancel: it may still succeed, which counts, also for a compensation of the execution; if
// it does not end in time its outcome is unknown, and the unit's error says so.
//
// Compensation goes through the units that succeeded in reverse order of their commits, one after the other. A compensation that
// fails for good, has the effect once and an unknown outcome, or kills its workers is listed in the execution's error and does
// not stop the others.
//
// A call of unknown outcome may still be running. Until when is in the event that ended its attempt ([units.Unit].MayRunUntil), and an event
// (node_call_ended) says if it has ended before. A verification that started before that time and says no is asked again.
//
// After a failed attempt [State.Failed] decides by the effect of the capability and by whether the call ran; after a
// crash [State.Recover] does the same for every attempt in flight, and [State.NotDone] after a verification that found that the
// call did not happen. These three keep the promise that a `once` capability is never called again without a decision. The
// result of a call that arrives after its attempt was given up counts while its outcome is unknown, see [State.OutcomeOpen]; later
// it changes nothing.
package machine
