package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

var errTooLarge = errors.New("too large")

// tooLarge is the error of a value that expressions make.
func tooLarge(limit int) *schemas.Error {
	return schemas.Errorf(schemas.CodePayloadTooLarge, "what the expressions make has more than %d bytes (limits.max_output_bytes)", limit).
		WithHint("choose the fields you need; a whole value of another node is passed on by a path alone, as in \"${nodes.a.output.content}\"; " +
			"an operator can raise limits.max_output_bytes")
}

// tooLargeToPass is the error of a value that is larger with what it passes on.
func tooLargeToPass(bytes, limit int) *schemas.Error {
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the rendered value has at least %d bytes (limit %d, limits.max_message_bytes)", bytes, limit).
		WithHint("pass on less: choose the fields you need")
}

func tooDeep(levels, limit int) *schemas.Error {
	return schemas.Errorf(schemas.CodePayloadTooLarge, "the rendered value is nested %d levels deep (limit %d, limits.max_depth)", levels, limit).
		WithHint("most clients read no deeper: pass on the inner part alone, or as text with json.encode")
}

// maxResultDepth bounds the nesting of a result.
const maxResultDepth = 1000

// resultWriter writes a CEL value as JSON, within a bound.
type resultWriter struct {
	out []byte
	max int
}

func (w *resultWriter) write(v ref.Val, depth int) error {
	if len(w.out) > w.max {
		return errTooLarge
	}
	if depth > maxResultDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxResultDepth)
	}
	switch v := v.(type) {
	case types.Null:
		w.out = append(w.out, "null"...)
	case types.Bool:
		w.out = strconv.AppendBool(w.out, bool(v))
	case types.Int:
		w.out = strconv.AppendInt(w.out, int64(v), 10)
	case types.Uint:
		w.out = strconv.AppendUint(w.out, uint64(v), 10)
	case types.Double:
		return w.double(float64(v))
	case types.String:
		if len(w.out)+len(v) > w.max {
			return errTooLarge
		}
		w.out = document.AppendQuoted(w.out, string(v))
	case types.Bytes:
		b, err := json.Marshal([]byte(v))
		w.out = append(w.out, b...)
		return err
	case types.Timestamp:
		w.out = document.AppendQuoted(w.out, v.Format(time.RFC3339Nano))
	case types.Duration:
		w.out = document.AppendQuoted(w.out, v.Duration.String())
	case *types.Optional:
		if !v.HasValue() {
			w.out = append(w.out, "null"...)
			return nil
		}
		return w.write(v.GetValue(), depth+1)
	case traits.Mapper:
		return w.object(v, depth)
	case traits.Lister:
		return w.list(v, depth)
	case *types.Err:
		return v.Unwrap()
	default:
		w.out = document.AppendQuoted(w.out, v.Type().TypeName())
	}
	return nil
}

func (w *resultWriter) double(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%v is not a JSON number", f)
	}
	b, err := json.Marshal(f)
	w.out = append(w.out, b...)
	return err
}

func (w *resultWriter) list(v traits.Lister, depth int) error {
	w.out = append(w.out, '[')
	first := true
	for it := v.Iterator(); it.HasNext() == types.True; {
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		if err := w.write(it.Next(), depth+1); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

// object writes the keys in alphabetical order, so that equal values give equal bytes.
func (w *resultWriter) object(v traits.Mapper, depth int) error {
	type entry struct {
		name  string
		value ref.Val
	}
	var entries []entry
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		entries = append(entries, entry{fmt.Sprint(key.Value()), v.Get(key)})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	w.out = append(w.out, '{')
	for i, e := range entries {
		if i > 0 {
			if e.name == entries[i-1].name {
				return fmt.Errorf("it has the name %s twice, as a string and as another type", schemas.Quote(e.name, 60))
			}
			w.out = append(w.out, ',')
		}
		w.out = append(document.AppendQuoted(w.out, e.name), ':')
		if err := w.write(e.value, depth+1); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}
