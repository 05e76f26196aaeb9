package redis

import (
	"context"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/runplane/runplane/store"
)

// call is one command to a shard. What it refers to must not change until it is done.
type call struct {
	script *script // nil: args is a whole command
	args   []any   // of a script: the number of keys, the keys, the arguments
	wait   bool    // its answer waits for durability
	repeat bool    // may be sent again when its answer was lost: it only reads or is idempotent
	reply  any
	err    error
	done   chan struct{} // receives one value when reply and err are set
	also   chan struct{} // then this receives one too, if not nil; its buffer has room for all calls that share it
}

func plain(args ...any) *call {
	return &call{args: args, repeat: true, done: make(chan struct{}, 1)}
}

// run returns a call of a script with its keys and arguments.
func run(sc *script, keys []string, args ...any) *call {
	all := make([]any, 0, 1+len(keys)+len(args))
	all = append(all, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	return &call{script: sc, args: append(all, args...), done: make(chan struct{}, 1)}
}

// again marks the call as repeatable.
func (c *call) again() *call { c.repeat = true; return c }

func (c *call) finish(err error) {
	if err != nil {
		c.err = err
	}
	c.done <- struct{}{}
	if c.also != nil {
		c.also <- struct{}{}
	}
}

// cmd is the call as go-redis sends it.
func (c *call) cmd(ctx context.Context) *goredis.Cmd {
	if c.script == nil {
		return goredis.NewCmd(ctx, c.args...)
	}
	all := make([]any, 0, 2+len(c.args))
	all = append(all, "EVALSHA", c.script.sha)
	return goredis.NewCmd(ctx, append(all, c.args...)...)
}

// lane queues the calls of one sort to one shard. While pipelines are in flight the next calls are queued, so a single call
// is sent at once and many share a pipeline.
type lane struct {
	mu      sync.Mutex
	queue   []*call
	senders int
	closed  bool
}

const (
	maxSenders  = 2   // pipelines of a lane in flight at once
	maxPipeline = 256 // calls in one pipeline
)

// add queues a call, and starts a sender if the lane may have another one.
func (s *Store) add(sh *shard, l *lane, c *call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return store.ErrClosed
	}
	l.queue = append(l.queue, c)
	if l.senders < maxSenders && (l.senders == 0 || len(l.queue) >= 8) {
		l.senders++
		s.running.Go(func() {
			growStack()
			s.send(sh, l)
		})
	}
	return nil
}

// growStack grows the stack of a new goroutine once, which is cheaper than letting it grow step by step: senders are
// short-lived.
//
//go:noinline
func growStack() byte {
	var room [8 << 10]byte
	return room[len(unknown)]
}

var unknown string // not constant, so that the compiler does not remove room

// send sends queued calls until none are left.
func (s *Store) send(sh *shard, l *lane) {
	for {
		l.mu.Lock()
		n := min(len(l.queue), maxPipeline)
		if n == 0 {
			l.senders--
			l.mu.Unlock()
			return
		}
		batch := l.queue[:n:n]
		l.queue = l.queue[n:]
		if len(l.queue) == 0 {
			l.queue = nil
		}
		l.mu.Unlock()
		s.exchange(sh, batch)
	}
}

// close fails queued and further calls with ErrClosed; calls in flight are answered.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.queue {
		c.finish(store.ErrClosed)
	}
	l.queue = nil
}

// do sends one call and waits for its answer. If ctx ends first, the call may still happen.
func (s *Store) do(ctx context.Context, sh *shard, l *lane, c *call) error {
	if err := s.add(sh, l, c); err != nil {
		return err
	}
	return s.await(ctx, c)
}

// await waits for the answer or the end of ctx; if both have come it returns the answer.
func (s *Store) await(ctx context.Context, c *call) error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return store.Ended(ctx)
	}
}

// all sends one call to each of the shards concurrently and waits for all of them.
func (s *Store) all(ctx context.Context, shards []*shard, each func(*shard) *call) ([]*call, error) {
	calls := []*call{}
	for _, sh := range shards {
		c := each(sh)
		if err := s.add(sh, &sh.requests, c); err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
	for _, c := range calls {
		if err := s.await(ctx, c); err != nil {
			return nil, err
		}
	}
	return calls, nil
}
