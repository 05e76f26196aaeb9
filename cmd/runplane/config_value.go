package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// value reads any value, as JSON. What is expanded in its strings stays a string.
func (d *decoder) value(n *node, out *schemas.Value, path string) {
	v := d.plain(n, path)
	if raw, err := json.Marshal(v); err == nil {
		*out = raw
	} else {
		d.fail(n.at, path, "cannot be written as JSON")
	}
}

// plain is a node as encoding/json writes it.
func (d *decoder) plain(n *node, path string) any {
	switch n.kind {
	case kindBool:
		return strings.EqualFold(n.text, "true")
	case kindNumber:
		return number64(n.text)
	case kindString:
		text, _ := d.expanded(n, path)
		return text
	case kindList:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = d.plain(item, path)
		}
		return out
	case kindObject:
		out := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			out[f.name] = d.plain(f.value, join(path, f.name))
		}
		return out
	}
	return nil
}

// number64 is a YAML number: whole ones may be written in other bases, JSON's stand as they are.
func number64(text string) any {
	if json.Valid([]byte(text)) {
		return json.Number(text)
	}
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return f
}
