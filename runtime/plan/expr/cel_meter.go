package expr

import (
	"context"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// CEL counts what a call costs after it was made, by the declared types of its arguments, which ours do not have: a call
// that multiplies its arguments would take memory or hours that are never counted. Here each call whose work depends on
// its arguments is guarded: its price is taken from the budget before it is made. What remains for CEL to count are
// steps of constant size.

// evaluation is one evaluation of an expression: it prices the calls, and ends with its context. It is the estimator of the
// tracker that holds what was spent.
type evaluation struct {
	ctx   context.Context //nolint:containedctx // lives as long as the call to Eval
	limit uint64
	calls int
	price uint64    // of the guarded call that is being made
	paid  uint64    // the price that was last paid
	dear  string    // the function whose price was more than what was left
	args  []ref.Val // of the guarded calls that are being made, the innermost last
	few   [8]ref.Val

	reads   int           // bytes of what it reads
	counter *cost.Tracker // of what it has spent
	report  func(uint64)  // is passed what it has spent; nil: it is not
	known   uint64        // what was passed to it
	free    func()        // gives back the memory that it has reserved; nil: none
	waited  error         // why it has none
}

// reserve waits until the evaluation may take as much memory as one may take.
func (e *evaluation) reserve() (err error) {
	e.free, err = reserve(e.ctx, e.reads)
	return err
}

// release gives back what was reserved.
func (e *evaluation) release() {
	if e.free != nil {
		e.free()
	}
}

// CallCost prices a call: 1, but for guarded ones. It ends the evaluation when its context has ended.
func (e *evaluation) CallCost(_, _ string, _ []ref.Val, _ ref.Val) *uint64 {
	e.check()
	e.paid, e.price = e.price, 1
	return &e.paid
}

// check ends the evaluation when its context has ended; every iteration of a macro makes a call.
func (e *evaluation) check() {
	if e.calls++; e.calls%64 == 0 {
		if e.ctx.Err() != nil {
			panic(interpreter.EvalCancelledError{Message: "interrupted", Cause: interpreter.ContextCancelled})
		}
		e.reportSpent()
	}
	if e.free == nil && e.counter.ActualCost()+e.price > smallEvaluation/bytesPerStep {
		if e.waited = e.reserve(); e.waited != nil {
			panic(interpreter.EvalCancelledError{Message: "interrupted", Cause: interpreter.ContextCancelled})
		}
	}
}

// reportSpent reports what was spent since the last report.
func (e *evaluation) reportSpent() {
	if spent := e.counter.ActualCost(); e.report != nil && spent > e.known {
		e.report(spent - e.known)
		e.known = spent
	}
}

// tracker counts what an evaluation spends.
var tracker = func() *cost.Tracker {
	t, err := cost.NewTracker(nil)
	if err != nil {
		panic("the tracker has no options that could be wrong: " + err.Error())
	}
	return t
}()

// run evaluates a program, and says what it has spent.
func run(e *evaluation, program cel.Program, vars map[string]any) (result ref.Val, spent uint64, err error) {
	e.args = e.few[:0]
	counter, err := tracker.Clone()
	if err != nil {
		return nil, 0, err
	}
	e.counter = counter
	counter.Estimator, counter.Limit = e, &e.limit
	frame, err := interpreter.NewExecutionFrame(vars)
	if err != nil {
		return nil, 0, err
	}
	defer frame.Close()
	frame.SetCostTracker(counter)
	result, _, err = program.Eval(frame)
	e.reportSpent()
	return result, counter.ActualCost(), err
}

// guarded is a call whose price is paid before it is made.
type guarded struct {
	id       int64
	function string
	args     []interpreter.InterpretableV2
	guard
	declared bool // the call is as the environment declares it
	trait    int  // that the first argument must have
}

// ID is that of the expression.
func (g *guarded) ID() int64 { return g.id }

// Function is the name that the environment declares.
func (g *guarded) Function() string { return g.function }

// OverloadID is empty: prices are by function.
func (g *guarded) OverloadID() string { return "" }

// Eval evaluates the call on its own.
func (g *guarded) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, g.Exec)
}

// Exec evaluates the arguments, pays and makes the call.
func (g *guarded) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	counter := frame.CostTracker()
	e := counter.Estimator.(*evaluation)
	base := len(e.args)
	defer func() { e.args = e.args[:base] }()
	for _, arg := range g.args {
		v := arg.Exec(frame)
		if types.IsUnknownOrError(v) {
			return v
		}
		e.args = append(e.args, v)
	}
	args := e.args[base:]
	left := e.limit - min(e.limit, counter.ActualCost())
	e.price = max(1, g.price(args, left))
	if g.declared {
		e.price += priceOfGuards(args, left)
	}
	if e.price > left {
		e.dear = g.function
	}
	counter.EvalZeroArity(nil, g.id, g, nil) // ends the evaluation if nothing is left
	if g.trait != 0 && !args[0].Type().HasTrait(g.trait) {
		return types.NewErrWithNodeID(g.id, "no such overload: %s", g.function)
	}
	result := g.make(args, counter)
	if g.fault != nil && types.IsError(result) {
		if words := g.fault(args); words != "" {
			result = types.NewErr("%s", words)
		}
	}
	if failed, ok := result.(*types.Err); ok && failed.NodeID() == 0 {
		return types.LabelErrNode(g.id, failed)
	}
	return result
}

// make makes the call.
func (g *guarded) make(args []ref.Val, counter *cost.Tracker) ref.Val {
	if g.metered == nil {
		return g.call(args)
	}
	return g.metered(args, &payment{g, counter})
}

// payment pays for a call that is being made.
type payment struct {
	g       *guarded
	counter *cost.Tracker
}

// left is how many steps the call may still take.
func (p *payment) left() uint64 {
	e := p.counter.Estimator.(*evaluation)
	return e.limit - min(e.limit, p.counter.ActualCost())
}

// pay takes steps from the budget, and ends the evaluation if they are more than what is left.
func (p *payment) pay(steps uint64) {
	e := p.counter.Estimator.(*evaluation)
	if e.price = steps; steps > p.left() {
		e.dear = p.g.function
	}
	p.counter.EvalZeroArity(nil, p.g.id, p.g, nil)
}

// built is a list or a map that is written out with values that are not constant; each has a price, and so have the keys that are
// computed.
type built struct {
	interpreter.InterpretableV2
	parts    int
	computed bool // keys of the map are
}

// Function names no function.
func (built) Function() string { return "" }

// OverloadID is empty.
func (built) OverloadID() string { return "" }

// Exec pays and makes the list or the map.
func (b built) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	pay(frame, b, uint64(b.parts))
	v := b.InterpretableV2.Exec(frame)
	if b.computed {
		payKeys(frame, b, v)
	}
	return v
}

// payKeys pays for the texts that are keys of a map.
func payKeys(frame *interpreter.ExecutionFrame, b built, v ref.Val) {
	m, ok := v.(traits.Mapper)
	if !ok {
		return
	}
	var keys []ref.Val
	for it := m.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	pay(frame, b, priceTexts(keys, 0))
}

// pay takes a price from the budget, and ends the evaluation if it is more than what is left.
func pay(frame *interpreter.ExecutionFrame, b built, price uint64) {
	counter := frame.CostTracker()
	counter.Estimator.(*evaluation).price = price
	counter.EvalZeroArity(nil, b.ID(), b, nil)
}

// guardCalls is the decorator that puts the guarded calls into a program.
func guardCalls(bindings map[string]*functions.Overload) interpreter.InterpretableDecoratorV2 {
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		switch node := i.(type) {
		case interpreter.InterpretableConstructor:
			values := node.InitVals()
			if slices.ContainsFunc(values, isComputed) {
				return built{i, len(values), node.Type() == types.MapType && computedKey(values)}, nil
			}
		case interpreter.InterpretableCall:
			name, args := node.Function(), node.Args()
			if name == coalesceFunction || name == orValueFunction {
				return &firstPresent{i.ID(), name, args}, nil
			}
			row, ok := guards[name]
			if !ok || len(args) == 1 && conversions[name] && isConstant(args[0]) { // a constant is converted once, when the program is made
				return i, nil
			}
			g := &guarded{id: i.ID(), function: name, args: args, guard: row}
			if name == operators.Equals || name == operators.NotEquals {
				return g, nil
			}
			if (name == matchesFunction || searches[name] != nil) && len(args) > 1 && isConstant(args[1]) {
				return g, g.compile(args[1].(interpreter.InterpretableConst).Value())
			}
			if g.call == nil && g.metered == nil {
				b := bindings[node.OverloadID()]
				if b == nil {
					b = bindings[name]
				}
				if b == nil {
					return i, nil
				}
				g.call, g.declared, g.trait = bound(b), true, b.OperandTrait
			}
			return g, nil
		}
		return i, nil
	}
}

// computedKey reports whether a key of a map that is written out is computed; each is followed by its value.
func computedKey(entries []interpreter.InterpretableV2) bool {
	for i := 0; i < len(entries); i += 2 {
		if isComputed(entries[i]) {
			return true
		}
	}
	return false
}

func isComputed(i interpreter.InterpretableV2) bool { return !isConstant(i) }

func isConstant(i interpreter.InterpretableV2) bool {
	_, constant := i.(interpreter.InterpretableConst)
	return constant
}

// bound is a function of the environment.
func bound(b *functions.Overload) func([]ref.Val) ref.Val {
	return func(args []ref.Val) ref.Val {
		switch {
		case b.Unary != nil && len(args) == 1:
			return b.Unary(args[0])
		case b.Binary != nil && len(args) == 2:
			return b.Binary(args[0], args[1])
		case b.Function != nil:
			return b.Function(args...)
		}
		return types.NewErr("no such overload: %s", b.Operator)
	}
}

// bindingsOf are the functions of an environment by overload and by name.
func bindingsOf(e *cel.Env) (map[string]*functions.Overload, error) {
	all := map[string]*functions.Overload{}
	for _, f := range e.Functions() {
		bindings, err := f.Bindings()
		if err != nil {
			return nil, err
		}
		for _, b := range bindings {
			all[b.Operator] = b
		}
	}
	return all, nil
}
