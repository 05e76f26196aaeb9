package runtime

import (
	"errors"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
)

// Helpers for tests by the real clock, on real servers.

// replica runs a process in real time, which stops with the test.
func replica(t testing.TB, w *world, s store.Store, configure ...func(*Config)) *process {
	t.Helper()
	p := launch(w, s, configure...)
	t.Cleanup(p.stop)
	eventually(t, "the process runs", p.Executions.Running)
	return p
}

// onRedis is a replica on a Redis.
func onRedis(t *testing.T, w *world, o redis.Options, configure ...func(*Config)) *process {
	t.Helper()
	return replica(t, w, recordstest.Redis(t, o), configure...)
}

// eventually waits, for up to a minute, until something is so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tryFor(t, what, func() error {
		if !done() {
			return errors.New("not within a minute")
		}
		return nil
	})
}

// tryFor tries something, for up to a minute, until it succeeds.
func tryFor(t testing.TB, what string, do func() error) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}
