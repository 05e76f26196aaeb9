package document

import (
	"bytes"
	"context"
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Limits of a YAML text. The parser is recursive, the time it takes grows with the square of the keys of a mapping, and the lexer copies a
// literal text once for each empty line at its end. So a text is looked at before.
const (
	maxYAMLNesting = 500      // levels of recursion of the parser
	maxYAMLKeys    = 5000     // keys of one mapping
	maxYAMLParts   = 15_000   // keys, items of lists and values in brackets
	maxYAMLBlank   = 16 << 20 // bytes of the text, times the most empty lines in a row
)

// boundLines refuses a text that would take the lexer too long.
func boundLines(source []byte) error {
	most, blank := 0, 0
	for _, c := range source {
		switch c {
		case '\n', '\r':
			blank++
			most = max(most, blank)
		case ' ', '\t':
		default:
			blank = 0
		}
	}
	if limit := maxYAMLBlank / max(1, len(source)); most > limit {
		return &Error{Kind: TooLarge, Message: fmt.Sprintf("too large for YAML: %d empty lines in a row (limit %d in a text of %d bytes); "+
			"write it as JSON", most, limit, len(source))}
	}
	return nil
}

// readTokens returns the tokens of a text, unless it would take the parser too long. The first look counts also what is inside of quotes
// and literal texts; where that is too much the tokens say what are keys and items.
func readTokens(source []byte, o Options) (token.Tokens, error) {
	many := tooMany(source, o)
	if many != nil && !bytes.ContainsAny(source, `|>"'`) {
		return nil, many
	}
	tokens := lexer.Tokenize(string(source))
	if many != nil {
		if many = tooMany(outline(tokens), o); many != nil {
			return nil, many
		}
	}
	return tokens, nil
}

// tooMany returns an error for what would take the parser too long; nil: nothing would.
func tooMany(source []byte, o Options) *Error {
	if yamlNesting(source) > maxYAMLNesting {
		return tooDeep(nil, o)
	}
	keys, parts := yamlParts(source)
	switch {
	case keys > maxYAMLKeys:
		return &Error{Kind: TooLarge, Message: fmt.Sprintf("too large for YAML: about %d keys in one object (limit %d); write it as JSON", keys,
			maxYAMLKeys)}
	case parts > maxYAMLParts:
		return &Error{Kind: TooLarge, Message: fmt.Sprintf("too large for YAML: about %d keys and items (limit %d); write it as JSON", parts,
			maxYAMLParts)}
	}
	return nil
}

// outline returns a text of the same structure in which each scalar is one letter.
func outline(tokens token.Tokens) []byte {
	var out []byte
	line := 1
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line > line { // the lines between belong to a scalar, or are empty
			line = t.Position.Line
			out = append(out, '\n')
			out = append(out, bytes.Repeat([]byte{' '}, max(0, t.Position.Column-1))...)
		}
		switch t.Type {
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.CollectEntryType, token.SequenceStartType,
			token.SequenceEndType, token.MappingStartType, token.MappingEndType, token.AnchorType, token.AliasType, token.TagType:
			out = append(out, t.Value[:min(1, len(t.Value))]...)
		case token.CommentType, token.LiteralType, token.FoldedType, token.SpaceType:
			continue
		default:
			out = append(out, 'x')
		}
		out = append(out, ' ')
	}
	return out
}

// yamlParts estimates how many keys the largest block mapping has, and how many keys and items the text has. It does not know quotes, so
// it may count too many.
func yamlParts(source []byte) (keys, parts int) {
	var open []int // the indents of the mappings around a line, with how many keys each has
	var counts []int
	brackets := 0
	for line := range bytes.SplitSeq(source, []byte("\n")) {
		text := bytes.TrimLeft(line, " ")
		indent := len(line) - len(text)
		outside := brackets == 0
		for i, c := range text {
			switch c {
			case '[', '{':
				brackets++
			case ']', '}':
				brackets = max(0, brackets-1)
			case ',':
				if brackets > 0 {
					parts++
				}
			case '-', '?', ':':
				if i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t' || text[i+1] == '\r' {
					parts++
				}
			}
		}
		if len(text) == 0 || text[0] == '#' || !outside {
			continue
		}
		for text[0] == '-' && len(text) > 1 && text[1] == ' ' { // the mapping of an item begins after the dash
			rest := bytes.TrimLeft(text[1:], " ")
			if len(rest) == 0 {
				break
			}
			open, counts = leave(open, counts, indent)
			indent += len(text) - len(rest)
			text = rest
		}
		open, counts = leave(open, counts, indent)
		if len(open) == 0 || open[len(open)-1] < indent {
			open, counts = append(open, indent), append(counts, 0)
		}
		counts[len(counts)-1]++
		keys = max(keys, counts[len(counts)-1])
	}
	return keys, parts
}

// leave forgets the mappings that are indented further.
func leave(open, counts []int, indent int) ([]int, []int) {
	for len(open) > 0 && open[len(open)-1] > indent {
		open, counts = open[:len(open)-1], counts[:len(counts)-1]
	}
	return open, counts
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

// interrupted is the error of a text that was not read to its end.
func interrupted(ctx context.Context) *Error {
	return &Error{Kind: Interrupted, Message: "not read to its end: " + context.Cause(ctx).Error()}
}

// maxSteps is how many nodes and keys are looked at. What is written is limited by the size of the document; but a merge key (<<) may name
// objects again and again that add nothing.
const maxSteps = 2_000_000

// step counts what is looked at, with the bytes that are compared.
func (w *yamlWriter) step(n ast.Node, bytes int) error {
	before := w.steps
	if w.steps += 1 + bytes/16; w.steps > maxSteps {
		return yamlError(TooLarge, n, "too much to read once its aliases and merge keys (<<) are followed: more than %d steps", maxSteps)
	}
	if w.steps>>12 != before>>12 && w.ctx.Err() != nil {
		return interrupted(w.ctx)
	}
	return nil
}
