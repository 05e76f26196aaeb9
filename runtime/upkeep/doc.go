// Package upkeep keeps the store in order in the background: it wakes executions that stand in no queue, which no execution should, and
// deletes what has been over for long, by settings. It owns no record but the places of its rounds (reconcile/<work>, by package
// records), which all replicas share. The façade runs it; package health reads what it repaired. It calls no hook.
//
// An execution that ended long ago is deleted with all that belongs to it. Where that takes several commits the first one makes it
// invisible, and the head goes last. An open execution keeps its children, its parent and what it is a rerun of.
package upkeep
