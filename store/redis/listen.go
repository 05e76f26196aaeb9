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

// listening is the subscriptions to the shards' channels. They begin with the first Watch or waiting Claim and last until
// the store closes; after a break they begin again by themselves.
type listening struct {
	once  sync.Once
	alive []atomic.Bool // by shard
	heard chan struct{} // closed when all were alive for the first time
	left  atomic.Int64  // those that were not yet
}

func (l *listening) init(shards int) {
	l.alive = make([]atomic.Bool, shards)
	l.heard = make(chan struct{})
	l.left.Store(int64(shards))
}

// count is how many subscribers of the shard's channel this process is: they need no message of what it wrote itself.
func (l *listening) count(sh *shard) int {
	if l.alive[sh.number].Load() {
		return 1
	}
	return 0
}

// patient is how long Watch waits for the subscriptions.
const patient = time.Second

// await returns when everything is subscribed, or would take too long.
func (l *listening) await(ctx context.Context, stop <-chan struct{}) {
	timer := time.NewTimer(patient)
	defer timer.Stop()
	select {
	case <-l.heard:
	case <-timer.C:
	case <-ctx.Done():
	case <-stop:
	}
}

// subscribe starts listening once: on one connection, or on a Cluster one for each shard, since a connection leads to one
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

// background runs a function that Close waits for; ErrClosed once the store is closed.
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
	quietFor  = 20 * time.Second // then the connection is tried with a ping
	maxAbsent = time.Second      // between two tries to subscribe again
)

// listenTo subscribes until the store closes.
func (s *Store) listenTo(shards []*shard) {
	for pause := 10 * time.Millisecond; !s.closed(); {
		if s.listenOnce(shards) {
			pause = 10 * time.Millisecond
		}
		if !s.sleep(pause) {
			return
		}
		pause = min(2*pause, maxAbsent)
	}
}

// listenOnce listens on one connection until it breaks; false if it never came to be.
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
	s.running.Go(func() { // a read of the connection does not see that the store closes
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
		got, err := sub.ReceiveTimeout(s.life, quietFor)
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
				s.hear(sh, m.Payload)
			}
		case *goredis.Subscription:
			sh := byChannel[m.Channel]
			if sh == nil || m.Kind != "ssubscribe" {
				return was // the slot went to another node
			}
			if !s.listen.alive[sh.number].Swap(true) && s.listen.left.Add(-1) == 0 {
				close(s.listen.heard)
			}
			was = true
			s.claims.hintAll() // of what happened meanwhile nothing was heard
		}
	}
}
