package server

import (
	"context"
	"fmt"
	"strings"
)

// guide describes all tools together; a client may show it to its model. Each sentence is for clients that have the tool.
var guide = [][]struct{ tool, text string }{
	{
		{"discover_capabilities", "discover_capabilities finds what can be called."},
		{"resolve_capability", "resolve_capability gives one capability's schema and effect."},
	},
	{
		{"invoke_capability", "One call: invoke_capability."},
		{"execute_plan", "Several, or work that must survive a crash: write a plan; execute_plan runs it."},
		{"validate_plan", "validate_plan checks a plan and returns fixes."},
	},
	{
		{"execute_plan", "execute_plan waits about 20 s."},
		{"get_execution_status", "If an execution is still running, call get_execution_status with its execution_id and wait_seconds."},
		{"cancel_execution", "Ending a call never ends an execution; cancel_execution does."},
	},
	{
		{"get_execution_status", "Read waiting_for and hint."},
		{"resume_execution", "A held node waits for a decision: resume_execution with a patch."},
	},
}

// instructions returns the guide for the tools of the client of a request.
func (s *Server) instructions(ctx context.Context) string {
	var b strings.Builder
	b.WriteString("Runplane runs execution plans: a plan is a DAG whose nodes call capabilities (tools of connected MCP servers, the realms). " +
		"It handles dependencies, retries, timeouts and crash recovery, and intermediate results stay out of your context.\n")
	step := 0
	for _, sentences := range guide {
		var own []string
		for _, sentence := range sentences {
			if s.offers(ctx, sentence.tool) {
				own = append(own, sentence.text)
			}
		}
		if len(own) > 0 {
			step++
			fmt.Fprintf(&b, "\n%d. %s", step, strings.Join(own, " "))
		}
	}
	if step > 0 {
		b.WriteString("\n")
	}
	b.WriteString("\nErrors are JSON with code, message, hint, retryable.")
	if s.offers(ctx, "execute_plan") || s.offers(ctx, "execute_workflow") {
		b.WriteString(" Give idempotency_key when you may submit twice.")
	}
	return b.String()
}
