// Package safety is the contract Safety: it lists reviews, and takes the decisions of people on them. It owns no records: a review is a
// held node of an execution, found by an index term of its head. The command line calls it. It changes executions through
// [engine.Engine.DecideFor] only, and calls no hooks.
package safety
