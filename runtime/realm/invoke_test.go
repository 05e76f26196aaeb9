package realm

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/testdata/servers/ledger"
)

func TestInvokeResultAsDocumented(t *testing.T) {
	p := run(t, Config{Realms: realms("shop", server("shop"))})
	order := mustInvoke(t, p, "shop", "get_order", `{"id":"A-17"}`)
	if got := field[int](t, order.Output, "total_cents"); got != 3600 {
		t.Errorf("total_cents = %d, want 3600", got)
	}
	if order.ServedBy != "shop.get_order" || order.Attempts != 1 || order.Duration <= 0 {
		t.Errorf("got %+v", order)
	}
	if got := mustInvoke(t, p, "shop", "echo", `{"msg":"hello <b>"}`); string(got.Output) != `"hello <b>"` || got.Text != "hello <b>" {
		t.Errorf("a text is %s and %q", got.Output, got.Text)
	}
	if got := mustInvoke(t, p, "shop", "echo", `{"msg":"{\"n\": 12345678901234567890}"}`); string(got.Output) != `{"n": 12345678901234567890}` {
		t.Errorf("a JSON text is %s", got.Output)
	}
}

func TestInvokeSendsTheKeyInMetaAndAsTheArgument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	p := run(t, Config{Realms: realms("shop", server("shop", "-ledger", path))})
	c := ask("shop", "reserve", "{\n\"sku\": \"sku-1\",\n \"qty\": 2}")
	c.Key, c.IdempotencyArg = "exec-1/reserve/0", "key"
	if _, err := p.Invoke(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	entries, err := ledger.New(path).Read()
	if err != nil || len(entries) != 1 {
		t.Fatalf("ledger has %v, %v", entries, err)
	}
	if e := entries[0]; e.Key != c.Key || field[string](t, e.Inputs, "key") != c.Key || field[int](t, e.Inputs, "qty") != 2 {
		t.Errorf("the ledger has %s with key %q", e.Inputs, e.Key)
	}
}

// TestInvokeAsksAtTheLastMoment checks that a caller can withdraw a call until the realm is connected, and that nothing is sent then.
func TestInvokeAsksAtTheLastMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	p := run(t, Config{Realms: realms("shop", server("shop", "-ledger", path)), Lazy: true})
	c := ask("shop", "reserve", `{"sku":"sku-1","qty":2}`)
	taken := schemas.Errorf(schemas.CodeCancelled, "taken back").WithOutcome(schemas.NotRun)
	c.BeforeSend = func() error {
		if got := health(p, "shop").State; got != schemas.RealmReady {
			t.Errorf("asked while the realm is %s", got)
		}
		return taken
	}
	_, err := p.Invoke(t.Context(), c)
	wantError(t, err, schemas.CodeCancelled, schemas.NotRun, "taken back")
	if entries, err := ledger.New(path).Read(); err == nil && len(entries) > 0 {
		t.Errorf("it was called: %v", entries)
	}
	c.BeforeSend = func() error { return nil }
	if _, err := p.Invoke(t.Context(), c); err != nil {
		t.Errorf("the connection is of no more use: %v", err)
	}
}

func TestInvokeRefusesInputsThatAreNotAnObject(t *testing.T) {
	p := run(t, Config{Realms: realms("shop", server("shop")), Lazy: true})
	for _, inputs := range []string{`[1]`, `"x"`, `{"a":`, `12`} {
		_, err := invoke(t, p, "shop", "echo", inputs)
		wantError(t, err, schemas.CodeInvalidArgument, schemas.NotRun, "JSON object")
	}
	if got := health(p, "shop").State; got != schemas.RealmIdle {
		t.Errorf("the realm is %s; a call that cannot be must not start it", got)
	}
}

func TestUnknownNamesSuggestTheNearest(t *testing.T) {
	p := run(t, Config{Realms: realms("shop", server("shop"))})
	if c := p.Catalog(t.Context(), nil); !slices.Contains(first(c.Tools("shop")), "echo") {
		t.Fatal("no catalog")
	}
	_, err := invoke(t, p, "shop", "get_ordre", `{}`)
	if e := wantError(t, err, schemas.CodeNotFound, schemas.NotRun, `did you mean "get_order"`); !slices.Contains(e.Candidates, "get_order") {
		t.Errorf("candidates are %q", e.Candidates)
	}
	_, err = invoke(t, p, "shpo", "echo", `{}`)
	wantError(t, err, schemas.CodeNotFound, schemas.NotRun, `did you mean "shop"`)
}

func first[T any](v T, _ error) T { return v }

func TestToolErrorIsRanFailed(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	_, err := invoke(t, p, "flaky", "fail_times", `{"key":"a","times":1}`)
	wantError(t, err, schemas.CodeToolError, schemas.RanFailed, `failure 1 of "a"`)
	if got := mustInvoke(t, p, "flaky", "fail_times", `{"key":"a","times":1}`); field[int](t, got.Output, "calls") != 2 {
		t.Errorf("got %s", got.Output)
	}
}

func TestTimeoutIsTheCauseOfTheContext(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	mustInvoke(t, p, "flaky", "echo", `{}`)
	cause := schemas.Errorf(schemas.CodeTimeout, "no answer within 20ms, the timeout of the node")
	var err error
	for timeout := 20 * time.Millisecond; timeout < 10*time.Second; timeout *= 4 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), timeout, cause)
		_, err = p.Invoke(ctx, ask("flaky", "hang", `{}`))
		cancel()
		if e, ok := errors.AsType[*schemas.Error](err); !ok || e.Outcome != schemas.NotRun {
			break // else it was not sent in time
		}
	}
	wantError(t, err, schemas.CodeTimeout, schemas.Unknown, "the timeout of the node")

	over, end := context.WithCancelCause(t.Context())
	end(cause)
	_, err = p.Invoke(over, ask("flaky", "hang", `{}`))
	if e := wantError(t, err, schemas.CodeTimeout, schemas.NotRun, "the timeout of the node"); cause.Outcome != "" {
		t.Errorf("the cause itself was changed to %q", e.Outcome)
	}
}

func TestCancelReachesTheRealmAndNoOtherCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	p := run(t, Config{Realms: realms("slow", server("slow", "-ledger", path))})
	mustInvoke(t, p, "slow", "echo", `{}`)
	before := p.members.Load().realms["slow"].conn.Load()

	started := make(chan struct{}, 16)
	ctx, cancel := context.WithCancel(t.Context())
	c := ask("slow", "sleep", `{"ms":5000}`)
	c.Progress = func(call.Progress) { started <- struct{}{} }
	failed := make(chan error, 1)
	go func() {
		_, err := p.Invoke(ctx, c)
		failed <- err
	}()
	other := make(chan error, 1)
	go func() {
		_, err := p.Invoke(t.Context(), ask("slow", "sleep", `{"ms":800}`))
		other <- err
	}()
	await(t, started)
	cancel()
	wantError(t, await(t, failed), schemas.CodeCancelled, schemas.Unknown, "cancelled")
	file := ledger.New(path)
	eventually(t, "the ledger records the cancellation", func() bool {
		entries, err := file.Read()
		return err == nil && slices.ContainsFunc(entries, func(e ledger.Entry) bool { return e.Effect == "cancelled" })
	})
	if err := await(t, other); err != nil {
		t.Errorf("the other call: %v", err)
	}
	if p.members.Load().realms["slow"].conn.Load() != before {
		t.Error("the shared connection was closed")
	}
}

func TestProgressIsInOrderAndBeforeTheResult(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	const calls = 8
	type got struct {
		steps []float64
		err   error
	}
	results := make(chan got, calls)
	for range calls {
		go func() {
			var g got
			returned := false
			c := ask("flaky", "slow_progress", `{"seconds":0.2,"steps":5}`)
			c.Progress = func(p call.Progress) {
				if returned || p.Total != 5 {
					g.err = errors.New("progress after the result, or of another call")
				}
				g.steps = append(g.steps, p.Done) // no lock: one at a time is promised
			}
			_, err := p.Invoke(context.Background(), c)
			returned = true
			g.err = errors.Join(g.err, err)
			results <- g
		}()
	}
	for range calls {
		g := await(t, results)
		if g.err != nil || !slices.Equal(g.steps, []float64{1, 2, 3, 4, 5}) {
			t.Errorf("got steps %v, %v", g.steps, g.err)
		}
	}
}

func TestHopsAreCounted(t *testing.T) {
	c := &conn{}
	params := c.callParams(7, &call.Call{Capability: "t", Key: `a"b`, TraceParent: "00-1-2-01", Progress: func(call.Progress) {}}, json.RawMessage(`{}`), caller.Hops(caller.WithHops(t.Context(), 2))+1)
	want := `{"name":"t","arguments":{},"_meta":{"runplane/hops":3,"progressToken":7,"runplane/idempotency_key":"a\"b","traceparent":"00-1-2-01"}}`
	if string(params) != want {
		t.Errorf("got  %s\nwant %s", params, want)
	}
	if got := caller.Hops(t.Context()); got != 0 {
		t.Errorf("without WithHops there are %d", got)
	}
}
