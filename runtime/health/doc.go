// Package health is the contract Health: whether the store, the queue, the executions, the agents and the capabilities are well, with a
// cure for each that is not, and which clients called lately. It owns no record. The façade, the tools and the server call it. It reads
// the rooms below it, and calls no hook. Only the store is asked anything, for a bounded time; everything else answers from memory.
package health
