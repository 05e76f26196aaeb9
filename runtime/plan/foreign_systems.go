package plan

// What to write for fields of other systems that ours say in another way, or not at all.
const (
	sayShared = "what may run at the same time in several executions is limited by the operator's policies, such as concurrency; within a plan max_parallel " +
		"limits it, and depends_on orders it"
	sayNested = "a node holds no other nodes: list them all among nodes, in order by depends_on; several nodes for each item of a list are a workflow: " +
		"{definition: …}"
	sayOnce = "a tool that is not safe to repeat is never called again without a decision, and execute_plan with the same idempotency_key runs a plan once; " +
		"a key for the tool itself is one of its inputs"
	sayItems = "how many items must succeed is min_success beside for_each, and with on_error: continue the others go on after a failure"
	sayWhere = "where and as whom a tool runs is the operator's configuration of its realm; what it takes is written in inputs"
	saySelf  = "a node takes what it reads in its inputs, as in ${nodes.a.output.x}; a value that is made of several is a node with set: {…}"
	sayAfter = "what a tool gave is checked by the when of later nodes, and a person who is to see it first by a node with review: \"<question>\" between them"
	sayRetry = "write retry: {max_attempts: 4, initial_interval: 2s, backoff_coefficient: 2, max_interval: 1m}, where max_attempts counts the first attempt"
	sayTwo   = "a node starts when its dependencies have ended: write depends_on: [<id>, …]; what waits for an event is a node with wait_for: <name>"
	sayRisk  = "write safety_level: review if a person decides on the call; take it out if it is a note"
	sayPause = "a call starts when its dependencies have ended: a pause is a node of its own with wait: 10s, or wait: \"2030-01-01T00:00:00Z\", between them"
)

// systemFields is the part of the table with fields that single systems have.
var systemFields = []meaning{
	// Order and structure.
	{names: "follows blocked_by deps comes_after", of: "node", turn: order},
	{names: "precedes wires listen start finish_point sequence step", of: "node plan", say: sayTwo},
	{names: "ordered", say: sayOrder},
	{names: "block task_group group paths fork do run_steps substeps", of: "node", say: sayNested},
	{names: "do document", of: "plan", say: "write nodes: [{id, capability, inputs, depends_on}]; " + sayOrder},
	{names: "try", of: "node plan", say: sayHandler},
	{names: "raise throw abort", of: "node", say: "a plan fails with the node that fails; what must hold is the when of the nodes after it"},
	{names: "filter", of: "node", say: "a condition is the when of the node itself: when: \"${…}\"; nodes that need a skipped one are skipped too. Items are left out " +
		"of a list with ${list.filter(x, test)}"},
	{names: "branch_python_callable python_callable callable property", of: "node", say: sayBranch},
	{names: "context", of: "node", say: "write depends_on: [<id>, …], and the outputs that the node takes into its inputs, as in ${nodes.<id>.output}"},
	{names: "partial expand", of: "node", say: "write for_each: \"${list}\" beside inputs, which read item, as in inputs: {id: \"${item.id}\"}"},
	{names: "input_path items_path result_selector parameters_path item_selector do_xcom_push in_path out_path", of: "node", say: saySelf},
	{names: "seconds_path timestamp_path delay_for delay_until start_delay", of: "node", say: sayPause},
	{names: "elicitation", of: "node", say: "a person is asked by review: {question: \"…\", schema: {type: object, properties: {…}}}, and the answer is read as " +
		"${nodes.<id>.output.data.x}; a node that depends on it runs only after an approval"},

	// Failure.
	{names: "hooks on_failure_callback on_success_callback on_retry_callback notify handlers on_abort", of: "node plan", say: sayHandler},
	{names: "continue_on", of: "node", say: "write on_error: continue, by which the nodes after a failure go on"},
	{names: "always_output_data", of: "node", say: "what stands for the output of a failed node is its fallback: [{value: …}]"},
	{names: "reverse inverse revert revert_with undo_with cleanup_after atomic", of: "node", say: sayUndo},
	{names: "retry_strategy", of: "node defaults plan", say: sayRetry},
	{names: "retry_jitter_factor retry_delays wait_between_tries retry_delay_seconds", of: "node defaults plan", say: sayRetry},
	{names: "non_retryable_error_types error_equals", of: "retry", say: "write no_retry_on or retry_on with codes of errors, such as [timeout, unavailable]"},
	{names: "retry_policy expression", of: "retry", say: "which failures are retried is said by retry_on and no_retry_on, with codes of errors such as [timeout, unavailable]"},
	{names: "failed_when changed_when", of: "node", say: sayCheck},
	{names: "max_fail_percentage any_errors_fatal tolerated_failure_percentage tolerated_failure_count stop_on_error", of: "node plan", say: sayItems},
	{names: "parent_close_policy workflow_id_reuse_policy cancellation_type", of: "workflow node", say: "a workflow within a plan ends with it: a node with " +
		"on_error: continue lets the plan go on if it fails"},
	{names: "continue_as_new", of: "plan", say: "a plan runs once: rounds are the repeat of a node, and execute_workflow starts the next execution"},

	// Guards.
	{names: "must_approve ask_first wait_for_approval needs_approval_from approval_needed", of: "node", turn: consent},
	{names: "four_eyes approved_by", of: "node", say: "write safety_level: review; who decides, and how many, is the operator's setting"},
	{names: "human_input", of: "node", say: sayAfter},
	{names: "guardrail guardrails expected_output validate_output output_schema", of: "node", say: sayAfter},
	{names: "is_dangerous dangerous destructive risk risk_level sensitive", of: "node", say: sayRisk},
	{names: "check_mode", turn: off(true)},
	{names: "check_mode", say: sayDryRun},

	// Bounds.
	{names: "synchronization mutex semaphore lock locks pool pool_slots task_queue queue priority_weight concurrency_key", of: "node plan", say: sayShared},
	{names: "concurrency", of: "plan node", say: sayShared},
	{names: "max_active_tis_per_dag max_active_tis_per_dagrun serial", of: "node plan", say: "max_parallel says how many items of for_each run at once"},
	{names: "limit at_most first take", of: "node", turn: limitOfRounds},
	{names: "limit at_most first take", of: "node", say: "max_items refuses a longer list; the first ones of a list are ${list.slice(0, 10)}, in for_each"},
	{names: "delay_between", of: "node", say: "calls are spread by the rate_limit of the operator's policies; a pause between rounds is repeat: {every: 2s}"},
	{names: "max_rpm", say: sayLimit},
	{names: "poke_interval", of: "node", say: sayRounds},
	{names: "sla freshness_policy", of: "node plan", say: "the longest time is timeout of one attempt, total_timeout of all, and timeout of the plan"},
	{names: "depends_on_past wait_for_downstream", of: "node plan", say: "an execution knows none of the one before; what must outlast it is a state, read by " +
		"wait_for: {state: {type, key}}"},

	// Repetition.
	{names: "idempotency_key exactly_once deduplicate dedup_key dedupe if_not_exists run_once execute_once", of: "node plan", say: sayOnce},
	{names: "loop_control", of: "node", say: "the name of an item is for_each: {items: \"${…}\", as: order}; how many run at once is max_parallel"},

	// Where it runs.
	{names: "environment", of: "node", turn: environmentOfNode},
	{names: "agent become become_user delegate_to env local vars_files", of: "node plan", say: sayWhere},
	{names: "no_log", of: "node", say: "what the operator has declared a secret is shown nowhere: write ${secret.<name>} in the inputs"},
	{names: "secrets", of: "node plan", say: "a secret is read in the inputs of a call that the operator allows it for: ${secret.<name>}"},
	{names: "cache_policy cache_expiration", say: sayPolicy},
	{names: "async_execution", of: "node", say: "nodes that do not need each other run at once anyway; a node that needs this one waits for it"},
	{names: "output_file", of: "node", say: "what a node gave is written to a file by a call of its own, with ${nodes.<id>.output} in its inputs"},
	{names: "automation_condition partitions_def", of: "node plan", say: saySchedule},
	{names: "default_args", of: "plan", say: "what holds for all nodes is defaults: {timeout: 30s, retry: {max_attempts: 3}}"},
	{names: "memory", of: "plan", say: "an execution remembers nothing of others: what outlasts it is a state, which set_state writes and wait_for reads"},
	{names: "jsonrpc notes_in_flow z", of: "node", idle: true},
}

// limitOfRounds is a limit beside until or while.
func limitOfRounds(f *found) bool { return (f.besideLoop() || f.has("repeat")) && f.refused(sayRounds) }

// environmentOfNode is that of a deployment, which may have to be approved, or variables.
func environmentOfNode(f *found) bool {
	if f.value.Kind == '{' && f.value.Get("name") == nil {
		return f.refused(sayWhere)
	}
	return f.refused("if a person approves what goes there, write safety_level: review; " + sayWhere)
}

// sayRules are what to write for trigger rules of other languages that have no equal here.
var sayRules = map[string]string{
	"all_failed": "with trigger_rule: all_done, when: \"${nodes.a.status == 'failed' && nodes.b.status == 'failed'}\" asks whether all of them failed",
	"one_done":   "a node waits for all of its dependencies, or with one_success or one_failed for the first that ends so",
	"none_skipped": "with trigger_rule: all_done, when: \"${nodes.a.status != 'skipped' && nodes.b.status != 'skipped'}\" asks whether none of them was " +
		"skipped",
	"all_skipped": "with trigger_rule: all_done, when: \"${nodes.a.status == 'skipped'}\" asks whether it was skipped",
	"dummy":       "a node that waits for nothing has no depends_on; one that runs in any case, after its dependencies have ended, has all_done",
	"always":      "a node that waits for nothing has no depends_on; one that runs in any case, after its dependencies have ended, has all_done",
}
