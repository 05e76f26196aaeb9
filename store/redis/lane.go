package redis

import (
	"context"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/runplane/runplane/store"
)

// call is one command on its way to its shard. What it refers to must not change until it is done.
type call struct {
	script *script // nil: args is a whole command
	args   []any   // of a script: how many keys, the keys, the arguments
	wait   bool    // its answer waits for durability
	repeat bool    // may be sent again when its answer was lost: it reads, or does the same once more
	reply  any
	err    error
	done   chan struct{} // gets one value when reply and err are there
	also   chan struct{} // and then this; nil: none. It has room for all who share it
}

func plain(args ...any) *call {
	return &call{args: args, repeat: true, done: make(chan struct{}, 1)}
}

// run makes a call of a script with its keys and arguments.
func run(sc *script, keys []string, args ...any) *call {
	all := make([]any, 0, 1+len(keys)+len(args))
	all = append(all, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	return &call{script: sc, args: append(all, args...), done: make(chan struct{}, 1)}
}

// again marks the call as one that may be sent twice.
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

// lane carries the calls of one sort to one shard. While pipelines are under way the next calls gather, so that a lone
// caller waits for nobody and many share a trip.
type lane struct {
	mu      sync.Mutex
	queue   []*call
	senders int
	closed  bool
}

const (
	maxSenders  = 2   // pipelines of a lane under way at once
	maxPipeline = 256 // calls in one
)

// add queues a call; its done channel gets a value when it is through. It starts a sender where one is free.
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
			deepen()
			s.send(sh, l)
		})
	}
	return nil
}

// deepen makes room for deep calls on the stack of a new goroutine at once, which is cheaper than to let it grow by doubling:
// senders are short-lived.
//
//go:noinline
func deepen() byte {
	var room [8 << 10]byte
	return room[len(unknown)]
}

var unknown string // to the compiler, which would see that nobody needs the room

// send carries calls until none are left.
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

// close refuses what comes and what waits; what is under way is answered.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.queue {
		c.finish(store.ErrClosed)
	}
	l.queue = nil
}

// do sends one call and waits for its answer, or for the end of ctx; then the call may still happen.
func (s *Store) do(ctx context.Context, sh *shard, l *lane, c *call) error {
	if err := s.add(sh, l, c); err != nil {
		return err
	}
	return s.await(ctx, c)
}

// await prefers an answer that is there to the end of ctx.
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

// all sends one call to each of some shards at once and waits for all of them.
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
