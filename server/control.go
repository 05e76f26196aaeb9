package server

import (
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// controls are the tools that look after work that runs, or end it. They have places of their own, so that a client that waits for as many
// calls as it may can still end one, and an operator can still see what is wrong with a server that has no other place left. A tool is one
// for the arguments that the function accepts; nil: for all.
var controls = map[string]func(arguments json.RawMessage) bool{
	"cancel_execution":     nil,
	"suspend_execution":    nil,
	"check_health":         nil,
	"get_execution_status": doesNotWait,
	"get_queue_status":     nil,
	"pause_queue":          nil,
}

func doesNotWait(arguments json.RawMessage) bool {
	var in struct {
		Wait float64 `json:"wait_seconds"`
	}
	return json.Unmarshal(arguments, &in) == nil && in.Wait == 0
}

// maxControl bounds the size of a message that can be a control.
const maxControl = 16 << 10

// isControl reports whether a message has a reserved place: a ping, a notification, or a call of one of controls.
func isControl(h *envelope) bool {
	switch {
	case h.ID == nil || h.Method == string(mcp.MethodPing):
		return true
	case h.Method != string(mcp.MethodToolsCall) || len(h.Params) > maxControl:
		return false
	}
	var call struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if json.Unmarshal(h.Params, &call) != nil {
		return false
	}
	accepts, ok := controls[call.Name]
	return ok && (accepts == nil || len(call.Arguments) == 0 || accepts(call.Arguments))
}
