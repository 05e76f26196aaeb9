package schemas

import (
	"context"
	"encoding/json"
	"strings"
)

// CheckGiven is Check for the arguments of a call, in the forms in which clients give them. What the schema refuses is read again
// where it can have only one meaning: an object or a list that is given as its JSON text, because the dialect of a model's API has
// no open objects, and null for an argument that is not given, because it has no optional ones. It returns the arguments that were
// found valid, byte for byte unless they were read again, or the problems that remain.
func (c *Checker) CheckGiven(ctx context.Context, arguments json.RawMessage) (json.RawMessage, []Problem) {
	problems := c.Check(ctx, arguments)
	if len(problems) == 0 {
		return arguments, nil
	}
	given, changed := c.Settle(arguments, nil)
	if changed {
		problems = c.Check(ctx, given)
	}
	for level := 0; level < maxUnwrapped && len(problems) > 0; level++ { // a text may hold an object with another one
		read, ok := unwrapTexts(given, problems)
		if !ok {
			break
		}
		given, _ = c.Settle(read, nil)
		problems = c.Check(ctx, given)
	}
	return given, problems
}

// maxUnwrapped is how often a text within a text is read.
const maxUnwrapped = 3

// unwrapTexts replaces the texts that are refused as such and are JSON of a type that is allowed in their place.
func unwrapTexts(doc json.RawMessage, problems []Problem) (json.RawMessage, bool) {
	var root any
	if Decode(doc, &root) != nil {
		return doc, false
	}
	changed := false
	for _, p := range problems {
		if p.Keyword != "type" {
			continue
		}
		parent, name := SplitPointer(p.Field)
		holder, ok := memberAt(root, parent)
		if !ok {
			continue
		}
		text, ok := holder[name].(string)
		if !ok || !strings.HasPrefix(strings.TrimSpace(text), "{") && !strings.HasPrefix(strings.TrimSpace(text), "[") {
			continue
		}
		var value any
		if FindFlaw([]byte(text), DefaultMaxDepth) != nil || Decode([]byte(text), &value) != nil {
			continue
		}
		kind := "object"
		if _, list := value.([]any); list {
			kind = "array"
		}
		for _, want := range p.Expected {
			if want == kind {
				holder[name], changed = value, true
			}
		}
	}
	if !changed {
		return doc, false
	}
	out, err := Encode(root)
	return out, err == nil
}

// memberAt is the object at a JSON pointer.
func memberAt(root any, pointer string) (map[string]any, bool) {
	at, ok := root.(map[string]any)
	for name := range PointerParts(pointer) {
		if !ok {
			return nil, false
		}
		at, ok = at[name].(map[string]any)
	}
	return at, ok
}
