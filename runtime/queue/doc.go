// Package queue is the contract Queue: who may enter the queue, whether it is paused, and how full it is. It owns the record queue/pause;
// the queue itself is the store's: executions with a wake that is due, in order of priority by weight, then sessions in turn, then the
// oldest. Package engine asks it before it starts or claims an execution. It calls no hook but [Config].InFlight.
//
// A submission overtakes no other: it begins at once only where the last look of this worker's claim found the queue empty. When it
// would have to wait in a full queue it is refused; what runs, and the workflows of what runs, never are (admit.go). A pause is one
// record that every replica knows within a second. While it stands nothing is claimed: what is in memory goes on, what sleeps or
// is submitted waits (pause.go).
package queue
