package tools

import (
	"context"
	"encoding/json"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
)

type createWorkflow struct {
	Name        string            `json:"name" jsonschema:"pattern=^[a-z][a-z0-9_-]{0\\,62}$"`
	Definition  Plan              `json:"definition" jsonschema:"description=the plan; its inputs name every input and its default (null: none)"`
	Description string            `json:"description,omitempty" jsonschema:"maxLength=2000"`
	Schedule    *schemas.Schedule `json:"schedule,omitempty" jsonschema:"description=executes the latest version at set times; {} removes it"`
	InputSchema schemas.Object    `json:"input_schema,omitempty" jsonschema:"description=JSON Schema of the inputs; its defaults replace those of the definition"`
	Publish     *bool             `json:"publish,omitempty" jsonschema:"description=true makes it a tool workflow_<name>"`
}

type workflowID struct {
	WorkflowID string `json:"workflow_id"`
}

type executeWorkflow struct {
	WorkflowID string         `json:"workflow_id" jsonschema:"description=name or name@version"`
	Version    int64          `json:"version,omitempty" jsonschema:"minimum=1,description=default the latest"`
	Inputs     schemas.Object `json:"inputs,omitempty" jsonschema:"description=replace those of the definition member by member"`
	sameSubmission
}

type listWorkflows struct {
	Scheduled bool   `json:"scheduled,omitempty" jsonschema:"description=only those with a schedule"`
	Limit     int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,description=default 20"`
	Cursor    string `json:"cursor,omitempty"`
}

// neverFires reports whether a schedule is given with an interval of 0. Decoded, it looks like one without an interval.
func neverFires(arguments json.RawMessage) bool {
	var given struct {
		Schedule *struct {
			Every *schemas.Duration `json:"every"`
		} `json:"schedule"`
	}
	return json.Unmarshal(arguments, &given) == nil && given.Schedule != nil && given.Schedule.Every != nil && *given.Schedule.Every == 0
}

// WorkflowContract is the contract of workflows. A server that has it also lists published workflows as tools.
const WorkflowContract = "Workflow"

// Workflow is the contract Workflow.
func Workflow() []Method {
	const contract = WorkflowContract
	return []Method{
		method(contract, "create_workflow", "Store a plan as a workflow", Adds,
			`Stores a plan under a name, for execute_workflow, for nodes {"workflow":"name"} of plans and, with publish, as a tool. An `+
				`existing name gets a new version; an unchanged definition gives none.`,
			func(ctx context.Context, rt *runtime.Runtime, in createWorkflow, r Request) (schemas.WorkflowRef, error) {
				if neverFires(r.Arguments) {
					return schemas.WorkflowRef{}, schemas.Errorf(schemas.CodeInvalidArgument, "every is 0s (minimum 1s)").
						WithField("/schedule/every").WithHint("write an interval of at least 1s; schedule: {} removes a schedule")
				}
				return rt.Workflows.Create(ctx, workflow.Spec{
					Name: in.Name, Description: in.Description, Definition: in.Definition,
					InputSchema: in.InputSchema, Publish: in.Publish, Schedule: in.Schedule,
				})
			}),
		method(contract, "execute_workflow", "Execute a workflow", Acts,
			`Executes a stored plan with your inputs, checked against its input_schema, and waits like execute_plan. Returns the execution; `+
				`cancel_execution stops it.`,
			func(ctx context.Context, rt *runtime.Runtime, in executeWorkflow, r Request) (schemas.Execution, error) {
				return Submission(in.sameSubmission).run(ctx, rt, r, func(sub engine.Submit) (schemas.Execution, error) {
					sub.Inputs = in.Inputs
					return rt.Workflows.Execute(ctx, in.WorkflowID, in.Version, sub)
				})
			}),
		method(contract, "get_workflow_status", "Get a workflow's status", Reads,
			`Shows a workflow: its versions, input_schema, schedule with next and last firings, and newest executions.`,
			func(ctx context.Context, rt *runtime.Runtime, in workflowID, _ Request) (schemas.WorkflowStatus, error) {
				return brief(rt.Workflows.Status(ctx, in.WorkflowID))
			}),
		method(contract, "list_workflows", "List workflows", Reads,
			`Lists your workflows by name with latest version, description and schedule.`,
			func(ctx context.Context, rt *runtime.Runtime, in listWorkflows, _ Request) (schemas.WorkflowList, error) {
				return rt.Workflows.List(ctx, workflow.Query{Scheduled: in.Scheduled, Limit: orBrief(in.Limit), Cursor: in.Cursor})
			}),
		method(contract, "pause_schedule", "Pause a schedule", Sets,
			`Stops the schedule of a workflow until resume_schedule or a new schedule. Returns the workflow.`,
			func(ctx context.Context, rt *runtime.Runtime, in workflowID, _ Request) (schemas.WorkflowInfo, error) {
				return brief(rt.Workflows.PauseSchedule(ctx, in.WorkflowID, true))
			}),
		method(contract, "resume_schedule", "Resume a schedule", Sets,
			`Ends pause_schedule; firings missed meanwhile are not run. Returns the workflow.`,
			func(ctx context.Context, rt *runtime.Runtime, in workflowID, _ Request) (schemas.WorkflowInfo, error) {
				return brief(rt.Workflows.PauseSchedule(ctx, in.WorkflowID, false))
			}),
		method(contract, "delete_workflow", "Delete a workflow", Destroys,
			`Deletes a workflow with its versions and schedule. Its running executions continue. It cannot be undone.`,
			func(ctx context.Context, rt *runtime.Runtime, in workflowID, _ Request) (schemas.WorkflowDeleted, error) {
				return rt.Workflows.Delete(ctx, in.WorkflowID)
			}),
	}
}
