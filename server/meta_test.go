package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// A client may write anything into the fields of `_meta` that runtimes send to one another. What cannot come from a runtime is refused
// before the method runs.
func TestForgedMetaIsRefused(t *testing.T) {
	seen := make(chan int, 1)
	s := New(Config{Methods: []tools.Method{method("look", tools.Reads, func(ctx context.Context, _ tools.Request) (any, error) {
		seen <- caller.Hops(ctx)
		return map[string]any{}, nil
	})}})
	url, _, _ := serveHTTP(t, s)
	stdio := dial(t.Context(), t, s)
	var session string
	post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
	transports := map[string]func(message string) received{
		"stdio": func(message string) received {
			stdio.send("%s", message)
			return stdio.next()
		},
		"HTTP": func(message string) received {
			_, _, lines := post(t, url+"/mcp", &session, both, message)
			return parse(t, []byte(lines[0]))
		},
	}
	const refused = -1
	for i, tt := range []struct {
		meta string
		hops int
	}{
		{`{}`, 0},
		{`{"runplane/hops":0}`, 0},
		{`{"runplane/hops":3}`, 3},
		{`{"runplane/hops":3.0}`, 3},
		{`{"runplane/hops":2147483647}`, 2147483647},
		{`{"runplane\/hops":7}`, 7},
		{`{"runplane/hops":-1}`, refused},
		{`{"runplane/hops":-1000000}`, refused},
		{`{"runplane\/hops":-1}`, refused},
		{`{"runplane/hops":1.5}`, refused},
		{`{"runplane/hops":0.1}`, refused},
		{`{"runplane/hops":2147483648}`, refused},
		{`{"runplane/hops":9007199254740993}`, refused},
		{`{"runplane/hops":-9223372036854775808}`, refused},
		{`{"runplane/hops":18446744073709551616}`, refused},
		{`{"runplane/hops":1e300}`, refused},
		{`{"runplane/hops":-1e300}`, refused},
		{`{"runplane/hops":"0"}`, refused},
		{`{"runplane/hops":null}`, refused},
		{`{"runplane/hops":false}`, refused},
		{`{"runplane/hops":[1]}`, refused},
		{`{"runplane/hops":{"n":1}}`, refused},
		{`{"runplane/idempotency_key":"k"}`, 0},
		{`{"runplane/idempotency_key":""}`, refused},
		{`{"runplane/idempotency_key":5}`, refused},
		{`{"runplane/idempotency_key":null}`, refused},
		{`{"runplane/idempotency_key":"` + strings.Repeat("k", maxMetaKey+1) + `"}`, refused},
		{`{"runplane/from_a_later_version":-1}`, 0},
	} {
		for transport, call := range transports {
			r := call(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"look","_meta":%s}}`, i, tt.meta))
			name := fmt.Sprintf("%s: %.60s", transport, tt.meta)
			switch {
			case tt.hops == refused:
				if r.code() != schemas.CodeInvalidArgument || len(seen) > 0 {
					t.Errorf("%s: got %+v, called %v; want invalid_argument", name, r, len(seen) > 0)
				} else if text := r.Result.Content[0].Text; !strings.Contains(text, "_meta field runplane/") || !strings.Contains(text, "must be") {
					t.Errorf("%s: the error does not say what is wrong: %s", name, text)
				}
			case r.Result == nil || r.Result.IsError:
				t.Errorf("%s: got %+v", name, r)
			default:
				if got := <-seen; got != tt.hops {
					t.Errorf("%s: the method sees %d hops, want %d", name, got, tt.hops)
				}
			}
		}
	}
}

// The key of a call says of which execution it is.
func TestKeyOfACallNamesItsExecution(t *testing.T) {
	for key, want := range map[string]string{"e/n": "e", "e/n/3": "e", "k": "", "/n": "", "e/": "e"} {
		ctx, err := takeMeta(t.Context(), map[string]any{"runplane/idempotency_key": key})
		if got := caller.Origin(ctx); err != nil || got != want {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
}
