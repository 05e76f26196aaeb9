package document

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// readYAML writes a YAML document as JSON. Aliases are expanded within the size that a document may have, so a few lines
// cannot grow into a million.
func readYAML(ctx context.Context, source []byte, o Options) (w *yamlWriter, err error) {
	if err := boundLines(source); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil { // the parser is not ours; a text on which it panics is not a document
			w, err = nil, &Error{Kind: Syntax, Message: "not valid YAML"}
		}
	}()
	tokens, err := readTokens(source, o)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, parserError(err)
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			return nil, yamlError(Syntax, doc.Body, "several YAML documents, separated by ---; one file holds one")
		}
		body = doc.Body
	}
	if body == nil {
		return nil, &Error{Kind: Empty, Message: "the document is empty"}
	}
	w = &yamlWriter{Options: o, ctx: ctx, anchors: map[string]ast.Node{}}
	return w, w.write(body, 0)
}

// parserError classifies an error of the library.
func parserError(err error) *Error {
	var syntax *yaml.SyntaxError
	var twice *yaml.DuplicateKeyError
	switch {
	case errors.As(err, &twice):
		return &Error{Kind: DuplicateKey, At: tokenPosition(twice.Token), Message: twice.Message, theirs: twice.Message}
	case errors.As(err, &syntax):
		e := &Error{Kind: Syntax, At: tokenPosition(syntax.Token), Message: "not valid YAML: " + syntax.Message, theirs: syntax.Message}
		if strings.Contains(syntax.Message, "already defined") {
			e.Kind = DuplicateKey
		}
		return e
	}
	return &Error{Kind: Syntax, Message: "not valid YAML", theirs: err.Error()}
}

func yamlError(kind Kind, n ast.Node, format string, args ...any) *Error {
	return &Error{Kind: kind, At: nodePosition(n), Message: fmt.Sprintf(format, args...)}
}

func tooDeep(n ast.Node, o Options) *Error {
	return yamlError(TooDeep, n, "nested too deep; at most %d levels are allowed", o.MaxDepth)
}

func notFinite(n ast.Node) *Error {
	return yamlError(Syntax, n, "a number that is not finite has no form in JSON")
}

// nodePosition is where a value begins.
func nodePosition(n ast.Node) Position {
	switch n := n.(type) {
	case nil:
		return Position{}
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return nodePosition(n.Values[0])
		}
	case *ast.MappingValueNode:
		return tokenPosition(keyToken(n))
	case *ast.AnchorNode:
		if n.Value != nil {
			return nodePosition(n.Value)
		}
	}
	return tokenPosition(n.GetToken())
}

func tokenPosition(t *token.Token) Position {
	if t == nil || t.Position == nil {
		return Position{}
	}
	return Position{t.Position.Line, max(1, t.Position.Column)}
}

// yamlWriter writes a YAML tree as JSON.
type yamlWriter struct {
	Options
	ctx     context.Context //nolint:containedctx // lives as long as the call to readYAML
	out     []byte
	anchors map[string]ast.Node
	open    []string // aliases that are being expanded
	steps   int      // nodes and keys that were looked at

	places    []uint32          // of the keys and values, in the order in which they are written
	positions []Position        // by place, from 1 on
	written   map[uint32]string // by place: a scalar whose text is not its JSON
	numbers   map[uint32]string // by place: what a text would be as a number of YAML
}

// mark keeps the position of the next key or value.
func (w *yamlWriter) mark(p Position) {
	w.positions = append(w.positions, p)
	w.places = append(w.places, uint32(len(w.positions))) // limited by the size of a document
}

// write writes a value and marks its position; anchors, aliases and tags have the position of their value.
func (w *yamlWriter) write(n ast.Node, depth int) error {
	if depth > w.MaxDepth {
		return tooDeep(n, w.Options)
	}
	if err := w.step(n, 0); err != nil {
		return err
	}
	if len(w.out) > w.MaxBytes {
		return yamlError(TooLarge, n, "larger than %d bytes once its aliases are expanded", w.MaxBytes)
	}
	switch n := n.(type) {
	case *ast.AnchorNode:
		w.anchors[n.Name.GetToken().Value] = n.Value
		return w.write(n.Value, depth)
	case *ast.AliasNode:
		return w.alias(n, depth)
	case *ast.TagNode:
		return w.write(n.Value, depth)
	}
	w.mark(nodePosition(n))
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
	case *ast.StringNode:
		w.text(n)
	case *ast.LiteralNode:
		w.out = AppendQuoted(w.out, n.Value.Value)
	case *ast.BoolNode:
		w.scalar(n, strconv.FormatBool(n.Value))
	case *ast.NullNode:
		w.scalar(n, "null")
	case *ast.IntegerNode:
		if !w.respelt(n, fmt.Sprint(n.Value)) {
			w.scalar(n, fmt.Sprint(n.Value))
		}
	case *ast.FloatNode:
		return w.float(n)
	case *ast.InfinityNode, *ast.NanNode:
		return notFinite(n)
	case nil:
		w.out = append(w.out, "null"...)
	default:
		return yamlError(Syntax, n, "a YAML %s has no form in JSON", n.Type())
	}
	return nil
}

// plainNumber matches a number as JSON writes it.
var plainNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$`)

// text writes a string. A number without quotes is one for the parser only because it does not fit into 64 bits: it keeps its digits.
func (w *yamlWriter) text(n *ast.StringNode) {
	if n.GetToken().Type == token.StringType && plainNumber.MatchString(n.Value) {
		w.out = append(w.out, n.Value...)
		return
	}
	w.out = AppendQuoted(w.out, n.Value)
}

// scalar writes the JSON of a scalar, and keeps its spelling if that differs.
func (w *yamlWriter) scalar(n ast.Node, text string) {
	w.out = append(w.out, text...)
	if spelt := n.GetToken().Value; spelt != text {
		if w.written == nil {
			w.written = map[uint32]string{}
		}
		w.written[w.places[len(w.places)-1]] = spelt
	}
}

func (w *yamlWriter) float(n *ast.FloatNode) error {
	text := n.GetToken().Value
	if t, err := Parse(text); err == nil && t.Kind == '0' {
		w.out = append(w.out, text...)
		return nil
	}
	if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
		return notFinite(n)
	}
	number := strconv.FormatFloat(n.Value, 'g', -1, 64)
	if !w.respelt(n, number) {
		w.scalar(n, number)
	}
	return nil
}

// respelt writes a number as the text that it is, where YAML would make another number of its digits: 0123 and 0x1F are others, and +49 and
// 1_000 lose a character.
func (w *yamlWriter) respelt(n ast.Node, number string) bool {
	spelt := n.GetToken().Value
	if !w.Loose || spelt == number || plainNumber.MatchString(spelt) || spelt[0] == '.' || spelt[len(spelt)-1] == '.' {
		return false
	}
	w.out = AppendQuoted(w.out, spelt)
	if w.numbers == nil {
		w.numbers = map[uint32]string{}
	}
	w.numbers[w.places[len(w.places)-1]] = number
	return true
}

func (w *yamlWriter) alias(n *ast.AliasNode, depth int) error {
	name := n.Value.GetToken().Value
	target, ok := w.anchors[name]
	if !ok {
		return yamlError(Syntax, n, "the alias *%s has no anchor &%s before it", name, name)
	}
	if slices.Contains(w.open, name) {
		return yamlError(Syntax, n, "the alias *%s is inside its own anchor", name)
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
		if isMerge(v) {
			continue
		}
		key := yamlKey(v)
		if err := w.step(v, len(key)); err != nil {
			return err
		}
		own[key] = true
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
	if depth > w.MaxDepth {
		return tooDeep(nil, w.Options)
	}
	for _, v := range values {
		if isMerge(v) {
			if err := w.merge(v.Value, own, merged, first, depth+1); err != nil {
				return err
			}
			continue
		}
		key := yamlKey(v)
		if err := w.step(v, len(key)); err != nil {
			return err
		}
		if merged[key] {
			continue
		}
		if !own[key] {
			merged[key] = true
		}
		if !*first {
			w.out = append(w.out, ',')
		}
		*first = false
		w.mark(tokenPosition(keyToken(v)))
		w.out = append(AppendQuoted(w.out, key), ':')
		if err := w.write(v.Value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// merge writes the entries of the objects that << names, except those that the object has.
func (w *yamlWriter) merge(n ast.Node, own, merged map[string]bool, first *bool, depth int) error {
	if err := w.step(n, 0); err != nil {
		return err
	}
	switch n := n.(type) {
	case *ast.AliasNode:
		target, ok := w.anchors[n.Value.GetToken().Value]
		if !ok || depth > w.MaxDepth {
			return yamlError(Syntax, n, "the alias after << has no anchor before it")
		}
		return w.merge(target, own, merged, first, depth+1)
	case *ast.AnchorNode:
		w.anchors[n.Name.GetToken().Value] = n.Value
		return w.merge(n.Value, own, merged, first, depth)
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
	return yamlError(Syntax, n, "<< takes an object or a list of objects")
}

func (w *yamlWriter) mergeValues(values []*ast.MappingValueNode, own, merged map[string]bool, first *bool, depth int) error {
	var kept []*ast.MappingValueNode
	for _, v := range values {
		if isMerge(v) {
			kept = append(kept, v)
			continue
		}
		key := yamlKey(v)
		if err := w.step(v, len(key)); err != nil {
			return err
		}
		if !own[key] {
			kept = append(kept, v)
		}
	}
	return w.entries(kept, own, merged, first, depth)
}

func isMerge(v *ast.MappingValueNode) bool {
	_, ok := v.Key.(*ast.MergeKeyNode)
	return ok
}

// keyNode is a key without the ? of a complex one.
func keyNode(v *ast.MappingValueNode) ast.Node {
	if k, ok := v.Key.(*ast.MappingKeyNode); ok {
		return k.Value
	}
	return v.Key
}

func keyToken(v *ast.MappingValueNode) *token.Token { return keyNode(v).GetToken() }

// yamlKey is the text of a key; keys that are numbers or booleans keep their spelling.
func yamlKey(v *ast.MappingValueNode) string {
	switch k := keyNode(v).(type) {
	case *ast.StringNode:
		return k.Value
	case *ast.LiteralNode:
		return k.Value.Value
	default:
		return k.GetToken().Value
	}
}
