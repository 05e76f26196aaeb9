// Package schemas holds the nouns of Runplane as Go types: plans, executions, events, capabilities, sessions, states, errors. It
// is pure data; what it does beyond holding values is to parse, default, validate, compare and describe them as JSON Schema, and
// to clean and shorten text. It calls nothing and keeps no state. Every package but store may use it, and what it defines is what
// clients see on the wire: a field or a code never changes its meaning.
//
// This page is the tour of the nouns, in reading order. Types without a package are of this package.
//
// # What is called
//
// A realm ([Realm]) is a connected MCP server, an entry of mcpServers in the configuration. [RealmHealth] is its state.
//
// A capability ([Capability]) is one tool of one realm, named realm.name. Its definition (description, schemas, annotations) has a
// hash; drift ([Drift]) is a definition that has changed since a plan was accepted.
//
// An effect ([Effect]) says what repeating a call of a capability would do: read, idempotent or once. A once call is never repeated
// without a decision.
//
// A policy ([Policy], [Policies]) is what the operator configures for the calls of a realm or capability: timeout, retry ([Retry]),
// breaker ([Breaker]), limits ([RateLimit]), cache, fallback ([PolicyFallback]). A quota ([Quota]) limits what a principal or a
// session may use in a period.
//
// # What is planned
//
// A plan ([Plan]) is a DAG of nodes, submitted as JSON or YAML. Its strings may hold ${…} expressions over inputs and outputs.
//
// A node ([Node]) is one step of a plan. Its kind is the field it is given: a capability to call, a value to set, a wait, an event or
// a state to wait for ([WaitFor]), a review, a workflow. A node with for_each runs once for each item of a list.
//
// A finding ([Finding]) is an error or a warning that the compiler found in a plan, with a JSON Patch ([PatchOp]) that fixes it where
// one exists. [Validation] is all of them, and [Explain] what a valid plan would do.
//
// A workflow ([WorkflowInfo], [WorkflowRef]) is a plan stored under a name, in numbered versions that never change. A published
// workflow is also a tool of the principal who stored it. A schedule ([Schedule]) executes it automatically; a firing ([Firing]) is
// one due time of a schedule and what followed.
//
// # What runs
//
// An execution ([Execution]) is one run of a plan. Its [Status] goes from pending to one of five final ones. A child is the execution
// of a workflow node; its parent is the execution of that node.
//
// A unit is what is started, retried and decided on its own: a node, or one item of a node with for_each. Its state is
// runtime/units.Unit; callers see [NodeView] and [Items].
//
// An attempt is one try of a unit. It makes a call (runtime/call.Call): one request to a capability, with its policies. A call that
// failed has an outcome ([Outcome]): it did not run, it ran and failed, or that is unknown.
//
// An event ([Event]) is one committed entry of an execution's log. The log is the execution: its state is computed from it. An event
// that signal_execution sends is one of them, of type [EventSignal].
//
// An output is the JSON value that a node or an execution produced ([NodeOutput]). One too large to show is an [OutputRef].
//
// A held node waits for a decision: its call failed, its outcome is unknown, or its tool has changed. [WaitingFor] lists what an
// execution waits for, held nodes and others. A patch ([Patch], [NodePatch]) is the decision: retry, skip, other inputs or an output.
//
// A review ([Review] in a plan, [ReviewRequest] when it is open) is a question to a person: a node of its own, or the approval of a
// call. Approve or reject is its decision.
//
// Compensation ([Compensate]) undoes the succeeded nodes of an execution that failed or was cancelled. A verification ([Verify]) finds
// out whether a call of unknown outcome happened.
//
// # What keeps it running
//
// A store is the database (store.Store): records with versions, logs and wakes.
//
// A replica is one process on a shared store. A lease (store.Lease) is the right of one replica to run an execution until it expires;
// the replica that holds it is the owner.
//
// A wake (store.Wake) is the time at which an execution, a session or a schedule is next due; a replica then claims it.
//
// The queue ([QueueStatus]) is the executions whose wake is due and that no worker has claimed. A pause ([QueuePause]) keeps workers
// from claiming.
//
// # What callers share
//
// A principal is the identity on whose behalf a call is made (Principal of runtime/caller.Caller). Executions, sessions, states and
// workflows belong to one and are invisible to others. An operator is a client that may also use the methods for operators.
//
// An agent ([Agent]) is a program of a principal that names itself in its sessions. A session ([Session]) is data that it keeps between
// calls, and what its executions belong to; it ends by itself when no call names it for its time to live.
//
// A state ([State]) is a value that agents share under a type and a key, with a version for compare-and-set. Sessions, executions and
// workflows can be read as states too.
//
// # What is answered
//
// An error ([Error]) is every failure that a caller sees: a code ([Code]) to branch on, a message, a hint that says the next step. A
// problem ([Problem]) is one error in a document that a [Checker] compared with a JSON Schema.
//
// A check ([Check]) is the health of one component; [Health] is the result of several.
//
// A value ([Value]) is any JSON and an object ([Object]) a JSON object, both kept as the bytes that arrived; a [Duration] is a
// string on the wire.
package schemas
