package call

import (
	"context"
	"sync"
	"time"
)

// flightKey tells which calls may share one: those with the same question that would be cut at the same time.
type flightKey struct {
	question           question
	timeout, heartbeat time.Duration
}

// flight is one call that several wait for. Whoever asked first makes it.
type flight struct {
	done chan struct{} // closed when res and err are there, or the maker left
	res  *Result
	err  error
	left bool // the maker's caller ended it: its error is nobody else's

	mu   sync.Mutex
	hear map[*Call]func(Progress) // nil: nobody else waits
}

// together makes the call, or waits for an identical one that is in flight. Where the caller of that one ends it, those
// who wait make it anew, again one for all: nobody loses a call by another's cancel.
func (a *Answers) together(ctx context.Context, q question, c *Call, next Invoker) (*Result, error) {
	key := flightKey{q, c.Timeout, c.Heartbeat}
	began := time.Now()
	for {
		a.mu.Lock()
		f := a.flights[key]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			a.flights[key] = f
			a.mu.Unlock()
			return a.fly(ctx, key, f, c, next)
		}
		a.mu.Unlock()
		f.listen(c)
		select {
		case <-f.done:
		case <-ctx.Done():
			f.deafen(c)
			return nil, ended(ctx, c)
		}
		if f.left {
			if c.Timeout > 0 { // what was waited counts
				again := *c
				again.Timeout = max(c.Timeout-time.Since(began), 1)
				c = &again
			}
			continue
		}
		if f.err != nil {
			return nil, f.err
		}
		res := *f.res
		return &res, nil
	}
}

// fly makes the call for all who wait.
func (a *Answers) fly(ctx context.Context, key flightKey, f *flight, c *Call, next Invoker) (*Result, error) {
	made := *c
	if c.Progress != nil {
		made.Progress = func(p Progress) {
			c.Progress(p)
			f.tell(p)
		}
	}
	f.res, f.err = next.Invoke(ctx, &made)
	f.left = f.err != nil && (ctx.Err() != nil || made.MayLeave() != nil)
	if f.err == nil {
		a.keep(key.question, f.res)
	}
	a.mu.Lock()
	delete(a.flights, key)
	a.mu.Unlock()
	close(f.done)
	if f.err != nil {
		return nil, f.err
	}
	res := *f.res
	return &res, nil
}

func (f *flight) listen(c *Call) {
	if c.Progress == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hear == nil {
		f.hear = map[*Call]func(Progress){}
	}
	f.hear[c] = c.Progress
}

// deafen has c hear nothing more.
func (f *flight) deafen(c *Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.hear, c)
}

func (f *flight) tell(p Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, hear := range f.hear {
		hear(p)
	}
}
