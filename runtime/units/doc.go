// Package units has the records of units, which are the nodes of an execution and the items of for_each nodes, and the queues and timers in
// which a unit stands by its index. It decides nothing: package machine changes the records by events, and what reads an execution reads
// them there. The JSON names of a [Unit] are in snapshots on disk, and stay. It calls no hook.
package units
