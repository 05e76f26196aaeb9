package plan

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
)

// decidingFields are the fields of a node that order, guard, bound, repeat or undo something, or ask for an approval.
var decidingFields = []string{
	"when", "for_each", "wait", "wait_for", "repeat", "review", "compensate", "on_unknown", "fallback",
}

// decides reports whether what an expression gives could order, guard, bound, repeat, undo or approve something: by itself, or because
// one of those fields reads what becomes of it.
func (c *compiler) decides(s site) bool {
	field, _, _ := strings.Cut(strings.TrimPrefix(s.field, "/"), "/")
	switch {
	case s.node < 0:
		return c.outer != nil && c.outer.feeds(c.holder)
	case slices.Contains(decidingFields, field), field == "inputs" && c.plan.Nodes[s.node].Workflow != nil:
		return true
	}
	return c.feeds(s.node)
}

// mentions are names in a text, with whatever another language puts around them.
var mentions = regexp.MustCompile(`[A-Za-z][\w-]*`)

// feeds reports whether what a node gives may reach a field that decides something. A name that stands anywhere in such a field, or in a
// node that feeds one, counts as read: an expression that is not repaired yet cannot be followed.
func (c *compiler) feeds(node int) bool {
	if c.deciding == nil {
		c.findDeciding()
	}
	return c.deciding[fold(c.plan.Nodes[node].ID)]
}

func (c *compiler) findDeciding() {
	c.deciding = map[string]bool{}
	fields := map[string]map[string]json.RawMessage{}
	for i := range c.plan.Nodes {
		raw, err := json.Marshal(&c.plan.Nodes[i])
		if err != nil {
			continue
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) == nil {
			fields[fold(c.plan.Nodes[i].ID)] = members
		}
	}
	var found []string
	note := func(text string) {
		for _, word := range mentions.FindAllString(text, -1) {
			if id := fold(word); fields[id] != nil && !c.deciding[id] {
				c.deciding[id] = true
				found = append(found, id)
			}
		}
	}
	values := func(raw json.RawMessage) {
		t, err := document.Parse(string(raw))
		if err != nil {
			return
		}
		rewriteStrings(&t, "", func(_, s string) string {
			note(s)
			return s
		})
	}
	for _, members := range fields {
		for _, name := range decidingFields {
			values(members[name])
		}
		if members["workflow"] != nil { // its inputs may decide something in it
			values(members["inputs"])
		}
	}
	if c.outer != nil && c.outer.feeds(c.holder) {
		values(json.RawMessage(c.plan.Output))
	}
	for len(found) > 0 {
		id := found[0]
		found = found[1:]
		for _, name := range []string{"set", "inputs", "workflow"} {
			values(fields[id][name])
		}
	}
}
