// Package state is the contract State: records of any type that agents and plans share. It owns the records state/<…>, whose version is
// the store's, and the wakes notify (kind tell) that say when those who wait for a state are to be notified. Every room above may read,
// write and watch states. It calls the hooks [Config].Written, after each write, and [View], for the types that show other
// records live (sessions, executions, workflows).
//
// A deleted or expired state leaves its version behind for a day, so that a compare-and-set never takes a new state for the old
// one. Clients that watch a state are notified by the process that they are connected to: it looks at what is watched whenever the
// store's watch names it, when it expires, and every few seconds in case the watch missed something (watch.go).
package state
