package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Durability is when a batch with Sync is answered.
type Durability string

// Durabilities.
const (
	Fast   Durability = "fast"   // once it is written, as durably as the server is configured
	Strict Durability = "strict" // once it is on disk, or on a replica
)

// guarantee is the set of confirmations that a durable write waits for.
type guarantee uint8

const (
	onDisk       guarantee = 1 << iota // WAITAOF
	onReplica                          // WAIT
	asConfigured guarantee = 0         // none: fast, or appendfsync always
)

// confirmWithin is how long the server may take to confirm; shorter than replyTimeout.
const confirmWithin = 4 * time.Second

// commands are the commands that wait for the confirmation of what the same connection wrote before.
func (g guarantee) commands(ctx context.Context) (cmds []*goredis.Cmd) {
	if g&onReplica != 0 {
		cmds = append(cmds, goredis.NewCmd(ctx, "WAIT", 1, confirmWithin.Milliseconds()))
	}
	if g&onDisk != 0 {
		cmds = append(cmds, goredis.NewCmd(ctx, "WAITAOF", 1, 0, confirmWithin.Milliseconds()))
	}
	return cmds
}

// confirmed checks the answer to one of these commands: the number of confirmations.
func confirmed(cmd *goredis.Cmd) error {
	reply, err := cmd.Result()
	if err != nil {
		return err
	}
	count := reply
	if list, ok := reply.([]any); ok && len(list) > 0 {
		count = list[0]
	}
	if n, ok := count.(int64); !ok || n < 1 {
		return &Fault{Kind: Undurable, Err: fmt.Errorf("%s answered %v within %v", cmd.Name(), reply, confirmWithin)}
	}
	return nil
}

// guaranteeFor returns the confirmations that make a write survive its server. Where a replica may be promoted, with Sentinels
// or in a Cluster, the replica must have received the write too; else the disk is enough.
func guaranteeFor(info serverInfo, m mode) (g guarantee, err error) {
	always := info.config["appendonly"] == "yes" && info.config["appendfsync"] == "always"
	if m == sentinel || m == cluster && info.replicas > 0 {
		g = onReplica
	}
	switch {
	case always:
		return g, nil
	case info.aof && info.atLeast(7, 2):
		return g | onDisk, nil
	case info.replicas > 0:
		return onReplica, nil
	}
	return asConfigured, &Fault{Kind: Unsuitable, Detail: "this Redis cannot give durability=strict",
		Cure: "set appendonly yes and appendfsync always, or use Redis 7.2 or later with appendonly yes, or attach a replica;" +
			" or use durability=fast"}
}
