package expr

import (
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"golang.org/x/text/cases"
	textlanguage "golang.org/x/text/language"

	"github.com/runplane/runplane/schemas"
)

// indexOf is CEL's indexOf and lastIndexOf in time that grows with the length of the text alone. Positions count
// characters.
func indexOf(last bool) func([]ref.Val) ref.Val {
	return func(args []ref.Val) ref.Val {
		text, ok1 := args[0].(types.String)
		part, ok2 := args[1].(types.String)
		if !ok1 || !ok2 {
			return types.NewErr("no such overload: indexOf() of %s and %s", args[0].Type().TypeName(), args[1].Type().TypeName())
		}
		from := types.Int(-1)
		if len(args) == 3 {
			var ok bool
			if from, ok = args[2].(types.Int); !ok {
				return types.NewErr("no such overload: the offset of indexOf() is %s", args[2].Type().TypeName())
			}
			if from < 0 {
				return types.NewErr("index out of range: %d", from)
			}
		}
		return types.Int(index(string(text), string(part), int(from), last))
	}
}

// index finds a part of a text; from is the first position, or the last one, where it may begin, and -1 means anywhere.
func index(text, part string, from int, last bool) int {
	count := utf8.RuneCountInString(text)
	switch {
	case part == "" && from < 0:
		if last {
			return count
		}
		return 0
	case part == "":
		return min(from, count)
	case from >= count:
		return -1
	case !last:
		start := byteOf(text, max(0, from))
		at := strings.Index(text[start:], part)
		if at < 0 {
			return -1
		}
		return max(0, from) + utf8.RuneCountInString(text[start:start+at])
	}
	end := len(text)
	if from >= 0 {
		end = min(end, byteOf(text, from)+len(part))
	}
	at := strings.LastIndex(text[:end], part)
	if at < 0 {
		return -1
	}
	return utf8.RuneCountInString(text[:at])
}

// byteOf is the byte at which a character begins.
func byteOf(text string, character int) int {
	for i := range text {
		if character == 0 {
			return i
		}
		character--
	}
	return len(text)
}

// keyFunction returns a key that is computed. A macro puts it into x[key], because the language itself does not count that a long
// key takes long to find.
const keyFunction = "@key"

func computedKeys() []cel.EnvOption {
	options := []cel.EnvOption{cel.Function(keyFunction, cel.Overload("key_of_any", []*cel.Type{cel.TypeParamType("T")}, cel.TypeParamType("T"),
		cel.UnaryBinding(func(v ref.Val) ref.Val { return v })))}
	for _, operator := range []string{operators.Index, operators.OptIndex} {
		options = append(options, cel.Macros(cel.GlobalMacro(operator, 2,
			func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
				if args[1].Kind() == ast.LiteralKind {
					return nil, nil // it stays as it is
				}
				return f.NewCall(operator, args[0], f.NewCall(keyFunction, args[1])), nil
			})))
	}
	return options
}

// caseFunctions are strings.lower and strings.upper, which change all letters; lowerAscii and upperAscii change those of ASCII.
func caseFunctions() []cel.EnvOption {
	change := func(c func() cases.Caser) func([]ref.Val) ref.Val {
		return func(args []ref.Val) ref.Val {
			text, ok := args[0].(types.String)
			if !ok {
				return types.NewErr("no such overload: strings.lower() or strings.upper() of %s", args[0].Type().TypeName())
			}
			return types.String(c().String(string(text)))
		}
	}
	return []cel.EnvOption{
		overload("strings.lower", "strings_lower", cel.StringType,
			change(func() cases.Caser { return cases.Lower(textlanguage.Und) }), cel.StringType),
		overload("strings.upper", "strings_upper", cel.StringType,
			change(func() cases.Caser { return cases.Upper(textlanguage.Und) }), cel.StringType),
	}
}

const matchesFunction = overloads.Matches

// pairsPerStep is how many pairs of a byte and an instruction of a pattern take as long as a step.
const pairsPerStep = 32

func priceMatches(args []ref.Val, _ uint64) uint64 {
	if _, ok := args[1].(types.String); !ok {
		return 1
	}
	return 1 + flat(args[1]) + flat(args[0])*schemas.MaxPattern/pairsPerStep
}

// matches compiles a pattern that is known only now.
func matches(args []ref.Val) ref.Val {
	pattern, ok := args[1].(types.String)
	if !ok {
		return types.NewErr("no such overload: matches() with %s", args[1].Type().TypeName())
	}
	p, err := schemas.CompilePattern(string(pattern))
	if err != nil {
		return types.NewErr("matches(): %v", err)
	}
	return match(p, args[0])
}

func match(p *schemas.Pattern, v ref.Val) ref.Val {
	text, ok := v.(types.String)
	if !ok {
		return types.NewErr("no such overload: matches() of %s", v.Type().TypeName())
	}
	return types.Bool(p.MatchString(string(text)))
}

// compile compiles a constant pattern once, when the program is made.
func (g *guarded) compile(pattern ref.Val) error {
	text, ok := pattern.(types.String)
	if !ok {
		return nil
	}
	if search := searches[g.function]; search != nil {
		f, err := newFinder(string(text))
		if err != nil {
			return err
		}
		g.price = priceOne
		g.metered = func(args []ref.Val, p *payment) ref.Val { return search(f, args, p) }
		return nil
	}
	p, err := schemas.CompilePattern(string(text))
	if err != nil {
		return err
	}
	g.price = func(args []ref.Val, _ uint64) uint64 { return 1 + flat(args[0])*uint64(p.Size())/pairsPerStep }
	g.call = func(args []ref.Val) ref.Val { return match(p, args[0]) }
	return nil
}
