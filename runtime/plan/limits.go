package plan

import (
	"cmp"
	"time"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// Limits bound what a plan may ask for. A zero field counts as its default, so the zero value is usable.
type Limits struct {
	expr.Limits
	MaxBytes      int              // of a plan as it arrives; 256 KiB
	MaxDepth      int              // levels of nesting in a plan; 64
	MaxNodes      int              // those of plans within the plan too; 1,000
	MaxNesting    int              // definitions within definitions; 4
	MaxItems      int              // of a for_each: the default of its max_items, and the largest; 10,000
	MaxReferences int              // dependencies of all nodes together; 50,000
	MaxDuration   schemas.Duration // longest timeout or wait; 366 days
	MaxFindings   int              // findings reported at once; 100
	Tree          schemas.Budget   // of an execution and all below it: a plan that certainly needs more is refused; zero: not checked
}

// DefaultLimits returns every limit at its default.
func DefaultLimits() Limits { return Limits{}.filled() }

func (l Limits) filled() Limits {
	return Limits{
		Limits:        l.Limits.WithDefaults(),
		MaxBytes:      cmp.Or(l.MaxBytes, 256<<10),
		MaxDepth:      cmp.Or(l.MaxDepth, 64),
		MaxNodes:      cmp.Or(l.MaxNodes, 1000),
		MaxNesting:    cmp.Or(l.MaxNesting, 4),
		MaxItems:      cmp.Or(l.MaxItems, 10_000),
		MaxReferences: cmp.Or(l.MaxReferences, 50_000),
		MaxDuration:   cmp.Or(l.MaxDuration, schemas.Duration(366*24*time.Hour)),
		MaxFindings:   cmp.Or(l.MaxFindings, 100),
		Tree:          l.Tree,
	}
}
