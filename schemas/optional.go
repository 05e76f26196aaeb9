package schemas

import (
	"encoding/json"
	"slices"
)

// Optional returns the schema of an object in which a member that it requires may be missing, since the runtime fills it in. A schema that does
// not require it is returned as it is.
func Optional(schema json.RawMessage, member string) json.RawMessage {
	if member == "" {
		return schema
	}
	var all map[string]json.RawMessage
	var required []string
	if json.Unmarshal(schema, &all) != nil || json.Unmarshal(all["required"], &required) != nil || !slices.Contains(required, member) {
		return schema
	}
	required = slices.DeleteFunc(required, func(name string) bool { return name == member })
	if delete(all, "required"); len(required) > 0 {
		all["required"], _ = json.Marshal(required)
	}
	changed, err := Encode(all)
	if err != nil {
		return schema
	}
	return changed
}
