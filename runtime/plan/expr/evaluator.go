package expr

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
)

// Evaluator is the expression language of ${…}. Plain paths never reach it. Its methods are safe for concurrent use and
// cache what they compiled, by text.
type Evaluator interface {
	// Check compiles an expression and returns what it reads, or everything that is wrong with it.
	Check(text string) (Facts, []Fault)
	// Eval evaluates an expression to JSON, and counts in m what that took. Its errors are *schemas.Error with code
	// expression_error or payload_too_large, those of the scope, and ErrInterrupted.
	Eval(ctx context.Context, text string, scope Scope, m *Meter) (json.RawMessage, error)
	// Path reads text as a plain path.
	Path(text string) (p Path, ok bool)
	// Named returns the evaluator of places where the item of for_each and its index have names of their own; empty: item and index.
	Named(item, index string) Evaluator
}

// ErrInterrupted is the error of an evaluation that was ended with its context. It says nothing about the expression: the
// same evaluation gives a result when it is made again.
var ErrInterrupted = errors.New("the evaluation was interrupted")

// Facts are what is known of an expression before it runs.
type Facts struct {
	Reads []Read
	Type  string // JSON Schema type of the result; empty: known only when it runs
	// Double: the result is a number that may have a fraction.
	Double bool
	// Elements are the paths that are read through the variables of macros and through parts of lists. An element of a list has index 0.
	Elements   []Read
	Operations []Operation
	Arguments  []Argument
}

// Read is a constant path that an expression reads, such as nodes.order.output.total.
type Read struct {
	Path Path
	// Guarded: the expression tests it with has(…) or takes it as optional, so it may well be missing.
	Guarded bool
}

// NewEvaluator makes the evaluator of one program, within the limits.
func NewEvaluator(lim Limits) Evaluator {
	return &language{compilations: &compilations{lim: lim.WithDefaults()}}
}

// language is the Evaluator of one program: the shared environment with this program's compiled expressions.
type language struct {
	*compilations
	names names
}

// compilations are the compiled expressions of one program.
type compilations struct {
	lim      Limits
	compiled sync.Map // names.key → *compiledExpression
	checked  atomic.Int64
}
