package expr

import "cmp"

// Limits bound what an expression and a rendered value may use. A zero field counts as its default.
type Limits struct {
	MaxExpression int    // bytes of one expression; 4,096
	MaxCost       uint64 // of one evaluation, in units of the expression language; 1,000,000
	MaxBound      int    // bytes of one rendered value: a set of arguments, a condition, an output; 1 MiB
}

// Meter counts what the expressions of one rendering take.
type Meter struct {
	Limits        // with their defaults
	Spent  uint64 // steps
}

// WithDefaults returns l with the defaults in place of zero fields.
func (l Limits) WithDefaults() Limits {
	return Limits{
		MaxExpression: cmp.Or(l.MaxExpression, 4096),
		MaxCost:       cmp.Or(l.MaxCost, 1_000_000),
		MaxBound:      cmp.Or(l.MaxBound, 1<<20),
	}
}
