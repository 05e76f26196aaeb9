package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// position is a line and a column, both from 1.
type position struct{ line, col int }

func (p position) String() string { return fmt.Sprintf("%d:%d", p.line, p.col) }

// node is a value of a YAML or JSON file that knows where it stands. Exactly one of fields, items and text counts, as
// kind says.
type node struct {
	kind   nodeKind
	at     position
	fields []field
	items  []*node
	text   string // of a scalar, as it was written
}

type field struct {
	name  string
	at    position
	value *node
}

type nodeKind string

const (
	kindNull   nodeKind = "null"
	kindBool   nodeKind = "a boolean"
	kindNumber nodeKind = "a number"
	kindString nodeKind = "a string"
	kindList   nodeKind = "a list"
	kindObject nodeKind = "an object"
)

// get finds a field of an object.
func (n *node) get(name string) (*node, bool) {
	for _, f := range n.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return nil, false
}

// syntaxError says where a file stops being YAML or JSON.
type syntaxError struct {
	at      position
	message string
}

func (e *syntaxError) Error() string { return e.message }

// parseNodes reads one document: YAML, or JSON with comments and trailing commas. An empty one is an empty object.
func parseNodes(data []byte, json bool) (*node, error) {
	data = []byte(strings.TrimPrefix(string(data), "\ufeff"))
	if json {
		blankComments(data)
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		if located, ok := errors.AsType[yaml.Error](err); ok && located.GetToken() != nil {
			return nil, &syntaxError{at(located.GetToken()), located.GetMessage()}
		}
		return nil, &syntaxError{position{1, 1}, "not readable as YAML or JSON"}
	}
	root := &node{kind: kindObject, at: position{1, 1}}
	r := reader{anchors: map[string]*node{}}
	documents := 0
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if documents++; documents > 1 {
			return nil, &syntaxError{at(doc.Body.GetToken()), "a second document; one file holds one"}
		}
		if root, err = r.read(doc.Body); err != nil {
			return nil, err
		}
	}
	if root.kind == kindNull {
		root.kind = kindObject
	}
	return root, nil
}

func at(t *token.Token) position { return position{t.Position.Line, max(1, t.Position.Column)} }

// reader turns the library's tree into nodes. An alias shares the node of its anchor.
type reader struct{ anchors map[string]*node }

func (r *reader) read(n ast.Node) (*node, error) {
	out := &node{at: at(n.GetToken())}
	scalar := func(k nodeKind, text string) (*node, error) {
		out.kind, out.text = k, text
		return out, nil
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return scalar(kindNull, "")
	case *ast.BoolNode:
		return scalar(kindBool, n.Token.Value)
	case *ast.IntegerNode:
		return scalar(kindNumber, n.Token.Value)
	case *ast.FloatNode:
		return scalar(kindNumber, n.Token.Value)
	case *ast.StringNode:
		return scalar(kindString, n.Value)
	case *ast.LiteralNode:
		return scalar(kindString, n.Value.Value)
	case *ast.TagNode:
		return r.read(n.Value)
	case *ast.SequenceNode:
		out.kind = kindList
		for _, v := range n.Values {
			item, err := r.read(v)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, item)
		}
		return out, nil
	case *ast.MappingNode:
		out.kind = kindObject
		return out, r.fields(out, n.Values)
	case *ast.MappingValueNode:
		out.kind = kindObject
		return out, r.fields(out, []*ast.MappingValueNode{n})
	case *ast.AnchorNode:
		value, err := r.read(n.Value)
		if err == nil {
			r.anchors[n.Name.GetToken().Value] = value
		}
		return value, err
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if value, ok := r.anchors[name]; ok {
			return value, nil
		}
		return nil, &syntaxError{out.at, fmt.Sprintf("alias *%s has no anchor &%s above it", name, name)}
	}
	return nil, &syntaxError{out.at, "not supported in a configuration file"}
}

// fields reads the entries of an object; those of a merge key (<<) give way to the object's own.
func (r *reader) fields(out *node, entries []*ast.MappingValueNode) error {
	var merged []*node
	for _, entry := range entries {
		value, err := r.read(entry.Value)
		if err != nil {
			return err
		}
		if entry.Key.IsMergeKey() {
			if value.kind == kindList {
				merged = append(merged, value.items...)
			} else {
				merged = append(merged, value)
			}
			continue
		}
		key := entry.Key.GetToken()
		if complexKey, ok := entry.Key.(*ast.MappingKeyNode); ok {
			key = complexKey.Value.GetToken()
		}
		out.fields = append(out.fields, field{key.Value, at(key), value})
	}
	for _, base := range merged {
		for _, f := range base.fields {
			if _, own := out.get(f.name); !own {
				out.fields = append(out.fields, f)
			}
		}
	}
	return nil
}

// blankComments overwrites the // and /* */ comments of a JSON file with spaces, so that positions stay true.
func blankComments(b []byte) {
	const (
		code = iota
		text
		line
		block
	)
	state := code
	for i := 0; i < len(b); i++ {
		next := byte(0)
		if i+1 < len(b) {
			next = b[i+1]
		}
		switch {
		case state == text && b[i] == '\\':
			i++
		case b[i] == '"' && state == code:
			state = text
		case b[i] == '"' && state == text, b[i] == '\n' && state == line:
			state = code
		case state == code && b[i] == '/' && next == '/':
			state, b[i] = line, ' '
		case state == code && b[i] == '/' && next == '*':
			state, b[i], b[i+1] = block, ' ', ' '
			i++
		case state == block && b[i] == '*' && next == '/':
			state, b[i], b[i+1] = code, ' ', ' '
			i++
		case (state == line || state == block) && b[i] != '\n':
			b[i] = ' '
		}
	}
}
