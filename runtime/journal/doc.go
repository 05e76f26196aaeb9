// Package journal is what is stored of an execution: its head, its log, its plan, snapshot and large outputs, the terms by which it is
// found, and the same in memory, folded. It owns the records execution/<id>, plan/<id>, snapshot/<id>, output/<id>/<node>,
// idempotency/<key>, overdue/<id> and nudge/<id>; only package engine writes them, and package upkeep deletes them. Every room above may
// read them. The read-only half of the contract Execution is [Reader]; what the expressions of a plan read is [Scope]. It calls no hook but
// [Config].UnknownRules.
//
// A commit writes its events and the small head, never the whole execution; so a node costs the same in a plan of ten and of ten
// thousand. Every commit is made against the version of the head, so a worker that lost its lease without knowing it cannot write.
package journal
