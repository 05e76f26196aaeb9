// Package runtime is the runtime plane: it takes plans, runs them durably and answers for them. This page is the map; each room's own
// page says how it works.
//
// # The façade
//
// [Runtime] has a door for each contract, and [Runtime.Run]. A door is the concrete type of a room whose methods are the contract; tools,
// server and cmd call the doors and nothing else. wire.go is where the rooms meet: one line for each, in the order in which they are built. views.go shows
// sessions, executions and workflows as states.
//
// # The rooms
//
// A room is a package that owns one noun, with its records in the store, its limits and, where it has goroutines, a Run. Imports run
// down this list only (cmd/runplane/rooms_test.go checks it); a lower room knows nothing of a higher one, and calls hooks instead.
//
//	health       contract Health: checks with a cure for each, clients that called lately
//	workflow     contract Workflow: versions, inputs, published tools, schedules and their firing
//	safety       contract Safety: reviews
//	upkeep       the reconciler and retention, in the background
//	engine       contract Execution: the one door, owners, calls in flight, children, waits, lost commits
//	queue        contract Queue: admission, pause, depth
//	journal      what is stored of an execution, and the read-only half of its contract
//	capability   contract Capability: the call chain, policies, drift, direct calls
//	state        contract State: records, lists, watches, views of other records
//	session      contract Session
//	records      what every room does with the store: retries, pages, cursors, keys that are due, rounds, usage, faults
//	realm        the downstream MCP servers
//	redact       the secrets of the configuration, and replacing them in what leaves the program
//	call         one attempt of a call and what is wrapped around it
//	units        pure: the records of nodes and items, their counts, the queues and timers that they stand in
//	budget       pure: what an execution and those below it may use
//	machine      pure: the state of an execution, its events, what is due
//	plan         pure: parse, compile, binding; plan/expr: expressions; plan/document: YAML and JSON with positions
//	schedule     pure: the times of a schedule
//	telemetry    subscriptions to the events of executions
//	caller       the principal of a request, and how many runtimes the request has passed
//
// # The hooks
//
// A hook is an interface or a function by which a room calls one that it does not import; it is defined by the room that calls it, and
// implemented by the one in the second column.
//
//	engine.Library              workflow        the plans that names of workflows stand for
//	engine.Observer             workflow        after each commit, in order: schedules (and telemetry, inside engine)
//	session.Belongings          engine, state   ends what belongs to a session that has ended
//	state.View                  runtime         types of state that show other records
//	state.Config.Written        engine          after each write of a state: executions that wait for it are notified
//	queue.Config.InFlight       engine          how many executions are in memory
//	journal.Config.UnknownRules capability      what the policies say about `once` calls whose outcome is unknown
//	capability.Realms           realm           the downstream servers
//	call.Taker                  records         tokens of rate limits and quotas
//	plan.Catalog                realm           the live tools that plans are checked against
//	plan/expr.Scope             journal         what expressions read
//	realm.CatalogCache          capability      the last known tools of each realm
//	workflow.Workflows.OnPublished  server      after a change of a principal's published tools
//
// # From a plan to its result
//
//	tools ─▶ Executions.Execute ─▶ plan.Parse ─▶ Library.Resolve ─▶ plan.Compile (live tools) ─▶ one commit: plan, head, events, lease
//	      ─▶ owner: decide ─▶ machine.Apply ─▶ machine.Next … ─▶ one commit ─▶ Capabilities.Attempt ─▶ results ─▶ decide …
//
// Everything that changes an execution goes through one door, [engine.Engine.Decide], and is committed against the version of its head:
// a worker that lost its lease and does not know it cannot write.
//
// # What is stored, by kind
//
//	execution/<id>      journal     the head: what a summary shows, and the version that every commit is made against; its log; its wake
//	plan/<id>           journal     the accepted plan with the tools' schemas and effects as they were (plan.Definition)
//	snapshot/<id>       journal     the folded state, written when the log after it has outgrown it
//	output/<id>/<node>  journal     an output too large for the log; after the node $text for its text, $content for its content blocks, $<seq>
//	                                for inputs, list or what was collected of that event, $round0 and $round1 for the answers of its last two rounds
//	idempotency/<key>   journal     which execution an idempotency key stands for
//	overdue/<id>        journal     nothing; its wake is when an execution that waits in the queue has waited too long
//	alarm/<id>/<…>      journal     nothing; its wake is by the time of day: when a unit that waits until a time has waited long enough
//	nudge/<id>          journal     nothing: the owner of the execution learns that another replica changed it, by the watch or, where that
//	                                missed it, by reading the nudges of the last minute with each renewal
//	queue/pause         queue       who paused the queue, since when and why; none: it is open
//	catalog/<realm>     capability  the tools a realm listed last
//	answer/<…>/<id>     answers     for an hour: what an answer to a client had no room for; answer/<…> lists those of a principal
//	session/<id>        session     a session; its wake is when it expires unless it is seen before
//	state/<…>           state       a state; the ID is a digest of principal and type, and the key
//	tell/<state>/<time> state       nothing; its wake is when executions that wait for the state are notified again: it was written, or expires
//	workflow/<…>        workflow    a workflow's name with its versions; workflow_version/<…>/<n> holds each, and never changes
//	schedule/<…>        workflow    when a workflow is executed automatically, and its last firings; its wake is the next one
//	reconcile/<work>    records     where the rounds of all replicas have got to, and the time by which they delete: pass (the reconciler's),
//	                                executions and states (of retention)
//	secret/cursor       records     the key that cursors of lists are signed with
//	health/<…>          records     nothing: that it could be written shows a health check that the store takes what is written again
package runtime
