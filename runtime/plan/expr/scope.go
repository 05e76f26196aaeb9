package expr

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Scope is what expressions of one execution read. Methods are called for the roots an expression names and no others.
type Scope interface {
	Inputs() *Value
	Session() *Value
	Execution() *Value
	// Node is a node that the expression's own node depends on; in a compensation also that node itself.
	Node(id string) (NodeValue, error)
	// Item is the current item of for_each and its index; nil outside. It fails when the item cannot be read.
	Item() (item *Value, index int, err error)
	// Round is the number of the round of a node with repeat; ok is false outside.
	Round() (index int, ok bool)
	// Previous is the answer of the round before, null at first; nil outside. It fails when the answer cannot be read.
	Previous() (*Value, error)
	// Output is the answer of a verification, or of a round in repeat; nil outside.
	Output() *Value
	// State is {found, data, version} of the state that is waited for; nil outside.
	State() *Value
	// Spent is called with the steps that expressions take, while they take them: several times for a long one.
	Spent(steps uint64)
}

// NodeValue is what ${nodes.<id>.…} reads.
type NodeValue struct {
	Status   schemas.NodeStatus
	Output   *Value // nil: null
	Text     string // empty: Output as text, a string as it is and anything else as JSON
	Error    *schemas.Error
	Degraded bool
	// Errors returns the list of what failed of the node; nil: nothing did.
	Errors func() (*Value, error)
	// Content returns the content blocks of the tool's answer, for an evaluation or to be passed on as they are; nil: they are Output if Blocks is
	// set, else one text block.
	Content func(evaluated bool) (*Value, error)
	Blocks  bool

	// Long values are loaded when they are read, by an evaluation or to be passed on as they are; nil: Text and Output are complete.
	LongText   func(evaluated bool) (string, error)
	LongOutput func(evaluated bool) (*Value, error)
	LongBytes  int // about how many bytes of memory they take when they are loaded
	// ContentBytes is LongBytes of the blocks alone.
	ContentBytes int
}

// output is what ${nodes.<id>.output} reads.
func (v *NodeValue) output(evaluated bool) (*Value, error) {
	if v.LongOutput != nil {
		return v.LongOutput(evaluated)
	}
	return v.Output, nil
}

// errors is what ${nodes.<id>.errors} reads.
func (v *NodeValue) errors() (*Value, error) {
	if v.Errors == nil {
		return NewValue(json.RawMessage("[]")), nil
	}
	return v.Errors()
}

// Contents is what ${nodes.<id>.content} reads; nil: null.
func (v *NodeValue) Contents(evaluated bool) (*Value, error) {
	switch {
	case v.Content != nil:
		return v.Content(evaluated)
	case v.Blocks:
		return v.output(evaluated)
	case v.Output == nil && v.LongOutput == nil && v.LongText == nil && v.Text == "":
		return nil, nil
	}
	text, err := v.text(evaluated)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, len(text)+len(textBlock)+len(`""}`))
	return NewValue(append(document.AppendQuoted(append(raw, textBlock...), text), `}]`...)), nil
}

// textBlock is how the content begins that is one text.
const textBlock = `[{"type":"text","text":`

// text is what ${nodes.<id>.text} reads.
func (v *NodeValue) text(evaluated bool) (string, error) {
	switch {
	case v.LongText != nil:
		return v.LongText(evaluated)
	case v.Text != "":
		return v.Text, nil
	}
	output, err := v.output(evaluated)
	if err != nil || output == nil {
		return "", err
	}
	raw := output.Raw()
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	return string(raw), nil
}
