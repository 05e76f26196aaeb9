package expr

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/runplane/runplane/schemas"
)

// constantChecks say what is wrong with a text that a function is always given as it is written; text is the argument at the row's place.
var constantChecks = map[string]struct {
	argument int // without the one that the function is called on
	check    func(text string) error
}{
	matchesFunction:    {0, checkPattern},
	extractFunction:    {1, checkPattern},
	extractAllFunction: {1, checkPattern},
	replaceFunction:    {1, checkPattern},
	"format":           {0, checkLayout}, // the text is the layout of a time; that of a text is a list
	"duration":         {0, func(text string) error { return asError(readDuration(types.String(text))) }},
	"timestamp":        {0, func(text string) error { return asError(readTime(types.String(text))) }},
}

func checkPattern(text string) error {
	_, err := schemas.CompilePattern(text)
	return err
}

func asError(v any) error {
	if failed, ok := v.(*types.Err); ok {
		return failed.Unwrap()
	}
	return nil
}

// constant checks the constant argument of a call.
func (w *walker) constant(e ast.Expr, name string, args []ast.Expr) {
	row, ok := constantChecks[name]
	if !ok || len(args) <= row.argument || args[row.argument].Kind() != ast.LiteralKind {
		return
	}
	text, ok := args[row.argument].AsLiteral().(types.String)
	if !ok {
		return
	}
	if err := row.check(string(text)); err != nil {
		w.fault(e, CodeSyntax, nil, "%s(): %v", name, err)
	}
}
