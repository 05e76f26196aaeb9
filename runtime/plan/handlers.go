package plan

import (
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// A key among the nodes is the id of a node, unless it is the word by which another language says when its call is made: a handler of
// failures, a branch or a loop. As a node that needs nothing it would run at once.

// handlerWords are the keys that say when something runs, by what to write instead.
var handlerWords = []struct{ names, say string }{
	{"finally catch always on_failure on_fail on_error if_failed error_handler except rescue ensure on_exception on_exit exit_handler on_finish on_complete " +
		"on_completion on_timeout on_cancel on_reject on_rejected on_rejection on_success always_run run_always", sayHandler},
	{"rollback undo revert compensation compensate compensate_with on_rollback", sayUndo},
	{"if unless else otherwise elif elseif else_if switch case cases branch branches when condition conditional", sayBranch},
	{"loop while until for for_each foreach do_while repeat retry", sayLoop},
	{"fallback", sayHandler},
}

// orderedWords are keys of the same kind that may be ids as well: what says itself what it comes after is a node.
var orderedWords = []struct{ names, say string }{
	{"cleanup clean_up teardown tear_down", sayHandler},
	{"then next default do", sayOrder},
	{"parallel", sayParallel},
	{"map", sayLoop},
}

// orderFields are the fields of a node that say what it comes after.
var orderFields = strings.Fields("depends_on needs dependencies requires run_after after depends upstream parents dependency waits_for prerequisites previous")

// comesAfter are the ids after which a node comes, as far as they can be read.
func comesAfter(n *document.Tree) (ids []string) {
	for i, name := range n.Names {
		if slices.Contains(orderFields, snake(name)) {
			some, _ := idsIn(&n.Items[i])
			ids = append(ids, some...)
		}
	}
	return ids
}

// keyedNodes are the keys of a map of nodes, or of the entries of a list that have one key, with what stands in them; nil: an entry has none.
func keyedNodes(v *document.Tree) (keys []string, bodies []*document.Tree) {
	for i := range v.Items {
		key, body := "", &v.Items[i]
		switch {
		case v.Kind == '{':
			key = v.Names[i]
		case body.Kind == '{' && len(body.Names) == 1:
			key, body = body.Names[0], &body.Items[0]
		}
		keys, bodies = append(keys, key), append(bodies, body)
	}
	return keys, bodies
}

// handlerKey is the first key among nodes that may say when its call is made, with what to write instead; -1: there is none. What another
// node comes after is a node.
func handlerKey(v *document.Tree) (index int, say string) {
	keys, bodies := keyedNodes(v)
	var awaited []string
	for i, key := range keys {
		body := bodies[i]
		if key == "" || body.Kind != '{' || !isNodeBody(body) {
			continue
		}
		say := wordIn(handlerWords, key)
		if say == "" && len(comesAfter(body)) == 0 {
			say = wordIn(orderedWords, key)
		}
		if say == "" {
			continue
		}
		if awaited == nil {
			awaited = []string{""}
			for _, n := range bodies {
				awaited = append(awaited, comesAfter(n)...)
			}
		}
		if !slices.Contains(awaited, key) {
			return i, say
		}
	}
	return -1, ""
}

func wordIn(rows []struct{ names, say string }, key string) string {
	for _, row := range rows {
		if slices.Contains(strings.Fields(row.names), snake(key)) {
			return row.say
		}
	}
	return ""
}

// handlerAmong refuses a key among nodes that may say when its call is made.
func (d *decoder) handlerAmong(v *document.Tree, at string) bool {
	i, say := handlerKey(v)
	if i < 0 {
		return false
	}
	keys, _ := keyedNodes(v)
	key, where := expr.Shorten(keys[i]), schemas.PointerTo(at, keys[i])
	if v.Kind == '[' {
		where = schemas.PointerTo(schemas.PointerToItem(at, i), keys[i])
	}
	d.out.errorf(codeUnknownField, where, "%s: {…} among nodes may say when its call is made, and a node that needs nothing runs at once: %s. "+
		"A node of this name is written {id: %[1]s, …}", key, say)
	return true
}
