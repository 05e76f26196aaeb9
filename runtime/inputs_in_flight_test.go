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
