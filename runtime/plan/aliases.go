package plan

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/plan/expr"
)

// What callers outside know by the names of this package.
type (
	// Template is a JSON value with expressions.
	Template = expr.Template
	// Scope is what expressions of one execution read.
	Scope = expr.Scope
	// Value is a JSON value that is decoded once.
	Value = expr.Value
	// NodeValue is what an expression reads of a node.
	NodeValue = expr.NodeValue
)

// NewValue wraps a JSON value.
func NewValue(raw json.RawMessage) *Value { return expr.NewValue(raw) }
