package schemas

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	explainTexts(given, problems)
	return given, problems
}

// explainTexts says of each text in the place of an object or a list why it was not read as its JSON.
func explainTexts(doc json.RawMessage, problems []Problem) {
	var root any
	if len(problems) == 0 || Decode(doc, &root) != nil {
		return
	}
	for i := range problems {
		p := &problems[i]
		if !slices.Contains(p.Expected, "object") && !slices.Contains(p.Expected, "array") {
			continue
		}
		parent, name := SplitPointer(p.Field)
		holder, _ := memberAt(root, parent)
		text, ok := holder[name].(string)
		if !ok || p.Keyword != "type" {
			continue
		}
		_, problem := ReadText(text)
		if problem == "" {
			problem = "is JSON of another type"
		}
		p.Message += "; JSON text is taken too, but this text " + problem
	}
}

// ReadText returns the JSON in a text, or what is wrong with it, as in "is not JSON".
func ReadText(text string) (Value, string) {
	if !json.Valid([]byte(text)) {
		return nil, "is not JSON" + atByte([]byte(text))
	}
	if flaw := FindFlaw([]byte(text), DefaultMaxDepth); flaw != nil {
		return nil, "has a flaw: at " + cmp.Or(flaw.Pointer, "/") + " " + flaw.Text
	}
	return Value(strings.TrimSpace(text)), ""
}

// atByte says where a text stops being JSON.
func atByte(text []byte) string {
	var v any
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(text, &v)); ok {
		return fmt.Sprintf(" (at byte %d)", e.Offset)
	}
	return ""
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
