package expr

import (
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// compiledExpression is one expression as far as it has been needed: checked, then planned on the first evaluation.
type compiledExpression struct {
	count  sync.Once
	beyond bool // it is more than the expressions of a plan may take to check

	check  sync.Once
	ast    *cel.Ast
	facts  Facts
	faults []Fault

	plan    sync.Once
	program cel.Program
	planErr error
}

func (l *language) expression(text string) *compiledExpression {
	key := l.names.key(text)
	if c, ok := l.compiled.Load(key); ok {
		return c.(*compiledExpression)
	}
	c, _ := l.compiled.LoadOrStore(key, &compiledExpression{})
	return c.(*compiledExpression)
}

// maxCheckWork is what the expressions of a plan may take to check, in units of about 2 µs.
const maxCheckWork = 700_000

// checkWork estimates what an expression takes to check: the parser takes time for each byte, and the checker of types for the third
// power of the depth.
func checkWork(text string) int64 {
	l := lexer{text: text}
	depth, deepest := 0, 0
	for t := l.next(); t.kind != tokenEnd; t = l.next() {
		switch {
		case t.kind != tokenSign:
		case t.text == "(" || t.text == "[" || t.text == "{":
			depth++
			deepest = max(deepest, depth)
		case t.text == ")" || t.text == "]" || t.text == "}":
			depth--
		}
	}
	deepest = min(deepest, 200) // the parser refuses deeper ones
	return int64(2*len(text) + deepest*deepest*deepest/16)
}

// Check parses the text, resolves its names with suggestions, and then lets CEL check the types.
func (l *language) Check(text string) (Facts, []Fault) {
	c := l.expression(text)
	c.count.Do(func() { c.beyond = l.checked.Add(checkWork(text)) > maxCheckWork })
	if c.beyond {
		return Facts{}, []Fault{{Code: CodeTooLarge, Message: "the expressions of the plan are too much to check together; nest them less, or use fewer of them"}}
	}
	c.check.Do(func() { c.checkText(text, l.names) })
	return c.facts, c.faults
}

func (c *compiledExpression) checkText(text string, own names) {
	e := celEnvironment()
	parsed, issues := e.Parse(text)
	if issues.Err() != nil {
		c.faults = syntaxFaults(text, issues)
		return
	}
	w := walker{info: parsed.NativeRep().SourceInfo(), text: text, names: own}
	w.walk(parsed.NativeRep().Expr())
	c.faults = w.faults
	if len(c.faults) == 0 {
		c.faults = w.sameNodes()
	}
	if len(c.faults) > 0 {
		return
	}
	checked, issues := e.Check(parsed)
	if issues.Err() != nil {
		c.faults = syntaxFaults(text, issues)
		return
	}
	c.ast = checked
	c.facts = Facts{Reads: w.finish(), Type: jsonTypeOf(checked.OutputType()), Double: checked.OutputType().Kind() == types.DoubleKind}
	c.facts.Elements, c.facts.Operations, c.facts.Arguments = survey(checked.NativeRep(), &w, c.facts.Reads)
}

// offset finds the byte at a line (from 1) and a column (from 0, in code points).
func offset(text string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	for i := range text[at:] {
		if column == 0 {
			return at + i
		}
		column--
	}
	return len(text)
}

// jsonTypeOf maps a static type to JSON Schema's; dynamic ones are unknown.
func jsonTypeOf(t *cel.Type) string {
	switch t.Kind() {
	case types.BoolKind:
		return "boolean"
	case types.IntKind, types.UintKind:
		return "integer"
	case types.StringKind, types.BytesKind, types.TimestampKind, types.DurationKind:
		return "string"
	case types.ListKind:
		return "array"
	case types.MapKind:
		return "object"
	case types.NullTypeKind:
		return "null"
	}
	return "" // a double may be written as an integer, so it is left open as well
}
