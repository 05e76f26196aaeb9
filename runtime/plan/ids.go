package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// identifiers checks the ids. The stages after it use repaired ids, so that a bad id is one finding and not one for each
// reference to it; the fix renames the references as well.
func (c *compiler) identifiers() {
	c.plan.Nodes = slices.Clone(c.plan.Nodes)
	c.ids = make(map[string]int, len(c.plan.Nodes))
	for i := range c.plan.Nodes {
		if id := c.plan.Nodes[i].ID; schemas.NodeID.MatchString(id) {
			if _, taken := c.ids[id]; !taken {
				c.ids[id] = i
			}
		}
	}
	var renamed []rename
	seen := make(map[string]int, len(c.plan.Nodes))
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		at := c.at(i)
		first, again := seen[n.ID]
		switch {
		case n.ID == "":
			n.ID = c.freeID(wordFor(n))
			c.out.errorf(codeMissingID, at, "node %d has no id: other nodes read it by its id; write one, such as id: %s", i, n.ID)
			c.ids[n.ID] = i
		case again:
			old := n.ID
			n.ID = c.freeID(repairID(old))
			c.out.errorf(codeDuplicateID, at+"/id", "the id %q stands twice, at nodes %d and %d: an id is unique. Give one of them another id, "+
				"and name the one that is meant wherever it is read", expr.Shorten(old), first, i)
			c.ids[n.ID] = i
		default:
			seen[n.ID] = i
			if schemas.NodeID.MatchString(n.ID) {
				continue
			}
			r := rename{from: n.ID, to: c.freeID(repairID(n.ID)), finding: len(c.out.list)}
			f := c.out.errorf(codeInvalidID, at+"/id",
				"invalid id %q: an id begins with a lower-case letter, followed by lower-case letters, digits and _, "+
					"at most 63 characters", expr.Shorten(n.ID))
			certain := unicode.IsLetter([]rune(n.ID)[0]) // a number may count from 0 or from 1 where it is read
			if certain {
				f.Fix = []schemas.PatchOp{opReplaceText(at+"/id", r.to)}
			}
			n.ID = r.to
			c.ids[r.to] = i
			if certain && r.finding < len(c.out.list) {
				renamed = append(renamed, r)
			}
		}
	}
	c.folded = make(map[string][]string, len(c.ids))
	for id := range c.ids {
		c.folded[fold(id)] = append(c.folded[fold(id)], id)
	}
	if len(renamed) > 0 {
		c.renameReferences(renamed)
	}
}

type rename struct {
	from, to string
	finding  int // index of the finding that carries the fix
}

// freeID returns the word, or the word with the first number that makes it unused.
func (c *compiler) freeID(word string) string {
	if _, taken := c.ids[word]; !taken {
		return word
	}
	for n := 2; ; n++ {
		id := fmt.Sprintf("%.50s_%d", word, n)
		if _, taken := c.ids[id]; !taken {
			return id
		}
	}
}

// repairID makes the nearest allowed id of any text.
func repairID(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(snake(text)) {
		switch {
		case 'a' <= r && r <= 'z', r == '_' && b.Len() > 0, '0' <= r && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case '0' <= r && r <= '9':
			b.WriteString("n" + string(r))
		case b.Len() > 0:
			b.WriteByte('_')
		}
		if b.Len() >= 50 {
			break
		}
	}
	if id := strings.TrimRight(b.String(), "_"); id != "" {
		return id
	}
	return "node"
}

// wordFor names a node by what it does.
func wordFor(n *schemas.Node) string {
	_, name, _ := strings.Cut(n.Capability, ".")
	if name != "" {
		return repairID(name)
	}
	for _, kind := range kindsOf(n) {
		return kind
	}
	return "node"
}

// renameReferences follows renamed ids into depends_on and into every expression, and adds each change to the fix of
// the id's finding.
func (c *compiler) renameReferences(renamed []rename) {
	byName := make(map[string]rename, len(renamed))
	for _, r := range renamed {
		byName[r.from] = r
	}
	text := func(at, s string) string {
		if !strings.Contains(s, "${") && !slices.Contains([]string{"when", "happened", "until", "collect", "for_each"}, lastPart(at)) && !strings.HasSuffix(at, "/for_each/items") {
			return s
		}
		for _, r := range renamed {
			if !strings.Contains(s, r.from) {
				continue
			}
			if after := renamedNode(s, r); after != s {
				s = after
				c.addFix(r, c.fixText(at, s, func(string) string { return after }))
			}
		}
		return s
	}
	value := func(at string, raw json.RawMessage) json.RawMessage {
		t, err := document.Parse(string(raw))
		if err != nil || !rewriteStrings(&t, at, text) {
			return raw
		}
		return t.AppendTo(nil)
	}
	object := func(at string, o schemas.Object) schemas.Object { return schemas.Object(value(at, json.RawMessage(o))) }
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		at := c.at(i)
		n.DependsOn = slices.Clone(n.DependsOn)
		for k, id := range n.DependsOn {
			if r, ok := byName[id]; ok {
				n.DependsOn[k] = r.to
				c.addFix(r, opReplaceText(schemas.PointerToItem(at+"/depends_on", k), r.to))
			}
		}
		n.When, n.Wait = text(at+"/when", n.When), text(at+"/wait", n.Wait)
		n.Inputs = object(at+"/inputs", n.Inputs)
		n.Set = schemas.Value(value(at+"/set", json.RawMessage(n.Set)))
		if n.ForEach != nil {
			list := *n.ForEach
			list.Items = schemas.Value(value(at+itemsAt(n), json.RawMessage(list.Items)))
			n.ForEach = &list
		}
		if n.Review != nil {
			r := *n.Review
			r.Question = text(at+questionAt(n), r.Question)
			n.Review = &r
		}
		n.Fallback = slices.Clone(n.Fallback)
		for k := range n.Fallback {
			f, at := &n.Fallback[k], schemas.PointerToItem(at+"/fallback", k)
			f.Inputs = object(at+"/inputs", f.Inputs)
			f.Value = schemas.Value(value(at+"/value", json.RawMessage(f.Value)))
		}
		if n.Repeat != nil {
			r, at := *n.Repeat, at+"/repeat"
			r.Until, r.Every, r.Collect = text(at+"/until", r.Until), text(at+"/every", r.Every), text(at+"/collect", r.Collect)
			n.Repeat = &r
		}
		if n.Compensate != nil {
			u := *n.Compensate
			u.Inputs = object(at+"/compensate/inputs", u.Inputs)
			n.Compensate = &u
		}
		if n.OnUnknown != nil && n.OnUnknown.Verify != nil {
			v, at := *n.OnUnknown.Verify, at+"/on_unknown/verify"
			v.Inputs = object(at+"/inputs", v.Inputs)
			v.Happened = text(at+"/happened", v.Happened)
			v.Output = schemas.Value(value(at+"/output", json.RawMessage(v.Output)))
			n.OnUnknown = &schemas.OnUnknown{Then: n.OnUnknown.Then, Verify: &v}
		}
	}
	c.plan.Output = schemas.Value(value(c.base+"/output", json.RawMessage(c.plan.Output)))
}

// renamedNode renames a node in the expressions of a string: what stands around them is text. A string without ${…} is a condition.
func renamedNode(s string, r rename) string {
	if !strings.Contains(s, "${") {
		return expr.RenameNode(s, r.from, r.to)
	}
	segments, fault := expr.Split(s)
	if fault != nil {
		return s
	}
	var b strings.Builder
	done := 0
	for _, segment := range segments {
		if segment.Expression {
			b.WriteString(s[done:segment.At] + expr.RenameNode(segment.Text, r.from, r.to))
			done = segment.At + len(segment.Text)
		}
	}
	return b.String() + s[done:]
}

func (c *compiler) addFix(r rename, op schemas.PatchOp) {
	f := &c.out.list[r.finding]
	f.Fix = append(f.Fix, op)
}

// rewriteStrings applies edit to every string of a value and reports whether one changed.
func rewriteStrings(t *document.Tree, at string, edit func(at, s string) string) bool {
	changed := false
	switch t.Kind {
	case '{':
		for i := range t.Items {
			changed = rewriteStrings(&t.Items[i], schemas.PointerTo(at, t.Names[i]), edit) || changed
		}
	case '[':
		for i := range t.Items {
			changed = rewriteStrings(&t.Items[i], schemas.PointerToItem(at, i), edit) || changed
		}
	case '"':
		before := t.Text()
		if after := edit(at, before); after != before {
			t.Raw, changed = document.Quote(after), true
		}
	}
	return changed
}
