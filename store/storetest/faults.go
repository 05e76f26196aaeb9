package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/runplane/runplane/store"
)

// RunWithFaults tests what must hold when the connection to a store fails: a call that returned without an error happened once,
// one that returned an error happened once or not at all, and what was acknowledged is never lost. While clients call the store,
// disturb is called repeatedly to cause faults; when it returns, the connection must work again.
func RunWithFaults(t *testing.T, s store.Store, disturb func(r *rand.Rand)) {
	const rounds, calls = 5, 12
	for _, tt := range []struct {
		kind   string // of the log that has an entry for each commit
		model  porcupine.NondeterministicModel
		calls  func(s store.Store, partition string) calling
		answer func(input any, log []string) (output any, happened bool)
	}{
		{"register", registerModel(), registerCalls, registerAnswer},
		{"log", logModel(), logCalls, logAnswer},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			failed := 0
			for round := range rounds {
				seed, partition := uint64(time.Now().UnixNano()), fmt.Sprint("faults", round)
				next := tt.calls(s, partition)
				h := history{start: time.Now(), pace: 20 * time.Millisecond}
				stop := disturbing(seed, disturb)
				h.observe(t.Context(), seed, next, calls)
				stop()
				untilHealthy(t, s)
				failed += len(h.errs)
				h.errs = nil
				h.observe(t.Context(), seed, reading(next), 2) // what is stored once the faults have ended
				log, err := s.Log(t.Context(), key(tt.kind, partition), 0, 0)
				if err := errors.Join(append(h.errs, err)...); err != nil {
					t.Fatalf("seed %d: after the faults: %v", seed, err)
				}
				h.learn(log, tt.answer)
				h.wantLinearizable(t, seed, tt.model)
			}
			t.Logf("%d of %d calls failed", failed, rounds*clients*calls)
		})
	}
}

// untilHealthy waits until calls succeed again.
func untilHealthy(t *testing.T, s store.Store) {
	t.Helper()
	for end := time.Now().Add(deadline); ; time.Sleep(5 * time.Millisecond) {
		_, err := s.Get(t.Context(), key("register", "healthy"))
		if errors.Is(err, store.ErrNotFound) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v after the last fault: %v", deadline, err)
		}
	}
}

// learn fills in lost answers from the log, which has an entry for each commit: without an entry the commit did not happen. So the
// search has few orders to try, and a commit that happened twice fits none.
func (h *history) learn(log []store.Entry, answer func(input any, log []string) (output any, happened bool)) {
	var entries []string
	for _, e := range log {
		entries = append(entries, string(e.Value))
	}
	var learned []porcupine.Operation
	for _, c := range h.calls {
		if _, ok := c.Output.(unknown); ok {
			output, happened := answer(c.Input, entries)
			if !happened {
				continue
			}
			c.Output = output
		}
		learned = append(learned, c)
	}
	h.calls = learned
}

// disturbing calls disturb repeatedly until stop is called.
func disturbing(seed uint64, disturb func(r *rand.Rand)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for r := rand.New(rand.NewPCG(seed, clients)); ctx.Err() == nil; {
			disturb(r)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// reading drops the calls that write.
func reading(next calling) calling {
	return func(r *rand.Rand, client int) (any, func(context.Context) (any, error)) {
		for {
			if input, call := next(r, client); input.(reader).reads() {
				return input, call
			}
		}
	}
}
