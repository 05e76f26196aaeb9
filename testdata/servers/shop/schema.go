package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// schema makes an object schema of properties; names that end in "!" are required.
func schema(properties string) json.RawMessage {
	var props map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+properties+"}"), &props); err != nil {
		panic(err) // the table of tools is wrong
	}
	required := []string{}
	for name := range props {
		if bare, ok := strings.CutSuffix(name, "!"); ok {
			props[bare] = props[name]
			delete(props, name)
			required = append(required, bare)
		}
	}
	slices.Sort(required)
	out, err := json.Marshal(map[string]any{"type": "object", "properties": props, "required": required})
	if err != nil {
		panic(err)
	}
	return out
}

// annotations returns the hints for an effect; an empty one has none, like most real tools.
func annotations(effect string) mcp.ToolAnnotation {
	if effect == "" {
		return mcp.ToolAnnotation{}
	}
	return mcp.ToolAnnotation{
		ReadOnlyHint:    mcp.ToBoolPtr(effect == "read"),
		IdempotentHint:  mcp.ToBoolPtr(effect != "once"),
		DestructiveHint: mcp.ToBoolPtr(effect == "once"),
		OpenWorldHint:   mcp.ToBoolPtr(false),
	}
}
