// Package units has the records of units, which are the nodes of an execution and the items of for_each nodes: what each event changes in
// its unit alone, the queues and timers in which a unit stands by its index, and the counts of units. It decides nothing: package machine
// has the events change the records, and what reads an execution reads them there. The JSON names of a [Unit] are in snapshots on disk,
// and stay. It calls no hook.
package units
