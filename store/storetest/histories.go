package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/runplane/runplane/store"
)

// A history is concurrent calls of a store with their answers. It is linearizable if some order of the calls, each at one instant
// between its start and its end, gives the same answers one after the other (Herlihy and Wing 1990); porcupine searches for that
// order. A call without an answer happened once or not at all, at any time after its start.

// clients is the number of concurrent clients.
const clients = 8

var historyTests = []test{
	{"records are linearizable", func(f *fixture) { f.linearizable(registerModel(), registerCalls(f.s, "r"), 30) }},
	{"logs are linearizable", func(f *fixture) { f.linearizable(logModel(), logCalls(f.s, "l"), 25) }},
	{"leases are linearizable", func(f *fixture) {
		var b store.Batch
		for i := range leaseKeys {
			b.Wakes = append(b.Wakes, store.Wake{Key: leaseKey("h", i), At: time.Now().Add(-time.Hour)})
		}
		f.commit(b)
		f.linearizable(leaseModel(), leaseCalls(f.s, "h"), 30)
	}},
}

// calling makes the next call of one client: its input, and the function that makes it. An error of that function means that the
// call may or may not have happened.
type calling func(r *rand.Rand, client int) (input any, call func(ctx context.Context) (output any, err error))

// unknown is the output of a call without an answer.
type unknown struct{}

// reader is an input that may only read. A read without an answer is dropped from the history.
type reader interface{ reads() bool }

// linearizable has each client make a number of calls and checks the history.
func (f *fixture) linearizable(m porcupine.NondeterministicModel, next calling, calls int) {
	f.Helper()
	seed := uint64(time.Now().UnixNano())
	h := history{start: time.Now()}
	h.observe(f.ctx, seed, next, calls)
	if err := errors.Join(h.errs...); err != nil {
		f.Fatalf("seed %d: %v", seed, err)
	}
	h.wantLinearizable(f.T, seed, m)
}

// history is calls with their answers, and the errors of calls without an answer.
type history struct {
	start time.Time
	pace  time.Duration // longest pause of a client between two calls
	mu    sync.Mutex
	calls []porcupine.Operation
	errs  []error
}

// observe has each client make a number of calls.
func (h *history) observe(ctx context.Context, seed uint64, next calling, calls int) {
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(client)))
			for range calls {
				input, call := next(r, client)
				h.call(ctx, client, input, call)
				if h.pace > 0 {
					time.Sleep(time.Duration(r.Int64N(int64(h.pace))))
				}
			}
		})
	}
	group.Wait()
}

func (h *history) call(ctx context.Context, client int, input any, call func(context.Context) (any, error)) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	o := porcupine.Operation{ClientId: client, Input: input, Call: int64(time.Since(h.start))}
	output, err := call(ctx)
	o.Output, o.Return = output, int64(time.Since(h.start))
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.errs = append(h.errs, fmt.Errorf("%+v: %w", input, err))
		if r, ok := input.(reader); ok && r.reads() {
			return
		}
		o.Output, o.Return = unknown{}, math.MaxInt64
	}
	h.calls = append(h.calls, o)
}

// wantLinearizable fails unless the history is linearizable.
func (h *history) wantLinearizable(t testing.TB, seed uint64, m porcupine.NondeterministicModel) {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(m.ToModel(), h.calls, deadline) {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Errorf("seed %d: not decided within %v for a history of %d calls", seed, deadline, len(h.calls))
	case porcupine.Illegal:
		t.Errorf("seed %d: no order of these calls gives their answers:", seed)
		for _, o := range h.calls {
			t.Logf("client %d, %d to %d µs: %+v -> %+v", o.ClientId, o.Call/1000, o.Return/1000, o.Input, o.Output)
		}
	}
}
