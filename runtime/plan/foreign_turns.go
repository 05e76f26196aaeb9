package plan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// off is a switch whose value on makes the field mean nothing when it is not set.
func off(on bool) func(*found) bool {
	return func(f *found) bool { return f.is(!on) && f.ignored() }
}

// flagless is a field that means nothing if it is true.
func flagless(f *found) bool { return f.is(true) && f.ignored() }

func flagNumber(field, value string) func(*found) bool {
	return func(f *found) bool {
		return f.is(true) && f.written(field, value) || f.is(false) && f.written(field, "1")
	}
}

// parallel: true says what is so anyway.
func parallel(f *found) bool {
	if f.is(true) {
		return f.ignored()
	}
	n, ok := f.wholeNumber(1)
	return ok && f.written("max_parallel", strconv.Itoa(n))
}

// parallelBranches is a list of lists of nodes.
func parallelBranches(f *found) bool {
	return f.value.Kind == '[' && len(f.value.Items) > 0 && f.value.Items[0].Kind == '[' && f.refused(sayParallel)
}

// plainNotes is a value that holds no name of ours or of the table: such as notes of an editor.
func plainNotes(f *found) bool {
	if f.decides(f.value) {
		return f.refused("what it holds is not read there: write it as fields of the node or of the plan")
	}
	return f.ignored()
}

// decides reports whether a value has a member that would mean something to a run elsewhere, at any depth.
func (f *found) decides(v *document.Tree) bool {
	if v.Kind == '0' {
		return true // perhaps an order
	}
	for i := range v.Items {
		if i < len(v.Names) {
			if f.meansSomething(snake(v.Names[i])) {
				return true
			}
		}
		if k := v.Items[i].Kind; (k == '{' || k == '[') && f.decides(&v.Items[i]) {
			return true
		}
	}
	return false
}

// ofList moves a name of the item beside for_each into it.
func ofList(member string) func(*found) bool {
	return func(f *found) bool {
		list := f.object.Get("for_each")
		switch {
		case list == nil || list.Kind == 'n' || f.value.Kind != '"':
			return false
		case list.Kind == '{' && looksLikeList(list, f.words):
			return f.inside("for_each", member, f.value.Raw)
		case list.Kind != '[' && list.Kind != '"':
			return false
		}
		whole := `{"items":` + string(list.AppendTo(nil)) + `,` + document.Quote(member) + `:` + f.value.Raw + `}`
		f.d.out.warnf(codeAlias, f.where(), "%s: %s is taken as for_each.%s", expr.Shorten(f.name), f.shown(), member).Fix =
			[]schemas.PatchOp{opRemove(f.where()), opReplace(f.at+"/for_each", json.RawMessage(whole))}
		value := *f.value
		list.Wrap("items")
		list.Put(member, value)
		f.object.Drop(f.name)
		return true
	}
}

// isLast is a next that names no node.
func isLast(f *found) bool {
	return (f.value.Kind == 'n' || f.value.Kind == '"' && slices.Contains(arrowEnds, f.word()) && !f.d.named[f.word()]) && f.ignored()
}

// calledTool is a text that names a capability; with realm or server beside it, of that realm.
func calledTool(f *found) bool {
	if f.value.Kind != '"' {
		if f.value.Kind != '{' {
			return false
		}
		if _, ok := capabilityOf(f.value); ok {
			f.becomes("capability")
			return true
		}
		return f.namedCall()
	}
	if params := f.object.Get("params"); f.value.Text() == "tools/call" && params != nil && params.Kind == '{' { // of MCP
		call := *f
		if call.name, call.value = "params", params; call.namedCall() {
			return f.ignored()
		}
	}
	if strings.ContainsAny(strings.TrimSpace(f.value.Text()), " \n;|") && !strings.Contains(f.value.Text(), "${") {
		return f.refused("a node calls a tool of a realm, by capability: realm.name; it runs no code of its own")
	}
	if strings.Contains(f.value.Text(), "${") {
		return f.refused("a plan names the capability it calls; it cannot be computed")
	}
	for _, realm := range slices.Clone(f.object.Names) {
		r := f.object.Get(realm)
		if r == nil || !slices.Contains(realmNames, snake(realm)) || r.Kind != '"' || f.has("capability") || strings.Contains(f.value.Text(), ".") {
			continue
		}
		name := r.Text() + "." + f.value.Text()
		found := f.d.out.warnf(codeAlias, f.where(), "%s and %s are taken as capability: %s", realm, expr.Shorten(f.name), expr.Shorten(name))
		found.Fix = []schemas.PatchOp{
			opRemove(schemas.PointerTo(f.at, realm)), opRemove(f.where()), opAdd(f.at+"/capability", json.RawMessage(document.Quote(name))),
		}
		f.object.Drop(realm)
		f.object.Drop(f.name)
		f.object.Put("capability", document.Tree{Kind: '"', Raw: document.Quote(name)})
		return true
	}
	if f.kind == "node" && (f.has("set") || f.has("wait") || f.has("wait_for") || f.has("review") || f.has("workflow")) {
		return false
	}
	f.becomes("capability")
	return true
}

// nodeName is the id of a node without one, else its description; a name that is a capability is none.
func nodeName(f *found) bool {
	called := f.value.Kind == '"' && strings.Contains(f.value.Text(), ".") && !strings.Contains(f.value.Text(), " ")
	if called && !f.has("capability") && !f.calls() && slices.ContainsFunc(f.object.Names, func(name string) bool { return isCallWord(name) || name == "inputs" }) {
		f.becomes("capability")
		return true
	}
	if f.has("id") {
		return f.ignored()
	}
	f.becomes("id")
	return true
}

// kindWords are the kinds of other languages, and ours.
var kindWords = func() map[string]string {
	all := map[string]string{}
	for kind, words := range map[string]string{
		"capability": "capability tool task action call function step tool_call tool_use mcp mcp_tool activity job node",
		"set":        "set transform", "wait": "wait delay sleep", "review": "review approval human", "workflow": "workflow", "wait_for": "wait_for event",
	} {
		for _, word := range strings.Fields(words) {
			all[word] = kind
		}
	}
	return all
}()

// kindWord is the kind of a node, which it says by its fields.
func kindWord(f *found) bool {
	word := kindWords[snake(f.word())]
	if word == "" && f.value.Kind == '"' && !f.has("capability") && !f.calls() && strings.Count(f.word(), ".") == 1 && !strings.ContainsAny(f.word(), " $-") {
		f.becomes("capability")
		return true
	}
	for _, branch := range []string{"if", "switch", "condition", "branch", "router", "decision", "choice", "gateway"} {
		if word == "" && slices.Contains(strings.FieldsFunc(snake(f.word()), func(r rune) bool { return r < 'a' || r > 'z' }), branch) {
			return f.refused(sayBranch)
		}
	}
	if word == "" || len(f.object.Names) == 0 {
		return f.refused("a node says what it does by one of " + strings.Join(kindNames, ", "))
	}
	for _, name := range f.object.Names {
		plain := snake(name)
		if name == word || word == "capability" && isCallName(name) || word == "wait" && slices.Contains(durations[plain], "wait") {
			return f.ignored()
		}
	}
	return f.refused("write " + word + ": …")
}

// consent asks for a person's approval: of a call by its safety level, else by a node of its own.
func consent(f *found) bool {
	question := f.value.Kind == '"' && !f.is(true) && !f.is(false) && strings.Contains(strings.TrimSpace(f.value.Text()), " ") &&
		!strings.HasPrefix(strings.TrimSpace(f.value.Text()), "${")
	switch {
	case f.is(false):
		return f.ignored()
	case f.has("capability") || f.calls():
		if f.is(true) {
			return f.written("safety_level", `"review"`)
		}
		return f.refused("a person decides on a call with safety_level: review; a question of your own is a node before it, with review: \"<question>\"")
	case f.has("review"):
		return false
	case question, f.value.Kind == '{' && (f.value.Get("question") != nil || f.value.Get("message") != nil || f.value.Get("prompt") != nil):
		f.becomes("review")
		return true
	case f.is(true):
		return f.written("review", `"May this go on?"`)
	}
	return f.refused("a node asks a person by review: \"<question>\"")
}

// calls reports whether a field of another language names what the node calls.
func (f *found) calls() bool {
	return slices.ContainsFunc(f.object.Names, func(name string) bool {
		return isCallName(name) && strings.ContainsRune("\"{", rune(f.object.Get(name).Kind))
	})
}

// The conditions of other languages that are about the results of the dependencies.
var resultConditions = map[string]schemas.TriggerRule{
	"always()": schemas.AllDone, "always": schemas.AllDone, "failure()": schemas.OneFailed, "failed()": schemas.OneFailed, "on_failure": schemas.OneFailed,
	"all_done": schemas.AllDone, "one_failed": schemas.OneFailed, "one_success": schemas.OneSuccess, "none_failed": schemas.NoneFailed,
	"!cancelled()": schemas.AllDone, "success() || failure()": schemas.AllDone, "on_error": schemas.OneFailed,
}

// conditionText is a condition without the braces around it.
func conditionText(v *document.Tree) string {
	text := strings.TrimSpace(v.Text())
	for _, braces := range [][2]string{{"${{", "}}"}, {"{{", "}}"}, {"${", "}"}} {
		if inner, ok := strings.CutPrefix(text, braces[0]); ok && strings.HasSuffix(inner, braces[1]) {
			return strings.TrimSpace(strings.TrimSuffix(inner, braces[1]))
		}
	}
	return text
}

// condition reads a condition: one on the results of the dependencies is a trigger rule.
func condition(f *found) bool {
	if f.value.Kind == '"' {
		text := strings.ToLower(conditionText(f.value))
		switch rule, ok := resultConditions[text]; {
		case ok:
			return f.written("trigger_rule", document.Quote(string(rule)))
		case text == "success()" || text == "succeeded()" || text == "on_success":
			if rule := f.object.Get("trigger_rule"); rule != nil && (rule.Kind != '"' || rule.Text() != string(schemas.AllSuccess)) {
				return f.refused("which results of the dependencies let the node start is said by trigger_rule alone: all_success is the default")
			}
			return f.ignored()
		case text == "manual":
			return consent(&found{d: f.d, object: f.object, value: &document.Tree{Kind: 't', Raw: "true"}, kind: f.kind, what: f.what, at: f.at, name: f.name})
		}
	}
	if f.name != "when" {
		f.becomes("when")
		return true
	}
	return false
}

// unless is a condition that must not hold.
func unless(f *found) bool {
	switch f.value.Kind {
	case 't', 'f':
		return f.written("when", document.Quote(fmt.Sprintf("${%v}", f.value.Kind == 'f')))
	case '"':
		text := conditionText(f.value)
		if _, ok := resultConditions[strings.ToLower(text)]; ok || strings.Contains(text, "${") {
			break
		}
		return f.written("when", document.Quote("${!("+text+")}"))
	}
	return f.refused("write the opposite as when: \"${!(…)}\"")
}

// repetitions is a number of attempts; first is 1 if it does not count the first one.
func repetitions(first int) func(*found) bool {
	return func(f *found) bool {
		n, ok := f.wholeNumber(1 - first)
		return ok && f.inside("retry", "max_attempts", strconv.Itoa(n+first)) ||
			f.refused("write retry: {max_attempts: 3}, which counts the first attempt")
	}
}

// moreThanFirst is a number of repetitions in a retry.
func moreThanFirst(f *found) bool {
	n, ok := f.wholeNumber(0)
	return ok && f.written("max_attempts", strconv.Itoa(n+1)) || f.refused(sayAttempts)
}

// backoff is a word for how the waits grow.
func backoff(f *found) bool {
	switch {
	case slices.Contains([]string{"fixed", "constant", "none", "flat"}, f.word()):
		return f.written("backoff_coefficient", "1")
	case f.value.Kind == '"':
		if _, err := schemas.ParseDuration(f.value.Text()); err == nil {
			return false
		}
	}
	return f.refused(sayFactor)
}

// version is the version of the language, or of the author's file.
func version(f *found) bool {
	if f.has("plan") {
		return f.ignored()
	}
	return f.written("plan", `"v1"`)
}

// isCallName reports whether a field of another language names what is called.
func isCallName(name string) bool { return slices.Contains(strings.Fields(callNames), snake(name)) }

// isCallWord reports whether a field of another language belongs to a call.
func isCallWord(name string) bool {
	return isCallName(name) || slices.Contains(strings.Fields(argumentNames), snake(name))
}

// isWordOf reports whether one of the rows of a name is for a kind of object.
func isWordOf(rows []meaning, kind string) bool {
	return slices.ContainsFunc(rows, func(m meaning) bool { return m.of != "" && slices.Contains(strings.Fields(m.of), kind) })
}

// meansSomething reports whether a name is a field of ours, or of another language, that could mean something to a run.
func (f *found) meansSomething(name string) bool {
	if slices.Contains([]string{"name", "description", "id", "type", "version"}, name) {
		return false
	}
	rows := f.words[name]
	return len(rows) > 0 && !slices.ContainsFunc(rows, func(m meaning) bool { return m.idle }) ||
		findField(fieldsOf(reflect.TypeFor[schemas.Node]()), name) != nil || findField(fieldsOf(reflect.TypeFor[schemas.Plan]()), name) != nil
}
