package plan

import (
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// What is to be written where no field of ours says the same.
const (
	sayBranch   = "write a node for each branch, each with its own when: \"${…}\"; a node whose condition is false is skipped"
	sayParallel = "nodes that do not need each other run at once: list them all among nodes; " + sayOrder
	sayHandler  = "what follows a failure is a node of its own, with depends_on: [<the node>] and trigger_rule: one_failed " +
		"(all_done runs in any case); fallback gives another call or a value, compensate undoes the node"
	sayOrder    = "the order follows from depends_on of the later node, and from the outputs that it reads"
	sayDisabled = "leave a node out that is not to run, or write when: \"${false}\", which skips it and what needs it"
	sayOutput   = "the output of a node needs no name: other nodes read ${nodes.<id>.output}"
	sayLimit    = "rates and costs are limited by the operator's policies, not by a plan; max_parallel limits what runs at once"
	sayWhenAll  = "a condition is one expression: join several with && or ||, as in when: \"${nodes.a.output.paid && nodes.a.output.cents < 5000}\""
	sayUndo     = "what undoes a node is its compensate: {capability, inputs}, which runs when on_error of a later node is compensate"
	sayPolicy   = "what may be called, and how its answers are kept, is a policy of the operator, such as cache_ttl; a plan narrows it with " +
		"safety_level: review; take the field out if the policy is enough"
	sayFactor   = "waits grow by backoff_coefficient from initial_interval to max_interval: 1 is a constant wait, 2 doubles it"
	sayWait     = "execute_plan waits by its argument wait_seconds; a plan runs to its end without a client"
	sayCheck    = "a condition on the answer is the when of the nodes after it, such as when: \"${nodes.<id>.output.ok}\""
	saySchedule = "a plan says what runs, not when: execute_plan runs it now, create_schedule a workflow at given times, and wait_for waits for a signal"
	sayApproval = "a person decides on a call by safety_level: review of its node; a question of your own is a node before it, with " +
		"review: \"<question>\""
	sayForm = "what a person fills in is described by a JSON Schema, as in schema: {type: object, properties: {cents: {type: integer}}, " +
		"required: [cents]}, and read as ${nodes.<id>.output.data.cents}"
	sayPerson   = "a person decides, and without a decision until expires the review counts as rejected"
	sayRace     = "the first success wins in a node with depends_on: [a, b], trigger_rule: one_success and cancel_others: true, which cancels the rest"
	sayDryRun   = "a plan has no trial run: validate_plan checks it without a call"
	sayItemName = "the name of an item is written for_each: {items: \"${…}\", as: order}"
	sayAttempts = "max_attempts says how often the call is made, the first time included"
	sayLoop     = "for_each runs a node once for each item of a list: write it with the list; " + sayRepeat
)

// The names of what a call is made of in other languages.
const (
	nodeLists = "steps tasks jobs actions activities operations stages invocations calls tool_calls function_calls"
	callNames = "tool uses action function call tool_name operation run invoke resource capability_name method activity operator " +
		"op task_ref function_call"
	argumentNames = "input args arguments with params parameters body payload kwargs data tool_input tool_args op_kwargs action_input " +
		"tool_arguments function_args function_arguments ins call_args"
)

// approvals are the names by which other languages ask for a person's word.
const approvals = "approval approve human_review require_approval requires_approval needs_approval confirm confirmation " +
	"human_approval human_in_the_loop interrupt_before interrupt require_confirmation requires_confirmation " +
	"ask_user ask_human manual manual_approval approval_required ask_before require_review requires_review " +
	"needs_review user_approval gate hitl pause_before"

// foreignFields is the table: the names in the spelling of [snake], and what they mean.
var foreignFields = indexed(loopFields, []meaning{
	{names: callNames, of: "node fallback compensate verify", turn: calledTool},
	{names: argumentNames, of: "node fallback compensate verify", turn: argumentsOf},
	{names: "disabled skip", of: "node plan", turn: off(true)},
	{names: "enabled active", of: "node plan", turn: off(false)},
	{names: "if condition run_if only_if enabled_if", of: "node", turn: condition},
	{names: "enabled active", of: "node", turn: enabled},
	{names: "disabled skip", of: "node", turn: disabled},
	{names: "unless skip_if disabled_if", of: "node", turn: unless},
	{names: "branches", of: "node", turn: parallelBranches},
	{names: "dry_run simulate test_mode", turn: off(true)},
	{names: "sequential parallel", of: "node", turn: oneByOne},
	{names: "sequential", turn: off(true)},
	{names: "stream streaming async background detach transaction atomic", of: "plan", turn: off(true)},
	{names: "checkpointer checkpoint checkpoints persist persistence durable", of: "plan", idle: true},
	{names: "interrupt_before pause_before approve_before", of: "plan", turn: interruptBefore},
	{names: "retry", of: "plan", turn: intoDefaults},
	{names: "task_id step_id node_id activity_id action_id job_id uid identifier step_name node_name task_name key", of: "node", turn: otherID},
	{names: "compute calculate calc expression transform assign let formula expr eval", of: "node", turn: computed},
	{names: "subflow sub_flow sub_workflow call_workflow run_workflow child_workflow", of: "node", turn: when("{\"", "workflow")},
	{names: "message_template", of: "review", to: "question"},
	{names: "needs dependencies requires run_after after depends upstream parents dependency waits_for prerequisites " +
		"previous",
		of: "node", turn: order},
	{names: "next", of: "node", turn: isLast},
	{names: "end", of: "node", turn: flagless},
	{names: "parallel", turn: parallel},
	{names: "on_failure on_fail if_failed error_policy fail_strategy", of: "node", turn: said("on_error", onErrorWords)},
	{names: "continue_on_error ignore_errors ignore_error allow_failure continue_on_fail continue_on_failure soft_fail",
		of: "node", turn: flag("on_error", string(schemas.OnErrorContinue))},
	{names: "with_items", of: "node", turn: when("[\"", "for_each")},
	{names: "each over items loop map", of: "node", turn: listOfItems},
	{names: "map_over loop_over iterate_over with_param for_each_item foreach_item for_each_in expand", of: "node", turn: when("[\"", "for_each")},
	{names: "retries max_retries retry_count num_retries retry_limit retry_times", of: "node defaults", turn: repetitions(1)},
	{names: "max_attempts attempts max_tries tries", of: "node defaults", turn: repetitions(0)},
	{names: "retry_policy retry_config", of: "node defaults", turn: when("{0", "retry")},
	{names: "retry_on_fail", of: "node", turn: off(false)},
	{names: "retries max_retries retry_count num_retries max_retry", of: "retry", turn: moreThanFirst},
	{names: "count limit times", of: "retry", say: sayAttempts},
	{names: "backoff backoff_strategy strategy_type backoff_type", of: "retry", turn: backoff},
	{names: "exponential_backoff exponential", of: "retry", turn: flagNumber("backoff_coefficient", "2")},
	{names: "concurrency", of: "node plan", turn: when("0\"", "max_parallel")},
	{names: approvals, of: "plan defaults", turn: off(true)},
	{names: approvals, of: "plan defaults", say: sayApproval},
	{names: approvals, of: "node", turn: consent},
	{names: "name", of: "node", turn: nodeName},
	{names: "kind type", of: "node", turn: kindWord},
	{names: nodeLists, of: "plan", turn: when("[{", "nodes")},
	{names: "variables vars params parameters input args arguments inputs_values", of: "plan", turn: when("{", "inputs")},
	{names: "version api_version", of: "plan", turn: version},
	{names: "deadline", of: "plan", turn: when("\"", "timeout")},
	{names: "condition success check", of: "verify", to: "happened"},
	{names: "condition when", of: "waitfor", to: "until"},
	{names: "undo rollback compensation compensate_with on_rollback", of: "node", turn: undoing},
	{names: "wait_until", of: "node", to: "wait"},
	{names: "fallbacks", of: "node", to: "fallback"},
	{names: "foreach", of: "node", to: "for_each"},
	{names: "in list over values each collection of sequence array", of: "foreach", to: "items"},
	{names: "item item_name var variable loop_var element each_as item_var name", of: "foreach", to: "as"},
	{names: "index index_name index_var counter", of: "foreach", to: "index_as"},
	{names: "as loop_var item_name item_var", of: "node", turn: ofList("as")},
	{names: "index_as index_var index_name", of: "node", turn: ofList("index_as")},
	{names: "as loop_var item_name item_var index_as index_var index_name", of: "node", say: sayItemName},
	{names: "max_parallel concurrency max_concurrency parallelism max_items min_success", of: "foreach", say: "it stands beside for_each, on the node"},
	{names: "do steps tasks nodes body run", of: "foreach", say: "the node itself runs for each item; several steps for each item are a workflow: {definition: …}"},
	{names: "attempts max_tries tries maximum_attempts", of: "retry", to: "max_attempts"},
	{names: "multiplier factor backoff_rate backoff_factor backoff_multiplier coefficient", of: "retry", to: "backoff_coefficient"},
	{names: "error_codes retryable_errors", of: "retry", to: "retry_on"},
	{names: "non_retryable_errors", of: "retry", to: "no_retry_on"},
	{names: "max_concurrency parallelism max_concurrent max_workers concurrency_limit max_parallelism parallel_limit",
		of: "node plan", to: "max_parallel"},
	{names: "max_active_tasks", of: "plan", to: "max_parallel"},
	{names: "outputs result returns return", of: "plan", to: "output"},
	{names: "wait_for_event wait_for_signal signal event on_event wait_for_state", of: "node", to: "wait_for"},
	{names: "signal name event_name", of: "waitfor", to: "event"},
	{names: "ref", of: "workflow", to: "name"},
	{names: "plan", of: "workflow", to: "definition"},
	{names: "state_type", of: "statename", to: "type"},
	{names: "state_key", of: "statename", to: "key"},
	{names: "message text prompt", of: "review", to: "question"},
	{names: "options", of: "review", turn: when("[", "choices")},
	{names: "options", of: "review", say: sayChoices},
	{names: "form input_schema json_schema data_schema response_schema", of: "review", turn: when("{", "schema")},
	{names: "fields form inputs questions properties", of: "review", say: sayForm},
	{names: "default default_choice on_expire on_expiry on_timeout auto_approve auto_approve_after", of: "review", say: sayPerson},
	{names: "default", of: "fallback", to: "value"},
	{names: "value", of: "node", to: "set"},
	{names: "else otherwise switch elif cases choices branches rules", of: "node", say: sayBranch},
	{names: "disabled skip enabled active", of: "node plan", say: sayDisabled},
	{names: "dry_run simulate test_mode", say: sayDryRun},
	{names: "next then on_success goto before stage order", of: "node", say: sayOrder},
	{names: "edges conditional_edges transitions routes conditions connections links", of: "plan node", turn: conditionalEdges},
	{names: "edges sequence transitions", of: "plan node", say: sayOrder},
	{names: "conditional_edges conditions routes router", of: "plan node", say: sayBranch},
	{names: "execution execution_mode mode process", of: "plan", turn: atOnce},
	{names: "execution execution_mode mode process", of: "plan", say: sayOrder},
	{names: "set_upstream set_downstream upstream_tasks downstream trigger_after", of: "node", say: "write depends_on: [<id>, …]; " + sayOrder},
	{names: "precondition preconditions require", of: "node", say: "when skips a node whose condition is false: write when: \"${…}\" if that is meant; to fail, " +
		"put the check into a node of its own"},
	{names: "always_run run_always on_exit exit_handler on_finish on_complete on_completion teardown", say: sayHandler},
	{names: "transaction atomic saga rollback undo on_rollback compensation", of: "plan", say: sayUndo},
	{names: "read_only readonly permissions permission allowed_tools denied_tools allow deny scopes roles policy policies", say: sayPolicy},
	{names: "cache cache_ttl cached cache_key memoize memoise", say: sayPolicy},
	{names: "stream streaming async background detach", say: sayWait},
	{names: "retry_exponential_backoff exponential_backoff exponential backoff_strategy", of: "node defaults plan", say: sayFactor},
	{names: "connections links start start_at entrypoint entry_point", of: "plan", say: sayOrder},
	{names: "sequential", say: sayOrder},
	{names: "parallel", say: sayParallel},
	{names: "finally catch always on_failure", of: "node plan", say: sayHandler},
	{names: "on_fail error_handler except rescue on_exception cleanup if_failed error_policy fail_strategy", say: sayHandler},
	{names: "fail_fast",
		say: "on_error of each node says what its failure does: fail (the default), continue, suspend or compensate"},
	{names: "items over each", of: "node", say: sayLoop},
	{names: "loop map for while do_while matrix iterator strategy", of: "node", say: sayLoop},
	{names: "retry_on_fail", of: "node", say: "write retry: {max_attempts: 3}"},
	{names: "batch_size", say: "for_each has no batches: max_parallel says how many items run at once"},
	{names: "approvers", of: "node", say: "write safety_level: review; who decides is the operator's setting"},
	{names: "interrupt_after", say: "a person is asked between two nodes by a node of its own, with review: \"<question>\""},
	{names: "assert expect success_condition failure_condition guard postcondition", of: "node", say: sayCheck},
	{names: "limits budget on_limit max_calls", of: "node", say: sayLimitsOfNode},
	{names: "budget execution_limits plan_limits", of: "plan", turn: budgetWords},
	{names: "max_calls call_limit max_tool_calls calls_limit", of: "plan", turn: intoLimits},
	{names: "max_steps max_turns max_iterations recursion_limit step_limit max_tokens token_limit token_budget tokens", of: "plan", say: sayLimits},
	{names: "max_calls call_limit max_tool_calls", of: "planlimits", to: "calls"},
	{names: "max_bytes", of: "planlimits", to: "bytes"},
	{names: "tokens max_tokens cost max_cost max_cost_usd cost_usd usd dollars steps max_steps max_turns iterations", of: "planlimits", say: sayLimits},
	{names: "rate_limit throttle budget max_cost cost_limit", say: sayLimit},
	{names: "output_key save_as register result_path outputs output output_path result returns return",
		of: "node", say: sayOutput},
	{names: "race wait_for_any first_of any_of first_wins first_completed cancel_rest cancel_remaining cancel_losers cancel_pending",
		of: "node", say: sayRace},
	{names: "trigger", of: "node", say: "trigger_rule says which results of the dependencies let the node start"},
	{names: "trigger", of: "plan", say: saySchedule},
	{names: "on triggers schedule cron", of: "plan node", say: saySchedule},
	{names: "states", of: "plan", say: "write nodes: [{id, capability, inputs, depends_on}]; " + sayOrder},
	{names: "assign", of: "node", say: sayOutput},
	{names: "compute calculate calc expression transform let formula expr eval", of: "node", say: "a value is computed by a node of its own, with set: \"${…}\""},
	{names: "$schema id uuid plan_id flow_id workflow_id namespace kind debug verbose log_level", of: "plan", idle: true},
	{names: "debug verbose log_level", of: "node", idle: true},
	{names: "metadata meta annotations position", of: "node plan", turn: plainNotes},
	{names: "label labels tags tag note notes comment comments color colour icon ui layout display_name x y author " +
		"owner created_at created_by updated_at documentation docs summary purpose rationale reason explanation " +
		"emoji title type_version credits license thought thoughts reasoning runs_on image container node_selector " +
		"typeversion",
		of: "node plan", idle: true},
}, systemFields)

// indexed finds the rows of a name, in the order of the tables.
func indexed(tables ...[]meaning) map[string][]meaning {
	all := map[string][]meaning{}
	for _, m := range slices.Concat(tables...) {
		for _, name := range strings.Fields(m.names) {
			all[name] = append(all[name], m)
		}
	}
	return all
}

var onErrorWords = map[string]string{
	"stop": "fail", "fail": "fail", "abort": "fail", "halt": "fail", "raise": "fail", "throw": "fail", "terminate": "fail", "exit": "fail", "fail_fast": "fail", "stop_workflow": "fail",
	"continue": "continue", "ignore": "continue", "proceed": "continue", "warn": "continue", "continue_regular_output": "continue",
	"suspend": "suspend", "pause": "suspend", "hold": "suspend", "ask": "suspend",
	"compensate": "compensate", "rollback": "compensate", "undo": "compensate", "revert": "compensate",
}
