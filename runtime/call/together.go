package call

import (
	"context"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
)

// flightKey tells which calls may share one: those with the same question that would be cut at the same time.
type flightKey struct {
	question           question
	timeout, heartbeat time.Duration
}

// flight is one call that several wait for.
type flight struct {
	done   chan struct{} // closed when res and err are there
	res    *Result
	err    error
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	waiting int
	hear    map[*Call]func(Progress)
}

// together makes the call, or waits for an identical one that is in flight. The call goes on as long as one of those who
// wait for it does; the last who leaves ends it, and waits for its end.
func (a *Answers) together(ctx context.Context, q question, c *Call, next Invoker) (*Result, error) {
	key := flightKey{q, c.Timeout, c.Heartbeat}
	a.mu.Lock()
	f := a.flights[key]
	if f == nil {
		alone, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		f = &flight{done: make(chan struct{}), cancel: cancel, hear: map[*Call]func(Progress){}}
		a.flights[key] = f
		shared := *c
		shared.Leave = nil // it belongs to all who wait, and a read may leave
		if c.Progress != nil {
			shared.Progress = f.tell
		}
		go func() {
			defer cancel(nil)
			f.res, f.err = next.Invoke(alone, &shared)
			if f.err == nil {
				a.keep(q, f.res)
			}
			a.land(key, f)
			close(f.done)
		}()
	}
	f.join(c)
	a.mu.Unlock()

	select {
	case <-f.done:
	case <-ctx.Done():
		if a.leave(key, f, c, context.Cause(ctx)) {
			return nil, ended(ctx, c).WithOutcome(schemas.Unknown)
		}
		<-f.done // nobody else waits: it was told to end
	}
	f.forget(c)
	if f.err != nil {
		return nil, f.err
	}
	res := *f.res
	return &res, nil
}

// land takes the flight off the list, so that the next who asks starts another.
func (a *Answers) land(key flightKey, f *flight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flights[key] == f {
		delete(a.flights, key)
	}
}

// leave takes one off the flight; false: it was the last, and the flight was told to end.
func (a *Answers) leave(key flightKey, f *flight, c *Call, cause error) bool {
	a.mu.Lock() // nobody joins meanwhile
	defer a.mu.Unlock()
	if f.forget(c) > 0 {
		return true
	}
	if a.flights[key] == f {
		delete(a.flights, key)
	}
	f.cancel(cause)
	return false
}

func (f *flight) join(c *Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting++
	if c.Progress != nil {
		f.hear[c] = c.Progress
	}
}

// forget tells c nothing more, and how many still wait.
func (f *flight) forget(c *Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
	delete(f.hear, c)
	return f.waiting
}

func (f *flight) tell(p Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, hear := range f.hear {
		hear(p)
	}
}
