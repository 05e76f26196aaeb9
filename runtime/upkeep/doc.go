// Package upkeep keeps the store in order in the background: it wakes executions that are in no queue, which should not exist, and deletes
// what ended long ago, as configured. It owns no records but the progress of its rounds (reconcile/<work>, by package records), which all
// replicas share. It deletes executions by the keys of package journal and states by package state. The façade runs it; package health
// reads how many executions it woke. It calls no hooks.
//
// An execution that ended long ago is deleted with all that belongs to it. If that takes several commits the first one makes it
// invisible, and the head is deleted last. An open execution keeps its children, its parent and the execution that it is a rerun of.
package upkeep
