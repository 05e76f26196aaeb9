package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Limits of a pattern. A pattern is matched in time that grows with the length of the text times the size of the pattern, and
// (x?){500} is as large as 1,500 characters that are written out.
const (
	MaxPattern      = 500  // instructions
	maxPatternBytes = 4096 // as it is written
)

// Pattern is a regular expression (RE2) within the limits. It is safe for concurrent use.
type Pattern struct {
	*regexp.Regexp
	size int
}

// Size is the number of instructions of the pattern, at least 1.
func (p *Pattern) Size() int { return p.size }

// ErrPatternSize is wrapped by the error of a pattern that is larger than the limits.
var ErrPatternSize = errors.New("the pattern is too large")

// CompilePattern compiles a regular expression, wherever it comes from. A pattern that is too large is refused before it is
// compiled.
func CompilePattern(pattern string) (*Pattern, error) {
	if len(pattern) > maxPatternBytes {
		return nil, fmt.Errorf("%w: %d bytes (limit %d)", ErrPatternSize, len(pattern), maxPatternBytes)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, patternError(err)
	}
	size := patternSize(tree)
	if size > MaxPattern {
		return nil, fmt.Errorf("%w: about %d instructions (limit %d)", ErrPatternSize, size, MaxPattern)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, patternError(err)
	}
	return &Pattern{re, max(1, size)}, nil
}

// maxGroups is how deep package syntax lets groups be nested.
const maxGroups = 1000

// patternError says in short why a pattern cannot be compiled.
func patternError(err error) error {
	e, ok := errors.AsType[*syntax.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("the pattern is not valid: %s", Cut(err.Error(), maxFlawText, Ellipsis))
	case e.Code == syntax.ErrNestingDepth:
		return fmt.Errorf("%w: its groups are nested too deep (limit %d)", ErrPatternSize, maxGroups)
	case e.Code == syntax.ErrLarge:
		return fmt.Errorf("%w: it is too large to be compiled (limit %d instructions)", ErrPatternSize, MaxPattern)
	}
	return fmt.Errorf("the pattern is not valid: %s: %s", e.Code, Quote(e.Expr, maxFlawText))
}

// patternSize estimates the instructions of a compiled expression; a class of many ranges counts as several.
func patternSize(re *syntax.Regexp) int {
	size := 1
	switch re.Op {
	case syntax.OpLiteral:
		size = len(re.Rune)
	case syntax.OpCharClass:
		size = 1 + len(re.Rune)/64
	case syntax.OpConcat, syntax.OpRepeat:
		size = 0
	case syntax.OpAlternate:
		size = len(re.Sub)
	case syntax.OpCapture:
		size = 2
	}
	for _, sub := range re.Sub {
		size = min(size+patternSize(sub), 1<<30)
	}
	if re.Op == syntax.OpRepeat {
		times := re.Max
		if times < 0 {
			times = re.Min + 1
		}
		size = min(size*max(1, times), 1<<30)
	}
	return size
}

// LargePatterns counts the patterns of a JSON Schema that are too large to be checked; see [MaxPattern].
func LargePatterns(schema json.RawMessage) int {
	if len(schema) > maxSchemaBytes || !bytes.Contains(schema, []byte(`"pattern`)) {
		return 0
	}
	doc, problem := decodeDocument(schema)
	if problem != "" {
		return 0
	}
	large, total := 0, 0
	count := func(pattern string) {
		p, err := CompilePattern(pattern)
		if err == nil {
			if total += sizeOfLarge(p); total > maxSchemaPatterns && sizeOfLarge(p) > 0 {
				err = ErrPatternSize
			}
		}
		if errors.Is(err, ErrPatternSize) {
			large++
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if pattern, ok := v["pattern"].(string); ok {
				count(pattern)
			}
			if properties, ok := v["patternProperties"].(map[string]any); ok {
				for pattern := range properties {
					count(pattern)
				}
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(doc)
	return large
}
