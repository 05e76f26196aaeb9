// Package budget is the arithmetic by which a tree of executions, a root and all below it, shares one budget without a record in common.
// The [Ledger] of an execution is a part of its state, which package machine keeps; package engine asks when too little is left. It calls no
// hook.
//
// The root has all of the budget. The event that starts a child grants the child a part, which the parent counts as used until the child
// ends; then it counts what the child and those below it have really used. A child that needs more asks its parent, and that one its own
// parent. Each grant is an event of the parent that states the new total, so that it is made once, also after a crash. No grant exceeds
// what the parent has left, so all executions together never exceed the limits of the root.
package budget
