package server

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
)

// metaFields are the fields of ours in the `_meta` of a call. Other runtimes send them when they pass a call on to this one, but any client
// can: a field that is not what it must be is refused, because a limit that counts it would not hold. Unknown fields are ignored, since a
// later version may send them. take returns a context with what the field says.
var metaFields = []struct {
	name, want string
	take       func(ctx context.Context, v any) (_ context.Context, ok bool)
}{
	{"runplane/hops", "an integer from 0 that counts the runtimes before this one", takeHops},
	{"runplane/idempotency_key", fmt.Sprintf("a string of 1 to %d bytes", maxMetaKey), takeMetaKey},
}

// maxMetaKey bounds the idempotency key of a call; runtimes send shorter ones.
const maxMetaKey = 1024

// takeMeta returns a context with what the fields of ours say, or an error if one of them is invalid.
func takeMeta(ctx context.Context, fields map[string]any) (context.Context, error) {
	for i := range metaFields {
		field := &metaFields[i]
		v, given := fields[field.name]
		if !given {
			continue
		}
		taken, ok := field.take(ctx, v)
		if !ok {
			got, _ := schemas.Encode(v) // it was decoded from JSON
			return ctx, schemas.Errorf(schemas.CodeInvalidArgument, "_meta field %s must be %s, got %.100s", field.name, field.want, got).
				WithHint("leave it out: it is for runtimes that pass calls on to one another").WithOutcome(schemas.NotRun)
		}
		ctx = taken
	}
	return ctx, nil
}

// takeHops leaves it to [caller.CheckHops] to refuse a number over the limit.
func takeHops(ctx context.Context, v any) (context.Context, bool) {
	n, ok := v.(float64)
	if !ok || n < 0 || n > math.MaxInt32 || n != math.Trunc(n) {
		return ctx, false
	}
	return caller.WithHops(ctx, int(n)), true
}

// takeMetaKey takes the execution whose call it is from the key, which is execution/node/item.
func takeMetaKey(ctx context.Context, v any) (context.Context, bool) {
	key, ok := v.(string)
	if !ok || key == "" || len(key) > maxMetaKey {
		return ctx, false
	}
	if id, _, found := strings.Cut(key, "/"); found {
		ctx = caller.WithOrigin(ctx, id)
	}
	return ctx, true
}
