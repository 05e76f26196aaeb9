package expr

import (
	"cmp"

	"github.com/runplane/runplane/schemas"
)

// Limits bound what an expression and a rendered value may use. A zero field counts as its default.
type Limits struct {
	MaxExpression int    // bytes of one expression; 4,096
	MaxCost       uint64 // of one evaluation, in units of the expression language; 1,000,000
	MaxBound      int    // bytes of one rendered value: a set of arguments, a condition, an output; 1 MiB
	MaxLevels     int    // of nesting in it; schemas.DefaultMaxDepth
	// MaxPassed is how many bytes a rendered value may have together with what plain paths pass on, which is not evaluated; MaxBound.
	MaxPassed int
}

// Evaluated are the limits of what is read and not passed on, such as a condition or a list.
func (l Limits) Evaluated() Limits {
	l.MaxPassed = 0
	return l
}

// Meter counts what the expressions of one rendering take.
type Meter struct {
	Limits        // with their defaults
	Spent  uint64 // steps

	report func(steps uint64) // is passed the steps as they are taken; nil: it is not
}

// expressionsTogether is how many expressions of one rendering may take all the steps that one may take.
const expressionsTogether = 4

// left is how many steps the next expression may take.
func (m *Meter) left() uint64 {
	return min(m.MaxCost, m.MaxCost*expressionsTogether-min(m.MaxCost*expressionsTogether, m.Spent))
}

// exceeded is the error of an expression that took more than it might; dear is the function that would have, if it was one.
func (m *Meter) exceeded(text, dear string, might uint64) *schemas.Error {
	what := ""
	if dear != "" {
		what = ": " + operatorWord(dear) + " would take more than are left for what it is given"
	}
	if might < m.MaxCost {
		return schemas.Errorf(schemas.CodeExpressionError, "the expressions of one value take too many steps together (limit %d), the last one is `%s`%s",
			m.MaxCost*expressionsTogether, Shorten(text), what).WithHint("compute parts of the value in `set` nodes of their own")
	}
	return schemas.Errorf(schemas.CodeExpressionError, "`%s` takes too many steps (limit %d)%s", Shorten(text), m.MaxCost, what).
		WithHint("compute less in one expression: filter first, or let a capability do it")
}

// WithDefaults returns l with the defaults in place of zero fields.
func (l Limits) WithDefaults() Limits {
	return Limits{
		MaxExpression: cmp.Or(l.MaxExpression, 4096),
		MaxCost:       cmp.Or(l.MaxCost, 1_000_000),
		MaxBound:      cmp.Or(l.MaxBound, 1<<20),
		MaxLevels:     cmp.Or(l.MaxLevels, schemas.DefaultMaxDepth),
		MaxPassed:     max(l.MaxPassed, cmp.Or(l.MaxBound, 1<<20)),
	}
}
