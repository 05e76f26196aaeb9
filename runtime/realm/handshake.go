package realm

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/mark3labs/mcp-go/mcp"
)

// readableHandshake is the result of initialize without what mcp-go cannot read, and the names of that: a server is not lost for an odd
// field that nobody needs. A version before the first published one is taken for that one, whose calls are the same.
func readableHandshake(raw json.RawMessage) (result json.RawMessage, odd []string) {
	accepts := func(raw []byte) bool { return json.Unmarshal(raw, new(mcp.InitializeResult)) == nil }
	result = raw
	if !accepts(raw) {
		if result = readable(raw, "", accepts, &odd); result == nil {
			return raw, nil // no object: the handshake fails
		}
	}
	var said struct {
		Version string `json:"protocolVersion"`
	}
	if json.Unmarshal(result, &said) == nil && said.Version == earlierVersion {
		fields := map[string]json.RawMessage{}
		if json.Unmarshal(result, &fields) == nil {
			fields["protocolVersion"] = quote(mcp.ProtocolVersion20241105)
			if b, err := json.Marshal(fields); err == nil {
				result = b
			}
		}
	}
	return result, odd
}

// earlierVersion is the protocol that servers of its first weeks name.
const earlierVersion = "2024-10-07"

// readable is a value without the members that are not accepted; nil: there is nothing left of it. true stands for an object without
// members, and a number where a text is wanted for its digits.
func readable(raw json.RawMessage, at string, accepts func([]byte) bool, odd *[]string) json.RawMessage {
	if accepts(raw) {
		return raw
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		if string(raw) == "true" && accepts([]byte("{}")) {
			return json.RawMessage("{}")
		}
		*odd = append(*odd, at)
		if _, err := strconv.ParseFloat(string(raw), 64); err == nil && accepts(quote(string(raw))) {
			return quote(string(raw))
		}
		return nil
	}
	kept := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		place := name
		if at != "" {
			place = at + "." + name
		}
		one := func(value []byte) bool {
			b, err := json.Marshal(map[string]json.RawMessage{name: value})
			return err == nil && accepts(b)
		}
		if value := readable(fields[name], place, one, odd); value != nil {
			kept[name] = value
		}
	}
	if b, err := json.Marshal(kept); err == nil && accepts(b) {
		return b
	}
	*odd = append(*odd, at)
	return nil
}
