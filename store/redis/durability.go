package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Durability says when a batch with Sync is answered.
type Durability string

// Durabilities.
const (
	Fast   Durability = "fast"   // once it is written, as durably as the server is configured
	Strict Durability = "strict" // once it is on disk, or on a replica
)

// guarantee is how the server can be made to confirm a write.
type guarantee int

const (
	asConfigured guarantee = iota // nothing to ask for: fast, or appendfsync always
	onDisk                        // WAITAOF
	onReplica                     // WAIT
)

// confirmWithin is how long the server may take to confirm; less than the read timeout.
const confirmWithin = 4 * time.Second

// command asks for the confirmation of what the same connection wrote before; nil: there is nothing to ask for.
func (g guarantee) command(ctx context.Context) *goredis.Cmd {
	switch g {
	case onDisk:
		return goredis.NewCmd(ctx, "WAITAOF", 1, 0, confirmWithin.Milliseconds())
	case onReplica:
		return goredis.NewCmd(ctx, "WAIT", 1, confirmWithin.Milliseconds())
	}
	return nil
}

// check reads the answer: how many confirmed.
func (g guarantee) check(cmd *goredis.Cmd) error {
	reply, err := cmd.Result()
	if err != nil {
		return err
	}
	confirmed := reply
	if list, ok := reply.([]any); ok && len(list) > 0 {
		confirmed = list[0]
	}
	if n, ok := confirmed.(int64); !ok || n < 1 {
		return &Fault{Kind: Undurable, Err: fmt.Errorf("%s answers %v within %v", cmd.Name(), reply, confirmWithin)}
	}
	return nil
}

// choose finds the strongest guarantee that the server can give.
func choose(facts info) (guarantee, error) {
	switch {
	case facts.config["appendonly"] == "yes" && facts.config["appendfsync"] == "always":
		return asConfigured, nil
	case facts.aof && facts.atLeast(7, 2):
		return onDisk, nil
	case facts.replicas > 0:
		return onReplica, nil
	}
	return asConfigured, &Fault{Kind: Unsuitable, Detail: "this Redis cannot give durability=strict",
		Cure: "set appendonly yes and appendfsync always, or use Redis 7.2 or later with appendonly yes, or attach a replica; or take durability=fast"}
}
