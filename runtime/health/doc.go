// Package health is the contract Health: it reports whether the store, the queue, the executions, the agents and the capabilities work,
// with a cure for what does not, and counts the clients that called lately. It owns no records. The tools, the server and the command line
// call it. It reads the rooms below it, and calls no hooks. Only the store is asked anything, for a bounded time; everything else is in
// memory.
package health
