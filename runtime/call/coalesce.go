package call

import (
	"context"
	"sync"
	"time"
)

// sharedKey identifies calls that may share one: those with the same cache key and the same timeouts.
type sharedKey struct {
	question           cacheKey
	timeout, heartbeat time.Duration
}

// sharedCall is one call whose result several callers wait for. The first caller makes it.
type sharedCall struct {
	done      chan struct{} // closed when res and err are set, or the call was abandoned
	res       *Result
	err       error
	abandoned bool // the first caller ended the call: its error does not apply to the others

	mu        sync.Mutex
	listeners map[*Call]func(Progress) // of the others; nil: none
}

// coalesce makes the call, or waits for an identical one that is in flight. If the caller of that one ends it, the others
// make the call again, once for all of them, so no caller fails because another one cancelled.
func (a *Cache) coalesce(ctx context.Context, q cacheKey, c *Call, next Invoker) (*Result, error) {
	key := sharedKey{q, c.Timeout, c.Heartbeat}
	began := time.Now()
	for {
		a.mu.Lock()
		f := a.inFlight[key]
		if f == nil {
			f = &sharedCall{done: make(chan struct{})}
			a.inFlight[key] = f
			a.mu.Unlock()
			return a.makeShared(ctx, key, f, c, next)
		}
		a.mu.Unlock()
		f.subscribe(c)
		select {
		case <-f.done:
		case <-ctx.Done():
			f.unsubscribe(c)
			return nil, callerEnded(ctx, c)
		}
		if f.abandoned {
			if c.Timeout > 0 { // the time already waited counts
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

// makeShared makes the call for all that wait.
func (a *Cache) makeShared(ctx context.Context, key sharedKey, f *sharedCall, c *Call, next Invoker) (*Result, error) {
	made := *c
	if c.Progress != nil {
		made.Progress = func(p Progress) {
			c.Progress(p)
			f.notify(p)
		}
	}
	f.res, f.err = next.Invoke(ctx, &made)
	f.abandoned = f.err != nil && (ctx.Err() != nil || made.CheckSend() != nil)
	if f.err == nil {
		a.put(key.question, f.res)
	}
	a.mu.Lock()
	delete(a.inFlight, key)
	a.mu.Unlock()
	close(f.done)
	if f.err != nil {
		return nil, f.err
	}
	res := *f.res
	return &res, nil
}

func (f *sharedCall) subscribe(c *Call) {
	if c.Progress == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners == nil {
		f.listeners = map[*Call]func(Progress){}
	}
	f.listeners[c] = c.Progress
}

// unsubscribe removes c's progress function.
func (f *sharedCall) unsubscribe(c *Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners, c)
}

func (f *sharedCall) notify(p Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, report := range f.listeners {
		report(p)
	}
}
