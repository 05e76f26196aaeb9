package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/runplane/runplane/store"
)

// listening is the subscriptions to the shards' channels. They start with the first Watch or waiting Claim and last until the
// store closes; after an interruption they are renewed.
type listening struct {
	once       sync.Once
	alive      []atomic.Bool // by shard: it is subscribed
	subscribed chan struct{} // closed when all have been subscribed once
	missing    atomic.Int64  // how many have not been
}

func (l *listening) init(shards int) {
	l.alive = make([]atomic.Bool, shards)
	l.subscribed = make(chan struct{})
	l.missing.Store(int64(shards))
}

// count is the number of subscribers of the shard's channel in this process, which need no message of its own commits.
func (l *listening) count(sh *shard) int {
	if l.alive[sh.number].Load() {
		return 1
	}
	return 0
}

// subscribeWait is how long Watch waits for the subscriptions.
const subscribeWait = time.Second

// await returns when all shards are subscribed, or after subscribeWait.
func (l *listening) await(ctx context.Context, stop <-chan struct{}) {
	timer := time.NewTimer(subscribeWait)
	defer timer.Stop()
	select {
	case <-l.subscribed:
	case <-timer.C:
	case <-ctx.Done():
	case <-stop:
	}
}

// subscribe starts listening, once: on one connection, or on a Cluster on one for each shard, since a connection is to one
// node.
func (s *Store) subscribe() {
	s.listen.once.Do(func() {
		groups := [][]*shard{s.shards}
		if s.cluster != nil {
			groups = nil
			for _, sh := range s.shards {
				groups = append(groups, []*shard{sh})
			}
		}
		for _, g := range groups {
			_ = s.background(func() { s.listenTo(g) })
		}
	})
}

// background runs a function in a goroutine that Close waits for; ErrClosed if the store is closed.
func (s *Store) background(do func()) error {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.closed() {
		return store.ErrClosed
	}
	s.running.Go(do)
	return nil
}

const (
	pingAfter      = 20 * time.Second // of silence, a ping checks the connection
	maxResubscribe = time.Second      // longest pause before subscribing again
)

// listenTo keeps the shards subscribed until the store closes.
func (s *Store) listenTo(shards []*shard) {
	for pause := 10 * time.Millisecond; !s.closed(); {
		if s.listenOnce(shards) {
			pause = 10 * time.Millisecond
		}
		if !s.sleep(pause) {
			return
		}
		pause = min(2*pause, maxResubscribe)
	}
}

// listenOnce listens on one connection until it breaks; false: nothing was ever subscribed on it.
func (s *Store) listenOnce(shards []*shard) (was bool) {
	byChannel := map[string]*shard{}
	var channels []string
	for _, sh := range shards {
		byChannel[sh.channel()] = sh
		channels = append(channels, sh.channel())
	}
	var sub *goredis.PubSub
	if s.cluster != nil {
		sub = s.cluster.SSubscribe(s.life, channels...)
	} else {
		sub = s.single.SSubscribe(s.life, channels...)
	}
	defer sub.Close()
	over := make(chan struct{})
	defer close(over)
	s.running.Go(func() { // closing the store must end a blocked read
		select {
		case <-s.stop:
			_ = sub.Close()
		case <-over:
		}
	})
	defer func() {
		for _, sh := range shards {
			s.listen.alive[sh.number].Store(false)
		}
	}()
	for pinged := false; ; {
		got, err := sub.ReceiveTimeout(s.life, pingAfter)
		switch {
		case err == nil:
			pinged = false
		case isTimeout(err) && !pinged && !s.closed() && !errors.Is(err, goredis.ErrClosed):
			if sub.Ping(s.life) != nil {
				return was
			}
			pinged = true
			continue
		default:
			return was
		}
		switch m := got.(type) {
		case *goredis.Message:
			if sh := byChannel[m.Channel]; sh != nil {
				s.receive(sh, m.Payload)
			}
		case *goredis.Subscription:
			sh := byChannel[m.Channel]
			if sh == nil || m.Kind != "ssubscribe" {
				return was // the slot moved to another node
			}
			if !s.listen.alive[sh.number].Swap(true) && s.listen.missing.Add(-1) == 0 {
				close(s.listen.subscribed)
			}
			was = true
			s.claims.hintAll() // messages since the last subscription were missed
		}
	}
}
