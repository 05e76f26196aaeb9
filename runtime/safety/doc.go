// Package safety is the contract Safety: it lists reviews, and takes the decisions of people on them. It owns no records: a review is a held
// node of an execution, found by an index term of its head. The façade, the tools and the command line call it. It changes executions
// through [engine.Engine.Change] only, and calls no hooks.
package safety
