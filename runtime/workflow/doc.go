// Package workflow is the contract Workflow: plans stored under a name with versions, the inputs that they take, schedules that execute
// them, and published workflows, each of which is a tool of its own. It owns the records workflow/<…>, workflow_version/<…>/<n> and
// schedule/<…>. The tools and the server call it. It implements the hooks engine.Library, which replaces names of workflows by
// plans, and engine.Observer, by which a schedule is notified that its execution has ended. It calls the functions that were given to
// [Workflows.OnPublished] when the tools of a principal change.
//
// A name keeps its versions, which never change; a plan that names one gets its definition when it is accepted. A published workflow is a
// tool of its principal: the record of the name holds its schema and hints (tool.go), which are valid while the workflows that it names
// are the same (dependencies.go); clients that were shown a list are notified when it has changed, by the store's watch or by a poll
// (listeners.go).
//
// A schedule decides on its firings in one commit, by ids that it chooses before the executions exist; so any replica can create them
// afterwards, once (fire.go). Package schedule computes the times of a schedule, also when the clock jumps.
package workflow
