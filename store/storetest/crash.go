package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// ErrCrashed is the error of every call on a Crasher after its crash.
var ErrCrashed = errors.New("the process crashed")

// CrashMode is what happens to the commit at which a Crasher crashes.
type CrashMode int

const (
	// CrashBefore: the commit did not happen.
	CrashBefore CrashMode = iota
	// CrashAfter: the commit happened, and its answer was lost.
	CrashAfter
)

// CrashModes are all modes.
var CrashModes = []CrashMode{CrashBefore, CrashAfter}

func (m CrashMode) String() string {
	return [...]string{"the commit did not happen", "the answer was lost"}[m]
}

// Crasher is a store that crashes at a commit: from then on that call and all others, waiting ones too, return ErrCrashed, as a
// crashed process receives no answers. The wrapped store has what the next process would find. It stays open until Close.
type Crasher struct {
	inner store.Store
	mode  CrashMode

	mu      sync.Mutex
	commits int
	failAt  int // the commit that crashes, counted from 1; 0: none
	life    context.Context
	die     context.CancelCauseFunc
}

var _ store.Store = (*Crasher)(nil)

// Crash wraps s in a Crasher that crashes at the failAt-th commit; 0: it only counts.
func Crash(s store.Store, failAt int, mode CrashMode) *Crasher {
	c := &Crasher{inner: s, mode: mode}
	c.Reset(failAt)
	return c
}

// Reset starts the next process: the count starts at 0, and the failAt-th commit crashes. Calls of an earlier process return
// ErrCrashed.
func (c *Crasher) Reset(failAt int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.die != nil {
		c.die(ErrCrashed)
	}
	c.commits, c.failAt = 0, failAt
	c.life, c.die = context.WithCancelCause(context.Background())
}

// Unwrap returns the wrapped store.
func (c *Crasher) Unwrap() store.Store { return c.inner }

// Commits is the number of commits since the last Reset, including the one that crashed and none after it.
func (c *Crasher) Commits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits
}

// Crashed reports whether it has crashed since the last Reset.
func (c *Crasher) Crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life.Err() != nil
}

// Die crashes now, at no commit.
func (c *Crasher) Die() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.die(ErrCrashed)
}

// Dead returns a channel that is closed at the crash.
func (c *Crasher) Dead() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life.Done()
}

// count counts a commit and reports whether it is the one that crashes.
func (c *Crasher) count() (crash bool, life context.Context, die context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() == nil {
		c.commits++
		crash = c.commits == c.failAt
	}
	return crash, c.life, c.die
}

// Commit commits to the wrapped store, or crashes.
func (c *Crasher) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	crash, life, die := c.count()
	if life.Err() != nil {
		return store.Committed{}, ErrCrashed
	}
	if crash {
		if c.mode == CrashAfter {
			c.inner.Commit(context.WithoutCancel(ctx), b) //nolint:errcheck // its answer is what gets lost
		}
		die(ErrCrashed)
		return store.Committed{}, ErrCrashed
	}
	return during(life, ctx, func(ctx context.Context) (store.Committed, error) { return c.inner.Commit(ctx, b) })
}

// during makes a call that returns ErrCrashed once life has ended.
func during[T any](life, ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	var none T
	if life.Err() != nil {
		return none, ErrCrashed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(life, func() { cancel(ErrCrashed) })()
	out, err := call(ctx)
	if life.Err() != nil {
		return none, ErrCrashed
	}
	return out, err
}

// current is the context that ends with the next crash or Reset.
func (c *Crasher) current() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life
}

// Get calls the wrapped store.
func (c *Crasher) Get(ctx context.Context, k store.Key) (store.Record, error) {
	return during(c.current(), ctx, func(ctx context.Context) (store.Record, error) { return c.inner.Get(ctx, k) })
}

// List calls the wrapped store.
func (c *Crasher) List(ctx context.Context, q store.Query) ([]store.Record, error) {
	return during(c.current(), ctx, func(ctx context.Context) ([]store.Record, error) { return c.inner.List(ctx, q) })
}

// Log calls the wrapped store.
func (c *Crasher) Log(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
	return during(c.current(), ctx, func(ctx context.Context) ([]store.Entry, error) { return c.inner.Log(ctx, k, after, limit) })
}

// Claim calls the wrapped store.
func (c *Crasher) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	return during(c.current(), ctx, func(ctx context.Context) ([]store.Lease, error) { return c.inner.Claim(ctx, r) })
}

// Renew calls the wrapped store.
func (c *Crasher) Renew(ctx context.Context, ls []store.Lease, ttl time.Duration) ([]store.Lease, error) {
	return during(c.current(), ctx, func(ctx context.Context) ([]store.Lease, error) { return c.inner.Renew(ctx, ls, ttl) })
}

// Queue calls the wrapped store.
func (c *Crasher) Queue(ctx context.Context, kind string) (store.Queue, error) {
	return during(c.current(), ctx, func(ctx context.Context) (store.Queue, error) { return c.inner.Queue(ctx, kind) })
}

// Places calls the wrapped store.
func (c *Crasher) Places(ctx context.Context, keys []store.Key) ([]store.Place, error) {
	return during(c.current(), ctx, func(ctx context.Context) ([]store.Place, error) { return c.inner.Places(ctx, keys) })
}

// Take calls the wrapped store.
func (c *Crasher) Take(ctx context.Context, l store.Limit) (time.Duration, error) {
	return during(c.current(), ctx, func(ctx context.Context) (time.Duration, error) { return c.inner.Take(ctx, l) })
}

// Watch calls the wrapped store; the channel closes at the crash.
func (c *Crasher) Watch(ctx context.Context) (<-chan store.Key, error) {
	life := c.current()
	if life.Err() != nil {
		return nil, ErrCrashed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(life, func() { cancel(ErrCrashed) }) //nolint:contextcheck // the crash ends it too
	context.AfterFunc(ctx, func() { stop() })
	keys, err := c.inner.Watch(ctx)
	if err != nil {
		cancel(err)
	}
	return keys, err
}

// Close closes the wrapped store, crashed or not.
func (c *Crasher) Close() error {
	c.mu.Lock()
	c.die(ErrCrashed)
	c.mu.Unlock()
	return c.inner.Close()
}
