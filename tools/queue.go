package tools

import (
	"context"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/schemas"
)

type noArguments struct{}

type setPriority struct {
	executionID
	Priority int `json:"priority" jsonschema:"minimum=1,maximum=5,description=1 is first and 5 last"`
}

type pauseQueue struct {
	Reason string `json:"reason" jsonschema:"minLength=1,maxLength=1000,description=why; shown to callers whose executions wait"`
}

// Queue is the contract Queue.
func Queue() []Method {
	const contract = "Queue"
	return []Method{
		method(contract, "get_queue_status", "Show the queue", Reads,
			`Shows how many executions wait, by priority, how long the oldest has, how many run, and whether the queue is paused. Use it when an `+
				`execution stays pending.`,
			func(ctx context.Context, rt *runtime.Runtime, _ noArguments, _ Request) (schemas.QueueStatus, error) {
				return rt.Queue.Status(ctx)
			}),
		method(contract, "set_execution_priority", "Change a priority", Sets,
			`Changes the priority of an unfinished execution and of its workflows at once; no priority starves. Returns the execution; call `+
				`it again to change it back.`,
			func(ctx context.Context, rt *runtime.Runtime, in setPriority, _ Request) (schemas.Execution, error) {
				return brief(rt.Executions.SetPriority(ctx, in.ExecutionID, in.Priority))
			}),
		operatorOnly(method(contract, "pause_queue", "Pause the queue", Sets,
			`Stops every replica from taking executions out of the queue, until resume_queue. Running ones continue; those that sleep or are `+
				`submitted meanwhile wait, and callers are shown the reason. Returns the state of the queue.`,
			func(ctx context.Context, rt *runtime.Runtime, in pauseQueue, _ Request) (schemas.QueueStatus, error) {
				return rt.Queue.Pause(ctx, in.Reason, "")
			})),
		operatorOnly(method(contract, "resume_queue", "Resume the queue", Sets,
			`Ends the pause of pause_queue: replicas take executions out of the queue again, by priority and in turn. Returns the state of the `+
				`queue.`,
			func(ctx context.Context, rt *runtime.Runtime, _ noArguments, _ Request) (schemas.QueueStatus, error) {
				return rt.Queue.Resume(ctx)
			})),
	}
}
