package plan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	yamltoken "github.com/goccy/go-yaml/token"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
)

// maxYAMLNesting bounds the recursion of the YAML parser, before it starts.
const maxYAMLNesting = 500

// fromYAML turns a YAML plan into JSON. Aliases are expanded within the size that a plan may have, so a few lines
// cannot grow into a million.
func (d *decoder) fromYAML(source []byte) (out []byte, ok bool) {
	if yamlNesting(source) > maxYAMLNesting {
		d.out.errorf(codeTooDeep, "", "the plan is nested too deep; at most %d levels are allowed", d.lim.MaxDepth)
		return nil, false
	}
	defer func() {
		if r := recover(); r != nil { // the parser is not ours; whatever trips it is no plan
			d.out.errorf(codeSyntax, "", "not valid YAML")
			out, ok = nil, false
		}
	}()
	file, err := parser.ParseBytes(source, 0)
	if err != nil {
		d.yamlError(err)
		return nil, false
	}
	w := yamlWriter{decoder: d, anchors: map[string]ast.Node{}}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			d.out.errorf(codeSyntax, "", "a plan is one YAML document; there are several, parted by ---")
			return nil, false
		}
		body = doc.Body
	}
	if body == nil {
		d.out.errorf(codeEmptyPlan, "", "the plan is empty")
		return nil, false
	}
	if err := w.write(body, 0); err != nil {
		d.yamlError(err)
		return nil, false
	}
	return w.out, true
}

// yamlNesting is an upper bound of how deep the parser would recurse.
func yamlNesting(source []byte) int {
	depth, deepest := 0, 0
	for _, line := range bytes.Split(source, []byte("\n")) {
		marks := 0
		for i, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			case '-', '?', '!', '&', ':':
				if i+1 == len(line) || line[i+1] == ' ' || c == '!' || c == '&' {
					marks++
				}
			}
			deepest = max(deepest, depth, marks)
		}
	}
	return deepest
}

// yamlFault is an error at a place of the source.
type yamlFault struct {
	code    string
	at      *yamltoken.Token
	message string
}

func (e *yamlFault) Error() string { return e.message }

func (d *decoder) yamlError(err error) {
	code, message := codeSyntax, err.Error()
	var at *yamltoken.Token
	var own *yamlFault
	var syntax *yaml.SyntaxError
	var twice *yaml.DuplicateKeyError
	switch {
	case errors.As(err, &own):
		code, at = own.code, own.at
	case errors.As(err, &twice):
		code, at, message = codeDuplicateKey, twice.Token, twice.Message
	case errors.As(err, &syntax):
		at, message = syntax.Token, "not valid YAML: "+syntax.Message
		if strings.Contains(syntax.Message, "already defined") {
			code = codeDuplicateKey
		}
	default:
		message = "not valid YAML: " + expr.OneLine(message)
	}
	if at != nil && at.Position != nil {
		message = fmt.Sprintf("line %d, column %d: %s", at.Position.Line, at.Position.Column, message)
	}
	d.out.errorf(code, "", "%s", message)
}

// yamlWriter writes a YAML tree as JSON.
type yamlWriter struct {
	*decoder
	out     []byte
	anchors map[string]ast.Node
	open    []string // aliases that are being expanded
}

func (w *yamlWriter) write(n ast.Node, depth int) error {
	if depth > w.lim.MaxDepth {
		return &yamlFault{codeTooDeep, n.GetToken(), fmt.Sprintf("the plan is nested too deep; at most %d levels are allowed", w.lim.MaxDepth)}
	}
	if len(w.out) > w.lim.MaxBytes {
		return &yamlFault{codeTooLarge, n.GetToken(), fmt.Sprintf("the plan grows beyond %d bytes once its aliases are expanded", w.lim.MaxBytes)}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return w.mapping(n.Values, depth)
	case *ast.MappingValueNode:
		return w.mapping([]*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		w.out = append(w.out, '[')
		for i, item := range n.Values {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			if err := w.write(item, depth+1); err != nil {
				return err
			}
		}
		w.out = append(w.out, ']')
	case *ast.AnchorNode:
		w.anchors[n.Name.GetToken().Value] = n.Value
		return w.write(n.Value, depth)
	case *ast.AliasNode:
		return w.alias(n, depth)
	case *ast.TagNode:
		return w.write(n.Value, depth)
	case *ast.StringNode:
		w.out = document.AppendQuoted(w.out, n.Value)
	case *ast.LiteralNode:
		w.out = document.AppendQuoted(w.out, n.Value.Value)
	case *ast.BoolNode:
		w.out = strconv.AppendBool(w.out, n.Value)
	case *ast.NullNode:
		w.out = append(w.out, "null"...)
	case *ast.IntegerNode:
		w.out = append(w.out, fmt.Sprint(n.Value)...)
	case *ast.FloatNode:
		return w.float(n)
	case nil:
		w.out = append(w.out, "null"...)
	default:
		return &yamlFault{codeSyntax, n.GetToken(), fmt.Sprintf("a plan cannot hold a YAML %s", n.Type())}
	}
	return nil
}

func (w *yamlWriter) float(n *ast.FloatNode) error {
	text := n.GetToken().Value
	if t, err := document.Parse(text); err == nil && t.Kind == '0' {
		w.out = append(w.out, text...)
		return nil
	}
	if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
		return &yamlFault{codeSyntax, n.GetToken(), "a plan cannot hold a number that is not finite"}
	}
	w.out = strconv.AppendFloat(w.out, n.Value, 'g', -1, 64)
	return nil
}

func (w *yamlWriter) alias(n *ast.AliasNode, depth int) error {
	name := n.Value.GetToken().Value
	target, ok := w.anchors[name]
	if !ok {
		return &yamlFault{codeSyntax, n.GetToken(), fmt.Sprintf("the alias *%s has no anchor &%s before it", name, name)}
	}
	for _, open := range w.open {
		if open == name {
			return &yamlFault{codeSyntax, n.GetToken(), fmt.Sprintf("the alias *%s stands inside its own anchor", name)}
		}
	}
	w.open = append(w.open, name)
	err := w.write(target, depth)
	w.open = w.open[:len(w.open)-1]
	return err
}

// mapping writes an object. A merge key (<<) adds what the object does not have itself.
func (w *yamlWriter) mapping(values []*ast.MappingValueNode, depth int) error {
	own := make(map[string]bool, len(values))
	for _, v := range values {
		if !isMerge(v) {
			own[yamlKey(v)] = true
		}
	}
	w.out = append(w.out, '{')
	first := true
	if err := w.entries(values, own, map[string]bool{}, &first, depth); err != nil {
		return err
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *yamlWriter) entries(values []*ast.MappingValueNode, own, merged map[string]bool, first *bool, depth int) error {
	if depth > w.lim.MaxDepth {
		return &yamlFault{codeTooDeep, nil, "the plan is nested too deep"}
	}
	for _, v := range values {
		if isMerge(v) {
			if err := w.merge(v.Value, own, merged, first, depth+1); err != nil {
				return err
			}
			continue
		}
		key := yamlKey(v)
		if merged != nil && merged[key] {
			continue
		}
		if merged != nil && !own[key] {
			merged[key] = true
		}
		if !*first {
			w.out = append(w.out, ',')
		}
		*first = false
		w.out = append(document.AppendQuoted(w.out, key), ':')
		if err := w.write(v.Value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// merge writes the entries of the objects behind <<, except those that the object has.
func (w *yamlWriter) merge(n ast.Node, own, merged map[string]bool, first *bool, depth int) error {
	switch n := n.(type) {
	case *ast.AliasNode:
		target, ok := w.anchors[n.Value.GetToken().Value]
		if !ok || depth > w.lim.MaxDepth {
			return &yamlFault{codeSyntax, n.GetToken(), "the alias behind << has no anchor before it"}
		}
		return w.merge(target, own, merged, first, depth+1)
	case *ast.SequenceNode:
		for _, item := range n.Values {
			if err := w.merge(item, own, merged, first, depth+1); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingNode:
		return w.mergeValues(n.Values, own, merged, first, depth)
	case *ast.MappingValueNode:
		return w.mergeValues([]*ast.MappingValueNode{n}, own, merged, first, depth)
	}
	return &yamlFault{codeSyntax, n.GetToken(), "<< takes an object or a list of objects"}
}

func (w *yamlWriter) mergeValues(values []*ast.MappingValueNode, own, merged map[string]bool, first *bool, depth int) error {
	var kept []*ast.MappingValueNode
	for _, v := range values {
		if isMerge(v) || !own[yamlKey(v)] {
			kept = append(kept, v)
		}
	}
	return w.entries(kept, own, merged, first, depth)
}

func isMerge(v *ast.MappingValueNode) bool {
	_, ok := v.Key.(*ast.MergeKeyNode)
	return ok
}

// yamlKey is the text of a key; keys that are numbers or booleans keep their spelling.
func yamlKey(v *ast.MappingValueNode) string {
	var key ast.Node = v.Key
	if k, ok := key.(*ast.MappingKeyNode); ok {
		key = k.Value
	}
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value
	case *ast.LiteralNode:
		return k.Value.Value
	}
	return key.GetToken().Value
}
