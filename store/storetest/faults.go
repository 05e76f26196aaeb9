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

// RunWithFaults proves what must hold when calls fail on their way: a call that returned without an error happened
// once, one with an error happened once or not at all, and what was acknowledged is never lost. While clients call the
// store, disturb is called again and again to do its worst; when it returns, the way must be good again.
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
				quiet := disturbing(seed, disturb)
				h.observe(t.Context(), seed, next, calls)
				quiet()
				untilWell(t, s)
				failed += len(h.errs)
				h.errs = nil
				h.observe(t.Context(), seed, reading(next), 2) // what is there when all is well again
				log, err := s.Log(t.Context(), key(tt.kind, partition), 0, 0)
				if err := errors.Join(append(h.errs, err)...); err != nil {
					t.Fatalf("seed %d: with all well again: %v", seed, err)
				}
				h.learn(log, tt.answer)
				h.wantRight(t, seed, tt.model)
			}
			t.Logf("%d of %d calls failed", failed, rounds*clients*calls)
		})
	}
}

// untilWell waits until the store has noticed that all is well again.
func untilWell(t *testing.T, s store.Store) {
	t.Helper()
	for end := time.Now().Add(deadline); ; time.Sleep(5 * time.Millisecond) {
		_, err := s.Get(t.Context(), key("register", "well"))
		if errors.Is(err, store.ErrNotFound) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v after the last fault: %v", deadline, err)
		}
	}
}

// learn finds the answers that never came in the log, which keeps all: what has no entry did not happen. So the search
// has few orders to try, and what happened twice fits none.
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

// disturbing disturbs until the function that it returns is called.
func disturbing(seed uint64, disturb func(r *rand.Rand)) (quiet func()) {
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

// reading makes the calls that only read.
func reading(next calling) calling {
	return func(r *rand.Rand, client int) (any, func(context.Context) (any, error)) {
		for {
			if input, call := next(r, client); input.(reader).reads() {
				return input, call
			}
		}
	}
}
