// Package workflow is the contract Workflow: plans kept under a name with versions, what inputs they take, schedules that execute them, and
// the tools that published ones are. It owns the records workflow/<…>, workflow_version/<…>/<n> and schedule/<…>. The façade, the tools
// and the server call it. It is the hook engine.Library, which puts plans in the place of names, and an engine.Observer, by which a
// schedule hears that its execution has ended; listeners of [Workflows.OnPublished] hear of changes of a principal's tools.
//
// A name keeps its versions, which never change; a plan that names one gets its definition when it is accepted. A published workflow is a
// tool of its principal: the record of the name holds its schema and annotations (publish.go), which hold while the workflows within
// are the same (parts.go); clients that were shown a list are notified when it is not true any more, by the store's watch or by a look
// now and then (listeners.go).
//
// A schedule decides on its firings in one commit, by ids that it has chosen before the executions exist; so whichever replica comes next
// can make them, once (fire.go). Package schedule says when one fires, also where the clock jumps.
package workflow
