package expr

import (
	"encoding/json"
	"errors"
	"sync/atomic"

	"github.com/runplane/runplane/schemas"
)

// scope is a fixed Scope for tests.
type scope struct {
	inputs, session, execution *Value
	nodes                      map[string]NodeValue
	item, output, state        *Value
	previous                   *Value // of a node with repeat
	at                         int
	steps                      atomic.Uint64
}

func (s *scope) Inputs() *Value    { return s.inputs }
func (s *scope) Session() *Value   { return s.session }
func (s *scope) Execution() *Value { return s.execution }
func (s *scope) Item() (*Value, int, error) {
	return s.item, s.at, nil
}
func (s *scope) Round() (int, bool)        { return s.at, s.previous != nil }
func (s *scope) Previous() (*Value, error) { return s.previous, nil }
func (s *scope) Output() *Value            { return s.output }
func (s *scope) State() *Value             { return s.state }
func (s *scope) Spent(n uint64)            { s.steps.Add(n) }

func (s *scope) Node(id string) (NodeValue, error) {
	n, ok := s.nodes[id]
	if !ok {
		return NodeValue{}, errors.New("the scope was asked for a node that nothing names: " + id)
	}
	return n, nil
}

func sampleScope() *scope {
	value := func(s string) *Value { return NewValue(json.RawMessage(s)) }
	return &scope{
		inputs:    value(`{"order_id":"A-17","n":3,"big":9007199254740993,"huge":123456789012345678901234567890,"ratio":0.5,"quote":"say \"hi\"\n","list":[1,2,3],"with-dash":1,"empty":{}}`),
		session:   value(`{"data":{"user":"ada"}}`),
		execution: value(`{"id":"ex1","name":"refund","created_at":"2030-01-31T09:00:00Z"}`),
		nodes: map[string]NodeValue{
			"a": {Status: schemas.NodeSucceeded, Output: value(`{"n": 5, "total": 7.25, "text": "${inputs.order_id}", "items": [{"sku":"x","n":1},{"sku":"y","n":2}], "nothing": null}`), Text: "plain \"text\""},
			"b": {Status: schemas.NodeSkipped},
			"c": {Status: schemas.NodeFailed, Error: schemas.Errorf(schemas.CodeToolError, "it broke"), Degraded: true},
		},
	}
}
