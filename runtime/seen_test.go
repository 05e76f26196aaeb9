package runtime

import (
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A caller that waits for an execution which needs a decision is answered at once, and the next time when there is something new.
func TestStatusWaitsForNews(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"r","review":{"question":"good?"}},{"id":"a","wait_for":{"event":"go"}},{"id":"b","wait_for":{"event":"stop"}}]}`)
		time.Sleep(time.Second)
		status := func(as *process, wait time.Duration, want time.Duration, waiting int) schemas.Execution {
			t.Helper()
			began := time.Now()
			e, err := as.Executions.Status(t.Context(), id, "", wait, nil)
			if took := time.Since(began); err != nil || took != want || len(e.WaitingFor) != waiting {
				t.Errorf("it took %s, want %s; it waits for %d, want %d; %v", took, want, len(e.WaitingFor), waiting, err)
			}
			if e.WaitedSeconds != want.Seconds() {
				t.Errorf("it says that it waited %v s, want %s", e.WaitedSeconds, want)
			}
			return e
		}
		status(p, 20*time.Second, 0, 3)
		status(p, 20*time.Second, 20*time.Second, 3)
		status(p, 0, 0, 3)
		time.AfterFunc(5*time.Second, func() { p.signal(t, id, "go", nil) })
		status(p, 20*time.Second, 5*time.Second, 2)
		status(p, 10*time.Second, 10*time.Second, 2)
		other := run(w, s)
		defer other.stop()
		status(other, 20*time.Second, 0, 2)
		p.suspend(t, id, "")
		status(p, 20*time.Second, 0, 2)
		status(p, 3*time.Second, 3*time.Second, 2)
		p.resume(t, id)
		p.signal(t, id, "stop", nil)
		p.decide(t, p.review(t, id, "r"), safety.Decision{Approve: true})
		for range 2 {
			if e := status(p, 20*time.Second, 0, 0); e.Status != schemas.StatusSucceeded {
				t.Errorf("it is %s", e.Status)
			}
		}
	})
}
