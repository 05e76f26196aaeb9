package expr

import "cmp"

// Limits bound what an expression and a rendered value may use. A zero field counts as its default.
type Limits struct {
	MaxExpression int    // bytes of one expression; 4,096
	MaxCost       uint64 // of one evaluation, in units of the expression language; 1,000,000
	MaxBound      int    // bytes of one rendered value: a set of arguments, a condition, an output; 1 MiB
}

// Filled are the limits with every zero field at its default.
func (l Limits) Filled() Limits {
	return Limits{
		MaxExpression: cmp.Or(l.MaxExpression, 4096),
		MaxCost:       cmp.Or(l.MaxCost, 1_000_000),
		MaxBound:      cmp.Or(l.MaxBound, 1<<20),
	}
}
