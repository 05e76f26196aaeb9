package runtime

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The inputs of all calls in flight are bounded. Calls that wait for that are made once others have ended, and an execution that makes no call
// never waits.
func TestInputsInFlightAreBounded(t *testing.T) {
	const limit, each, executions, items = 200_000, 20_000, 6, 12
	source := fmt.Sprintf(`{"plan":"v1","max_parallel":32,"inputs":{"x":%q},"nodes":[{"id":"m","capability":"r.idempotent","for_each":"${lists.range(%d)}",`+
		`"inputs":{"take":"10s","id":"${inputs.x}"}}],"output":1}`, strings.Repeat("x", each), items)
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.Limits.MaxInputs = limit })
		defer p.stop()
		var ids []string
		for range executions {
			ids = append(ids, p.submit(t, source))
		}
		var most int64
		for range 600 {
			time.Sleep(time.Second)
			synctest.Wait()
			most = max(most, p.Executions.Load().Inputs)
		}
		if least := int64(executions * each); most < least || most > limit+executions*(each+100) {
			t.Errorf("at most %d bytes were in flight, want at least %d, and hardly more than %d", most, least, limit)
		}
		for _, id := range ids {
			e, err := p.Executions.Status(t.Context(), id, "", 0, nil)
			if err != nil || e.Status != schemas.StatusSucceeded {
				t.Errorf("%s %v, %+v", e.Status, err, e.Progress)
			}
		}
		if got := w.calls("idempotent", ""); got != executions*items {
			t.Errorf("%d calls were made, want %d", got, executions*items)
		}
		if left := p.Executions.Load().Inputs; left != 0 {
			t.Errorf("%d bytes count as in flight after the end", left)
		}
	})
}

// A call that waited is made soon after others have ended, also if a call of its own execution goes on for long.
func TestCallThatWaitedIsMade(t *testing.T) {
	x := strings.Repeat("x", 20_000)
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.Limits.MaxInputs = 50_000 })
		defer p.stop()
		for range 3 {
			p.submit(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"o","capability":"r.idempotent","inputs":{"take":"10s","id":%q}}],"output":1}`, x))
		}
		p.submit(t, `{"plan":"v1","nodes":[{"id":"long","capability":"r.idempotent","inputs":{"take":"30m"},"timeout":"1h"},`+
			`{"id":"pause","wait":"5s"},{"id":"late","depends_on":["pause"],"capability":"r.idempotent","inputs":{"id":"late"}}],"output":1}`)
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if n := w.calls("idempotent", "late"); n != 0 {
			t.Fatalf("%d calls were made while others filled the memory", n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := w.calls("idempotent", "late"); n != 1 {
			t.Errorf("%d calls were made after others had ended, want 1", n)
		}
	})
}
