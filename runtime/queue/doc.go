// Package queue is the contract Queue: it admits submissions to the queue, pauses it, and counts what waits. It owns the record
// queue/pause; the queue itself is in the store: executions with a wake that is due, in order of priority by weight, then sessions in turn,
// then the oldest. Package engine asks it before it starts or claims an execution; the tools and the command line show it, pause it and
// resume it. It calls no hook but [Config].InFlight.
//
// A submission does not overtake others: it begins at once only if the last claim of this process found the queue empty. If it
// would have to wait in a full queue it is refused; executions that run, and the workflows within them, never are (admit.go). A pause
// is one record that every replica knows within a second. While the queue is paused no execution is claimed: those in memory continue,
// those that sleep or are submitted wait (pause.go).
package queue
