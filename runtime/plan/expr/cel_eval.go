package expr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/interpreter"

	"github.com/runplane/runplane/schemas"
)

// Eval plans the expression on its first use, gives it the roots that it names and no others, and writes the result as
// JSON.
func (l *language) Eval(ctx context.Context, text string, scope Scope, m *Meter) (json.RawMessage, error) {
	c := l.expression(text)
	c.check.Do(func() { c.checkText(text, l.names) })
	if len(c.faults) > 0 {
		return nil, schemas.Errorf(schemas.CodeExpressionError, "`%s`: %s", Shorten(text), c.faults[0].Message)
	}
	c.plan.Do(func() {
		c.program, c.planErr = celEnvironment().Program(c.ast, guarding(), cel.EvalOptions(cel.OptOptimize))
	})
	if c.planErr != nil {
		return nil, schemas.Errorf(schemas.CodeExpressionError, "`%s` cannot be used: %v", Shorten(text), c.planErr)
	}
	r, err := variables(scope, c.facts.Reads)
	if err != nil {
		return nil, err
	}
	e := &evaluation{ctx: ctx, limit: m.left(), price: 1, report: m.report}
	defer e.release()
	if e.reads = r.size(); e.reads > readsPerBound*m.MaxBound {
		return nil, schemas.Errorf(schemas.CodePayloadTooLarge, "what `%s` reads takes about %d bytes of memory (limit %d)",
			Shorten(text), e.reads, readsPerBound*m.MaxBound).WithHint("read fewer outputs in one expression, or the parts of them that you need")
	}
	if e.reads > smallEvaluation {
		if err := e.reserve(); err != nil {
			return nil, err
		}
	}
	if err := r.decode(); err != nil {
		return nil, err
	}
	result, spent, err := run(e, c.program, r.vars)
	m.Spent += spent
	var ended interpreter.EvalCancelledError
	if errors.As(err, &ended) {
		if ended.Cause == interpreter.ContextCancelled {
			return nil, fmt.Errorf("%w: %w", ErrInterrupted, context.Cause(ctx))
		}
		return nil, m.exceeded(text, e.dear, e.limit)
	}
	if err != nil {
		return nil, l.explain(text, err, scope, c.facts.Reads)
	}
	w := resultWriter{max: m.MaxBound}
	if err := w.write(result, 0); err != nil {
		if errors.Is(err, errTooLarge) {
			return nil, tooLarge(m.MaxBound)
		}
		return nil, schemas.Errorf(schemas.CodeExpressionError, "the result of `%s` cannot be written as JSON: %v", Shorten(text), err)
	}
	return w.out, nil
}

// variables collects what the expression reads.
func variables(scope Scope, reads []Read) (*reading, error) {
	vars := make(map[string]any, 2)
	all := &reading{vars: vars}
	all.values = all.few[:0]
	for _, r := range reads {
		if r.Path.Root == "nodes" {
			if err := nodeVariable(all, scope, r.Path); err != nil {
				return nil, err
			}
			continue
		}
		name := r.Path.variable()
		if _, have := vars[name]; have {
			continue
		}
		v, ok, err := rootValue(scope, r.Path.Root)
		if err != nil {
			return nil, err
		}
		if !ok { // item and index
			item, index, err := itemOf(scope, r.Path)
			if err != nil {
				return nil, err
			}
			if v = item; r.Path.Root == "index" {
				vars[name] = int64(index)
				continue
			}
		}
		all.read(vars, name, r.Path.Root, v)
	}
	return all, nil
}

func nodeVariable(all *reading, scope Scope, p Path) error {
	vars := all.vars
	nodes, _ := vars["nodes"].(map[string]any)
	if nodes == nil {
		nodes = map[string]any{}
		vars["nodes"] = nodes
	}
	id := p.NodeID()
	fields, _ := nodes[id].(map[string]any)
	if fields == nil {
		fields = make(map[string]any, len(Members))
		nodes[id] = fields
	}
	wanted := Members
	if len(p.Steps) > 1 {
		wanted = []string{p.Steps[1].Key}
	}
	node, err := scope.Node(id)
	if err != nil {
		return err
	}
	for _, member := range wanted {
		switch member {
		case "output":
			output, unread := node.output(true)
			if unread != nil {
				return unread
			}
			all.read(fields, "output", "nodes."+id+".output", output)
		case "content":
			content, unread := node.Contents(true)
			if unread != nil {
				return unread
			}
			all.read(fields, "content", "nodes."+id+".content", content)
		case "error":
			all.read(fields, "error", "nodes."+id+".error", errorValue(node.Error))
		case "errors":
			errors, unread := node.errors()
			if unread != nil {
				return unread
			}
			all.read(fields, "errors", "nodes."+id+".errors", errors)
		case "text":
			if fields["text"], err = node.text(true); err != nil {
				return err
			}
		case "status":
			fields["status"] = string(node.Status)
		case "degraded":
			fields["degraded"] = node.Degraded
		}
	}
	return nil
}

// explain turns CEL's error into one that names what to change. A missing key is found again along the constant paths,
// because CEL names the key alone.
func (l *language) explain(text string, err error, scope Scope, reads []Read) error {
	message := err.Error()
	switch {
	case strings.Contains(message, "no such key"), strings.Contains(message, "no such overload"),
		strings.Contains(message, "index out of bounds"), strings.Contains(message, "no such attribute"):
		for _, r := range reads {
			if r.Guarded {
				continue
			}
			var e *schemas.Error
			if _, err := appendPath(nil, scope, r.Path, true); errors.As(err, &e) {
				return e
			}
		}
	}
	e := schemas.Errorf(schemas.CodeExpressionError, "`%s`: %s", Shorten(text), OneLine(message))
	if strings.Contains(message, "no such overload") {
		e.Hint = "the operands have types that do not go together; convert with string(…), int(…) or double(…), and test for null first"
	}
	return e
}
