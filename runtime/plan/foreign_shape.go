package plan

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// The turns of fields that give a plan its shape: ids, order, kinds.

// refID is the id of a node that a text names, perhaps as other languages refer to it: "nodes.a", "${nodes.a.output}", "{{ steps.a }}".
func refID(text string) string {
	text = strings.TrimSpace(text)
	for _, braces := range [][2]string{{"${{", "}}"}, {"{{", "}}"}, {"${", "}"}, {"$(", ")"}} {
		if inner, ok := strings.CutPrefix(text, braces[0]); ok && strings.HasSuffix(inner, braces[1]) {
			text = strings.TrimSpace(strings.TrimSuffix(inner, braces[1]))
			break
		}
	}
	text = strings.TrimPrefix(text, "$.")
	root, rest, ok := strings.Cut(text, ".")
	if !ok || foreignRoots[root] != rootNodes && root != "nodes" {
		return text
	}
	id, member, more := strings.Cut(rest, ".")
	if more && !slices.Contains(expr.Members, member) && !slices.Contains([]string{"outputs", "result", "outcome"}, member) {
		return text
	}
	return id
}

// idsIn are the ids that a list of dependencies names; ok reports whether it says nothing else.
func idsIn(v *document.Tree) (ids []string, ok bool) {
	switch v.Kind {
	case '"':
		for part := range strings.FieldsFuncSeq(v.Text(), func(r rune) bool { return r == ',' || r == ';' }) {
			id := refID(part)
			if strings.ContainsAny(id, "&|()!<>= ") {
				return nil, false
			}
			ids = append(ids, id)
		}
		return ids, true
	case '[':
		for i := range v.Items {
			item := &v.Items[i]
			if item.Kind == '{' && len(item.Names) == 1 && slices.Contains([]string{"id", "node", "node_id", "name", "task", "step", "job", "ref"}, item.Names[0]) {
				item = &item.Items[0]
			}
			if item.Kind != '"' {
				return nil, false
			}
			ids = append(ids, refID(item.Text()))
		}
		return ids, true
	}
	return nil, false
}

const sayDependsOn = "write depends_on: [<id>, …], and trigger_rule for the results that let the node start: " +
	"all_success, none_failed, all_done, one_success, one_failed"

// dependsOn brings the list of dependencies into its form, where it says more than ids.
func (d *decoder) dependsOn(v *document.Tree, at string) {
	if v.Kind == '"' && v.Text() == refID(v.Text()) && !strings.ContainsAny(v.Text(), ",;&|() ") {
		return // a single id
	}
	ids, ok := idsIn(v)
	if !ok {
		if v.Kind != 'n' && (v.Kind != '[' || len(v.Items) > 0) {
			d.wrong(v, at, "a list of ids").Message += "; " + sayDependsOn
			*v = v.As('[', "[]")
		}
		return
	}
	list := document.Tree{Kind: '['}
	same := v.Kind == '[' && len(ids) == len(v.Items)
	for i, id := range ids {
		same = same && v.Items[i].Kind == '"' && v.Items[i].Text() == id
		list.Items = append(list.Items, text(id))
	}
	if same {
		return
	}
	raw := list.AppendTo(nil)
	d.out.warnf(codeAlias, at, "depends_on: %s is taken as %s", expr.Shorten(string(v.AppendTo(nil))), expr.Shorten(string(raw))).Fix =
		[]schemas.PatchOp{opReplace(at, raw)}
	*v = list
}

// order reads what a node comes after: ids, or Azure's map of ids and results.
func order(f *found) bool {
	if f.value.Kind != '{' {
		ids, ok := idsIn(f.value)
		if !ok {
			return f.refused(sayDependsOn)
		}
		if f.has("depends_on") {
			f.becomes("depends_on") // reports both
			return true
		}
		raw, err := json.Marshal(ids)
		return err == nil && f.written("depends_on", string(raw))
	}
	ids := make([]string, len(f.value.Names))
	for i, id := range f.value.Names {
		all := f.value.Items[i]
		if all.Kind == '[' && len(all.Items) == 1 {
			all = all.Items[0]
		}
		if all.Kind != '"' || !slices.Contains([]string{"succeeded", "success"}, strings.ToLower(all.Text())) {
			return f.refused(sayDependsOn)
		}
		ids[i] = document.Quote(id)
	}
	return f.written("depends_on", "["+strings.Join(ids, ",")+"]")
}

// otherID is the id of a node under another name.
func otherID(f *found) bool {
	id := f.object.Get("id")
	switch {
	case f.value.Kind != '"' && f.value.Kind != '0':
		return false
	case id == nil || id.Kind == 'n':
		f.becomes("id")
		return true
	case string(id.AppendTo(nil)) == string(f.value.AppendTo(nil)):
		return f.ignored()
	}
	return false
}

// computed is a value that other languages compute in a step of its own.
func computed(f *found) bool {
	if f.has("set") || f.has("capability") || f.calls() {
		return false
	}
	switch f.value.Kind {
	case '"':
		if !strings.Contains(f.value.Text(), "${") && !strings.Contains(f.value.Text(), "{{") {
			return false
		}
	case '{', '[':
	default:
		return false
	}
	f.becomes("set")
	return true
}

// oneByOne says whether the items of a list run one after another.
func oneByOne(f *found) bool {
	listed := slices.ContainsFunc(f.object.Names, func(name string) bool {
		plain := snake(name)
		return plain == "for_each" || slices.ContainsFunc(f.words[plain], func(m meaning) bool { return m.to == "for_each" })
	})
	return listed && f.is(f.name != "parallel") && f.written("max_parallel", "1")
}

// listOfItems is a list for the items of which a node runs, if the node reads an item: it may be an argument of the call as well.
func listOfItems(f *found) bool {
	if f.value.Kind != '[' && f.value.Kind != '"' {
		return false
	}
	for i, name := range f.object.Names {
		if name == f.name {
			continue
		}
		raw := strings.ToLower(string(f.object.Items[i].AppendTo(nil)))
		if itemRead.MatchString(raw) || slices.Contains([]string{"as", "loop_var", "item_name", "item_var"}, snake(name)) {
			f.becomes("for_each")
			return true
		}
	}
	return false
}

// itemRead is a node that reads the item of a list, in whatever braces, or gives it a name.
var itemRead = regexp.MustCompile(`[{$(]\s*(?:item|it|element|index|each|loop)\b|"item(?:[.\[][^"]*)?"`)

// atOnce is the way in which nodes run here anyway.
func atOnce(f *found) bool {
	return slices.Contains([]string{"parallel", "dag", "graph", "concurrent"}, f.word()) && f.ignored()
}

// enabled is a condition under which a node runs.
func enabled(f *found) bool {
	return f.value.Kind == '"' && strings.Contains(f.value.Text(), "{") && condition(f)
}

// disabled is a condition under which a node does not run.
func disabled(f *found) bool {
	return f.value.Kind == '"' && strings.Contains(f.value.Text(), "{") && unless(f)
}

// intoDefaults moves a setting of all nodes into defaults.
func intoDefaults(f *found) bool {
	return f.value.Kind == '{' && f.inside("defaults", snake(f.name), string(f.value.AppendTo(nil)))
}

// undoing is what undoes a node: a call, with its arguments.
func undoing(f *found) bool {
	if f.value.Kind == '"' && !strings.ContainsAny(f.value.Text(), "./:") { // the id of a node
		return f.refused(sayUndo)
	}
	f.becomes("compensate")
	return true
}

// hasMember reports whether an object, or one in a list, has one of the members.
func hasMember(v *document.Tree, names ...string) bool {
	for _, name := range v.Names {
		if slices.Contains(names, snake(name)) {
			return true
		}
	}
	return v.Kind == '[' && slices.ContainsFunc(v.Items, func(t document.Tree) bool { return t.Kind == '{' && hasMember(&t, names...) })
}

// interruptBefore names the nodes before which a person is asked.
func interruptBefore(f *found) bool {
	ids, ok := idsIn(f.value)
	list := f.object.Get(listOf(f.object))
	if !ok || list == nil || list.Kind != '[' || len(ids) == 0 {
		return false
	}
	fix := []schemas.PatchOp{opRemove(f.where())}
	var nodes []*document.Tree
	for _, id := range ids {
		at := slices.IndexFunc(list.Items, func(t document.Tree) bool {
			return t.Kind == '{' && t.Get("id") != nil && t.Get("id").Kind == '"' && t.Get("id").Text() == id
		})
		if at < 0 {
			return false
		}
		n := &list.Items[at]
		if n.Get("capability") == nil && !(&found{object: n}).calls() || n.Get("safety_level") != nil {
			return false
		}
		nodes = append(nodes, n)
		fix = append(fix, opAdd(schemas.PointerToItem(schemas.PointerTo(f.at, listOf(f.object)), at)+"/safety_level", json.RawMessage(`"review"`)))
	}
	for _, n := range nodes {
		n.Put("safety_level", text(schemas.SafetyReview))
	}
	f.d.out.warnf(codeAlias, f.where(), "%s is taken as safety_level: review of %s", expr.Shorten(f.name), expr.NameList(ids, 10)).Fix = fix
	f.object.Drop(f.name)
	return true
}

// namedCall is a call whose name, and perhaps arguments, stand in an object: {name, arguments}.
func (f *found) namedCall() bool {
	name := f.value.Get("name")
	if name == nil || name.Kind != '"' || f.has("capability") {
		return false
	}
	var given *document.Tree
	for i, member := range f.value.Names {
		switch {
		case member == "name":
		case given == nil && slices.Contains(strings.Fields(argumentNames+" inputs"), snake(member)) && strings.ContainsRune("{\"", rune(f.value.Items[i].Kind)):
			given = &f.value.Items[i]
		case slices.Contains([]string{"kind", "api_version", "type"}, snake(member)):
		default:
			return false
		}
	}
	fix := []schemas.PatchOp{opRemove(f.where()), opAdd(f.at+"/capability", json.RawMessage(name.Raw))}
	if given != nil {
		if f.has("inputs") {
			return false
		}
		fix = append(fix, opAdd(f.at+"/inputs", given.AppendTo(nil)))
	}
	f.d.out.warnf(codeAlias, f.where(), "%s: %s is taken as capability: %s", expr.Shorten(f.name), f.shown(), expr.Shorten(name.Text())).Fix = fix
	called, arguments := *name, document.Tree{}
	if given != nil {
		arguments = *given
	}
	f.object.Drop(f.name)
	f.object.Put("capability", called)
	if given != nil {
		f.object.Put("inputs", arguments)
	}
	return true
}

// argumentsOf are arguments under another name: an object, its text, or a list of names and values.
func argumentsOf(f *found) bool {
	text := f.value.Kind == '"' && strings.HasPrefix(strings.TrimSpace(f.value.Text()), "{") && !strings.HasPrefix(strings.TrimSpace(f.value.Text()), "{{")
	if f.value.Kind != '{' && !text && pairsOf(f.value) == nil {
		return false
	}
	f.becomes("inputs")
	return true
}

// pairsOf is the object that a list of names and values means; nil: it is no such list.
func pairsOf(v *document.Tree) *document.Tree {
	if v.Kind != '[' || len(v.Items) == 0 {
		return nil
	}
	all := &document.Tree{Kind: '{'}
	for i := range v.Items {
		item := &v.Items[i]
		name, value := item.Get("name"), item.Get("value")
		if name == nil {
			name = item.Get("key")
		}
		if item.Kind != '{' || len(item.Names) != 2 || name == nil || value == nil || name.Kind != '"' || all.Get(name.Text()) != nil {
			return nil
		}
		all.Put(name.Text(), *value)
	}
	return all
}

// keyed takes the key of an object for the id of the node in it, or for the capability that it calls.
func (d *decoder) keyed(v *document.Tree, at string) {
	if len(v.Names) == 1 && v.Items[0].Kind == '{' && isNodeBody(&v.Items[0]) {
		id, i := v.Names[0], lastIndex(at)
		parent, _ := schemas.SplitPointer(at)
		next := schemas.PointerToItem(parent, i+1)
		inner := v.Items[0]
		fix := []schemas.PatchOp{opMove(schemas.PointerTo(at, id), at), opRemove(next)}
		if inner.Get("id") == nil {
			fix = append(fix, opAdd(at+"/id", json.RawMessage(document.Quote(id))))
			inner.Put("id", text(id))
		}
		d.out.warnf(codeAlias, at, "a node has its id as a field: {id: %s, …}", expr.Shorten(id)).Fix = fix
		*v = inner
		return
	}
	if called := v.Get("capability"); called != nil && called.Kind == '"' && !strings.ContainsAny(called.Text(), "./:") {
		for i, name := range v.Names {
			if realm := &v.Items[i]; slices.Contains(realmNames, snake(name)) && realm.Kind == '"' {
				whole := realm.Text() + "." + called.Text()
				d.out.warnf(codeAlias, schemas.PointerTo(at, name), "%s and capability are taken as capability: %s", expr.Shorten(name), expr.Shorten(whole)).Fix =
					[]schemas.PatchOp{opRemove(schemas.PointerTo(at, name)), opReplaceText(at+"/capability", whole)}
				*called = called.As('"', document.Quote(whole))
				v.Drop(name)
				break
			}
		}
	}
	if v.Get("capability") != nil || len(v.Names) == 0 {
		return
	}
	found := -1
	for i, name := range v.Names {
		realm, tool, ok := strings.Cut(name, ".")
		if !ok || realm == "" || tool == "" || v.Items[i].Kind != '{' || strings.ContainsAny(name, " $") {
			continue
		}
		if found >= 0 {
			return
		}
		found = i
	}
	if found < 0 || v.Get("inputs") != nil {
		return
	}
	name := v.Names[found]
	d.out.warnf(codeAlias, schemas.PointerTo(at, name), "%s: {…} is taken as capability: %[1]s and inputs: {…}", expr.Shorten(name)).Fix =
		[]schemas.PatchOp{opMove(schemas.PointerTo(at, name), at+"/inputs"), opAdd(at+"/capability", json.RawMessage(document.Quote(name)))}
	v.Names[found] = "inputs"
	v.Put("capability", text(name))
}

// isNodeBody reports whether an object says what a node does.
func isNodeBody(v *document.Tree) bool {
	return slices.ContainsFunc(v.Names, func(name string) bool {
		return slices.Contains(kindNames, name) || isCallName(name) && v.Get(name).Kind == '"'
	})
}

func lastIndex(at string) int {
	_, last := schemas.SplitPointer(at)
	i, err := strconv.Atoi(last)
	if err != nil {
		panic(fmt.Sprintf("plan: %s is no item", at))
	}
	return i
}
