package expr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Render evaluates every expression and returns the JSON value. Errors are *schemas.Error with code expression_error or
// payload_too_large, those of the scope, and ErrInterrupted.
func (t *Template) Render(ctx context.Context, scope Scope, lim Limits) (json.RawMessage, error) {
	return t.render(ctx, scope, lim, nil)
}

// RenderOutput is Render for the output of an execution that has ended: an expression that cannot be read because a node
// it names did not succeed is null (and empty inside a longer string), so that a skipped branch does not lose the
// results of the others.
func (t *Template) RenderOutput(ctx context.Context, scope Scope, lim Limits) (json.RawMessage, error) {
	return t.render(ctx, scope, lim, func(h *Placeholder, err error) bool {
		if !errors.Is(err, &schemas.Error{Code: schemas.CodeExpressionError}) {
			return false
		}
		for id := range h.Nodes() {
			if n, err := scope.Node(id); err == nil && n.Status != schemas.NodeSucceeded {
				return true
			}
		}
		return false
	})
}

// render fills the placeholders; absent, where given, reports whether one that failed counts as null.
func (t *Template) render(
	ctx context.Context, scope Scope, lim Limits, absent func(*Placeholder, error) bool,
) (json.RawMessage, error) {
	lim = lim.WithDefaults()
	var m *Meter // nil: no expression has been evaluated
	var dst []byte
	if h := t.Whole(); h == nil || !h.Plain {
		dst = make([]byte, 0, t.size+32*len(t.parts))
	}
	passed := 0 // bytes that plain paths have passed on
	for i := range t.parts {
		p := &t.parts[i]
		if p.hole == nil {
			dst = append(dst, p.literal...)
			continue
		}
		before := len(dst)
		if m == nil && !p.hole.Plain {
			m = &Meter{Limits: lim, report: scope.Spent}
		}
		filled, err := t.fill(ctx, dst, p.hole, scope, lim, m)
		switch {
		case err == nil:
			dst = filled
		case absent == nil || !absent(p.hole, err):
			return nil, err
		case !p.hole.Inside:
			dst = append(dst, "null"...)
		}
		if p.hole.passes() {
			passed += len(dst) - before
		}
		switch {
		case len(dst)-passed > lim.MaxBound:
			return nil, tooLarge(lim.MaxBound)
		case len(dst) > lim.MaxPassed:
			return nil, tooLargeToPass(len(dst), lim.MaxPassed)
		}
	}
	if levels := document.Depth(dst); levels > lim.MaxLevels {
		return nil, tooDeep(levels, lim.MaxLevels)
	}
	return dst, nil
}

// passes reports whether the placeholder passes a value on as it is.
func (h *Placeholder) passes() bool { return h.Plain && !h.Inside }

func (t *Template) fill(ctx context.Context, dst []byte, h *Placeholder, scope Scope, lim Limits, m *Meter) ([]byte, error) {
	start, most := len(dst), lim.MaxBound
	var err error
	switch {
	case h.passes():
		most = lim.MaxPassed - start
		dst, err = passOn(ctx, dst, scope, h.Path, lim)
	case h.Plain:
		dst, err = appendPath(dst, scope, h.Path, true)
	default:
		var result json.RawMessage
		result, err = t.language.Eval(ctx, h.Text, scope, m)
		dst = append(dst, result...)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case h.passes() && len(dst)-start > most:
		return nil, tooLargeToPass(len(dst), lim.MaxPassed)
	case !h.passes() && len(dst)-start > most:
		return nil, tooLarge(most)
	}
	if h.Inside {
		return appendInterpolated(dst[:start], dst[start:]), nil
	}
	return dst, nil
}

// appendInterpolated appends the JSON value as the inside of a JSON string: a string without its quotes, anything else
// as its compact text.
func appendInterpolated(dst, value []byte) []byte {
	value = bytes.TrimSpace(value)
	if len(value) > 1 && value[0] == '"' {
		return append(dst, value[1:len(value)-1]...)
	}
	return document.AppendEscaped(dst, compact(value))
}

// compact writes a JSON value without blanks.
func compact(value []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, value); err == nil {
		return b.String()
	}
	return string(value) // invalid JSON is passed on unchanged
}

// Bool renders a condition. Anything but true or false is an expression_error.
func (t *Template) Bool(ctx context.Context, scope Scope, limits Limits) (bool, error) {
	out, err := t.Render(ctx, scope, limits.Evaluated())
	if err != nil {
		return false, err
	}
	switch strings.TrimSpace(string(out)) {
	case "true", `"true"`:
		return true, nil
	case "false", `"false"`:
		return false, nil
	}
	return false, schemas.Errorf(schemas.CodeExpressionError, "the condition must be true or false, got %s", Shorten(string(out))).
		WithHint("compare the value, as in ${inputs.count > 0} or ${nodes.a.output.name != \"\"}")
}

// Text renders to text: a string as it is, anything else as compact JSON.
func (t *Template) Text(ctx context.Context, scope Scope, limits Limits) (string, error) {
	out, err := t.Render(ctx, scope, limits.Evaluated())
	if err != nil {
		return "", err
	}
	if token := strings.TrimSpace(string(out)); len(token) > 1 && token[0] == '"' {
		return document.Unquote(token), nil
	}
	return compact(out), nil
}
