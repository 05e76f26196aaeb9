package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// How often calls that certainly did not happen are sent, and the longest pause between two tries: together about two
// seconds, which is what a Cluster needs to announce a new master.
const (
	maxTries = 8
	maxPause = 500 * time.Millisecond
)

// exchange sends calls in one pipeline and finishes each with its answer. A call that certainly did not happen is sent
// again: an unknown script is loaded first, and a Cluster is asked which node serves the slot now. A call that may have
// happened is sent again only if it is repeatable.
func (s *Store) exchange(sh *shard, calls []*call) {
	var missing []*script
	for try := 1; len(calls) > 0; try++ {
		errs := s.trip(sh, calls, missing)
		missing = missing[:0]
		pause := false
		var left []*call
		for i, c := range calls {
			err := errs[i]
			switch {
			case err == nil || try == maxTries:
				c.finish(classify(err))
			case isUnknownScript(err) && try < 3:
				if !slices.Contains(missing, c.script) {
					missing = append(missing, c.script)
				}
				left = append(left, c)
			case s.cluster != nil && isMoving(err), c.repeat && isLost(err) && try < 3:
				pause = true
				left = append(left, c)
			default:
				c.finish(classify(err))
			}
		}
		calls = left
		if s.cluster != nil && pause {
			s.cluster.ReloadState(s.life)
		}
		if pause && !s.sleep(min(10*time.Millisecond<<try, maxPause)) {
			try = maxTries - 1
		}
	}
}

// sleep returns false if the store closes meanwhile.
func (s *Store) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}

// trip sends one pipeline: the scripts to load, the calls, and if one of them waits for durability the commands for that. It
// returns an error for each call.
func (s *Store) trip(sh *shard, calls []*call, load []*script) []error {
	errs := make([]error, len(calls))
	client, err := s.node(s.life, sh)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	ctx := s.life
	pipe := client.Pipeline()
	for _, sc := range load {
		_ = pipe.Process(ctx, goredis.NewCmd(ctx, "SCRIPT", "LOAD", sc.text))
	}
	cmds := make([]*goredis.Cmd, len(calls))
	wait := false
	for i, c := range calls {
		cmds[i] = c.cmd(ctx)
		_ = pipe.Process(ctx, cmds[i])
		wait = wait || c.wait
	}
	var durable []*goredis.Cmd
	if wait {
		durable = s.durability.commands(ctx)
		for _, cmd := range durable {
			_ = pipe.Process(ctx, cmd)
		}
	}
	s.trips.Add(1)
	sent, err := pipe.Exec(ctx)
	if err != nil && !slices.ContainsFunc(sent, func(cmd goredis.Cmder) bool { return cmd.Err() != nil }) {
		for i := range errs { // the connection was refused; otherwise the commands have errors of their own
			errs[i] = err
		}
		return errs
	}
	var durableErr error
	for _, cmd := range durable {
		if err := confirmed(cmd); durableErr == nil {
			durableErr = err
		}
	}
	for i, cmd := range cmds {
		if errs[i] = cmd.Err(); errors.Is(errs[i], goredis.Nil) {
			errs[i] = nil
		}
		calls[i].reply = cmd.Val()
		if calls[i].wait && errs[i] == nil {
			errs[i] = durableErr
		}
	}
	return errs
}

// node is the server that has the shard.
func (s *Store) node(ctx context.Context, sh *shard) (*goredis.Client, error) {
	if s.cluster == nil {
		return s.single, nil
	}
	c, err := s.cluster.MasterForKey(ctx, sh.base)
	if err != nil {
		return nil, fmt.Errorf("find the master of %s: %w", sh.base, err)
	}
	return c, nil
}

// Trips is the number of pipelines sent so far. Concurrent commits share them.
func (s *Store) Trips() int64 { return s.trips.Load() }
