// Package state is the contract State: records of any type that agents and plans share. It owns the records state/<…>, whose version is the
// store's, and the wakes of kind tell, at which the executions that wait for a state are notified. The tools and the server call it; every
// room above may read, write and watch states. It calls the hooks [Config].Written, after each write, and [View], for the types that show
// other records live (sessions, executions, workflows).
//
// A deleted or expired state leaves its version behind for a day, so that a compare-and-set never takes a new state for the old
// one. Clients that watch a state are notified by the process that they are connected to: it checks watched states whenever the
// store's watch names them, when they expire, and every few seconds in case the watch missed a change (watch.go).
package state
