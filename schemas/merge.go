package schemas

import (
	"encoding/json"
	"fmt"
)

// MergePatch applies a JSON Merge Patch (RFC 7396): members of the patch replace those of the target, objects are merged
// member by member, null removes a member, and a patch that is not an object replaces the whole target. Numbers keep their
// digits. An absent target counts as {}. It is an error if one of the two is not JSON.
func MergePatch(target, patch []byte) ([]byte, error) {
	var over, base any
	if err := Decode(patch, &over); err != nil {
		return nil, fmt.Errorf("the patch is not JSON: %w", err)
	}
	if len(target) > 0 {
		if err := Decode(target, &base); err != nil {
			return nil, fmt.Errorf("the target is not JSON: %w", err)
		}
	}
	return Encode(mergeTree(base, over))
}

func mergeTree(target, patch any) any {
	over, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	base, ok := target.(map[string]any)
	if !ok {
		base = map[string]any{}
	}
	for name, v := range over {
		if v == nil {
			delete(base, name)
		} else {
			base[name] = mergeTree(base[name], v)
		}
	}
	return base
}

// ReplaceMembers replaces members of base by those of over; unlike MergePatch it does not merge their values.
func ReplaceMembers(base, over Object) (Object, error) {
	members := map[string]json.RawMessage{}
	for _, o := range []Object{base, over} {
		if len(o) > 0 {
			if err := json.Unmarshal(o, &members); err != nil {
				return nil, fmt.Errorf("inputs are not a JSON object: %w", err)
			}
		}
	}
	return Encode(members)
}
