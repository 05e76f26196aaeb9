package expr

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Members of a node, in the order in which they are offered.
var Members = []string{"output", "text", "content", "status", "error", "errors", "degraded"}

// appendPath appends the JSON that the path leads to, reading only what it needs of the scope. evaluated: it becomes a part of an expression
// or of a text, which may not read as much as what is passed on. What is appended to nil may share the bytes of the value.
func appendPath(dst []byte, scope Scope, p Path, evaluated bool) ([]byte, error) {
	switch v, ok, err := rootValue(scope, p.Root); {
	case err != nil:
		return nil, err
	case ok:
		return appendInside(dst, v, p, 0, nil)
	}
	switch p.Root {
	case "item", "index":
		item, index, err := itemOf(scope, p)
		switch {
		case err != nil:
			return nil, err
		case p.Root == "item":
			return appendInside(dst, item, p, 0, nil)
		case len(p.Steps) > 0:
			return nil, noSuchStep(p, 0, &document.Tree{Kind: '0'}, nil)
		}
		return strconv.AppendInt(dst, int64(index), 10), nil
	case Secret:
		if name := p.SecretName(); name != "" {
			return document.AppendQuoted(dst, SecretReference(name)), nil
		}
	case "nodes":
		if id := p.NodeID(); id != "" {
			node, err := scope.Node(id)
			if err != nil {
				return nil, err
			}
			return appendNode(dst, &node, p, evaluated)
		}
	}
	return nil, schemas.Errorf(schemas.CodeExpressionError,
		"`%s` cannot be read: expressions read inputs, nodes.<id>, execution and session", p)
}

// itemOf reads item and index: of the list, or index of the rounds.
func itemOf(scope Scope, p Path) (item *Value, index int, err error) {
	if item, index, err = scope.Item(); item != nil || err != nil {
		return item, index, err
	}
	if p.Root == "index" {
		if round, ok := scope.Round(); ok {
			return nil, round, nil
		}
	}
	return nil, 0, notHere(p)
}

// rootValue reads a root that is one value; ok is false for the others.
func rootValue(scope Scope, root string) (v *Value, ok bool, err error) {
	switch root {
	case "inputs":
		return scope.Inputs(), true, nil
	case "session":
		return scope.Session(), true, nil
	case "execution":
		return scope.Execution(), true, nil
	case "previous":
		v, err = scope.Previous()
		return v, true, err
	case "output":
		return scope.Output(), true, nil
	case "state":
		return scope.State(), true, nil
	}
	return nil, false, nil
}

// notHere is the error of item and index outside for_each.
func notHere(p Path) *schemas.Error {
	return schemas.Errorf(schemas.CodeExpressionError, "`%s` cannot be read: there is no item, because the node has no for_each (index is known with repeat too)", p)
}

func appendNode(dst []byte, node *NodeValue, p Path, evaluated bool) ([]byte, error) {
	if len(p.Steps) == 1 {
		return appendWholeNode(dst, node)
	}
	switch member := p.Steps[1].Key; member {
	case "output":
		output, err := node.output(evaluated)
		if err != nil {
			return nil, err
		}
		return appendInside(dst, output, p, 2, node)
	case "text", "status", "degraded":
		if len(p.Steps) > 2 {
			return nil, noSuchStep(p, 2, &document.Tree{Kind: '"'}, node)
		}
		switch member {
		case "text":
			text, err := node.text(evaluated)
			return document.AppendQuoted(dst, text), err
		case "status":
			return document.AppendQuoted(dst, string(node.Status)), nil
		}
		return strconv.AppendBool(dst, node.Degraded), nil
	case "content":
		content, err := node.Contents(evaluated)
		if err != nil {
			return nil, err
		}
		return appendInside(dst, content, p, 2, node)
	case "error":
		return appendInside(dst, errorValue(node.Error), p, 2, node)
	case "errors":
		errors, err := node.errors()
		if err != nil {
			return nil, err
		}
		return appendInside(dst, errors, p, 2, node)
	default:
		object := document.Tree{Kind: '{', Names: Members}
		return nil, noSuchStep(p, 1, &object, node)
	}
}

func errorValue(e *schemas.Error) *Value {
	if e == nil {
		return nil
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil
	}
	return NewValue(raw)
}

func appendWholeNode(dst []byte, node *NodeValue) ([]byte, error) {
	output, err := node.output(true)
	if err != nil {
		return nil, err
	}
	text, err := node.text(true)
	if err != nil {
		return nil, err
	}
	dst = append(dst, `{"output":`...)
	dst = append(dst, rawOf(output)...)
	dst = append(dst, `,"text":`...)
	dst = document.AppendQuoted(dst, text)
	content, err := node.Contents(true)
	if err != nil {
		return nil, err
	}
	dst = append(append(dst, `,"content":`...), rawOf(content)...)
	dst = append(dst, `,"status":`...)
	dst = document.AppendQuoted(dst, string(node.Status))
	dst = append(dst, `,"error":`...)
	dst = append(dst, rawOf(errorValue(node.Error))...)
	errors, err := node.errors()
	if err != nil {
		return nil, err
	}
	dst = append(append(dst, `,"errors":`...), rawOf(errors)...)
	dst = append(dst, `,"degraded":`...)
	dst = strconv.AppendBool(dst, node.Degraded)
	return append(dst, '}'), nil
}

func rawOf(v *Value) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	return v.Raw()
}

// appendInside follows the steps from the given one on inside a value; a nil value is null.
func appendInside(dst []byte, v *Value, p Path, from int, node *NodeValue) ([]byte, error) {
	if from >= len(p.Steps) {
		return appendShared(dst, rawOf(v)), nil
	}
	if v == nil {
		return nil, noSuchStep(p, from, &document.Tree{Kind: 'n'}, node)
	}
	if len(v.raw) > largeValue {
		inside, err := v.inside(p, from)
		return appendShared(dst, inside), err
	}
	at, err := v.parsed()
	if err != nil {
		return nil, schemas.Errorf(schemas.CodeExpressionError, "`%s` cannot be read: the value is %v", p, err)
	}
	for i := from; i < len(p.Steps); i++ {
		next := p.Steps[i].In(at)
		if next == nil {
			return nil, noSuchStep(p, i, at, node)
		}
		at = next
	}
	return append(dst, at.Raw...), nil
}

// In goes one step into a value; nil: there is nothing.
func (s Step) In(t *document.Tree) *document.Tree {
	switch {
	case t == nil:
	case s.Index < 0 && t.Kind == '{':
		return t.Get(s.Key)
	case s.Index >= 0 && t.Kind == '[' && s.Index < len(t.Items):
		return &t.Items[s.Index]
	}
	return nil
}

// noSuchStep says why step i of the path cannot be taken from value at.
func noSuchStep(p Path, i int, at *document.Tree, node *NodeValue) *schemas.Error {
	have := p.UpTo(i).String()
	s := p.Steps[i]
	e := schemas.Errorf(schemas.CodeExpressionError, "`%s` cannot be read: ", p)
	switch {
	case at.Kind == '{' && s.Index < 0:
		keys := at.Keys()
		e.Message += fmt.Sprintf("`%s` has no key %q", have, s.Key)
		if e.Candidates = schemas.Nearest(s.Key, keys, 3); len(e.Candidates) > 0 {
			e.Message += fmt.Sprintf(", did you mean %q?", e.Candidates[0])
		}
		e.Hint = "it has the keys " + NameList(keys, 20)
		if len(keys) == 0 {
			e.Hint = "it is an empty object"
		}
		e.Hint += "; test an optional key with has(…) first"
	case at.Kind == '[' && s.Index >= 0:
		e.Message += fmt.Sprintf("`%s` has %d items, so there is no item %d", have, len(at.Items), s.Index)
		e.Hint = "items count from 0; test with size(…) first"
	case at.Kind == '[':
		e.Message += fmt.Sprintf("`%s` is a list, which has no key %q", have, s.Key)
		e.Hint = fmt.Sprintf("take one item, as in %s[0], or all of them, as in %s.map(x, x.%s)", have, have, s.Key)
	case at.Kind == 'n':
		e.Message += fmt.Sprintf("`%s` is null", have)
		e.Hint = "test it first, as in ${" + have + " != null ? … : …}"
		if node != nil && node.Status != schemas.NodeSucceeded && node.Status != "" {
			e.Message += fmt.Sprintf(" because the node is %s", node.Status)
		}
	default:
		e.Message += fmt.Sprintf("`%s` is %s, which holds nothing inside", have, at.TypeName())
		e.Hint = "end the path there"
		if at.Kind == '"' {
			e.Hint += "; text that is itself JSON is opened with json.decode(…)"
		}
	}
	return e
}
