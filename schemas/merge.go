package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// MergePatch applies a JSON Merge Patch (RFC 7396): members of the patch replace those of the target, objects are merged
// member by member, null removes a member, and a patch that is not an object replaces the whole target. Numbers keep their
// digits. An absent target counts as {}. It is an error if one of the two is not JSON.
func MergePatch(target, patch []byte) ([]byte, error) {
	over, err := decodeTree(patch)
	if err != nil {
		return nil, fmt.Errorf("the patch is not JSON: %w", err)
	}
	var base any
	if len(target) > 0 {
		if base, err = decodeTree(target); err != nil {
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

// decodeTree decodes JSON and keeps numbers as they were written.
func decodeTree(doc []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// ReplaceMembers is base with the members of over in the place of its own; unlike MergePatch it does not look inside them.
func ReplaceMembers(base, over Object) (Object, error) {
	members := map[string]json.RawMessage{}
	for _, o := range []Object{base, over} {
		if len(o) > 0 {
			if err := json.Unmarshal(o, &members); err != nil {
				return nil, fmt.Errorf("inputs are no JSON object: %w", err)
			}
		}
	}
	return Encode(members)
}
