// Package machine is the pure core: what an execution is, what each event does to it, and what is due next. It has no
// clock, no I/O and no goroutine; time comes in as an argument.
//
// The state of an execution is the fold of its log. [State.Apply] is the only writer of a State, [State.Next] says what
// is due at a time. Everything that happens goes the same way, in package runtime: decide events from a State, Apply
// them, commit them in one batch; when the commit conflicts, the State is thrown away, folded anew and asked again.
//
//	execution
//	  pending ──started──▶ running ◀──resumed── suspended
//	                        │  │ └──suspending──▶ suspending ──suspended──▲
//	                        │  └──cancelling──▶ cancelling ──finished──▶ cancelled
//	                        └──finished──▶ succeeded | failed | timed_out | halted
//
//	node
//	  pending ─(last dependency ended)─▶ ready ──started──▶ running ──succeeded──▶ succeeded
//	                                       ▲                │ │ └──failed──▶ failed
//	     ┌────────────(due)────────────────┤                │ └──held──▶ held ──patched──▶ ready | succeeded | skipped
//	     └── backing_off ◀─────────────────┴──lost── ◀──────┴──attempt failed, postponed──▶ backing_off
//
// Two arrows have no event of their own, because they follow from a committed one and from the clock: a node becomes
// ready in the event that ended the last dependency it waited for, and a node that backs off is ready again when its
// time has come. A node that never gets ready is skipped. When an execution finishes, whatever has not ended counts as
// cancelled.
//
// After a failed attempt [State.Failed] decides by the effect of the capability and by whether the call ran; after a
// crash [State.Recover] does the same for every attempt in flight. Those two hold the promise that a `once` capability is
// never called again without a decision.
package machine
