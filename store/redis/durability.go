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

// guarantee is how the server can be made to confirm a write: a set, of which all must.
type guarantee uint8

const (
	onDisk       guarantee = 1 << iota // WAITAOF
	onReplica                          // WAIT
	asConfigured guarantee = 0         // nothing to ask for: fast, or appendfsync always
)

// confirmWithin is how long the server may take to confirm; less than the read timeout.
const confirmWithin = 4 * time.Second

// commands ask for the confirmation of what the same connection wrote before.
func (g guarantee) commands(ctx context.Context) (cmds []*goredis.Cmd) {
	if g&onReplica != 0 {
		cmds = append(cmds, goredis.NewCmd(ctx, "WAIT", 1, confirmWithin.Milliseconds()))
	}
	if g&onDisk != 0 {
		cmds = append(cmds, goredis.NewCmd(ctx, "WAITAOF", 1, 0, confirmWithin.Milliseconds()))
	}
	return cmds
}

// confirmed reads an answer: how many confirmed.
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
		return &Fault{Kind: Undurable, Err: fmt.Errorf("%s answers %v within %v", cmd.Name(), reply, confirmWithin)}
	}
	return nil
}

// choose finds what makes a write outlive its server. Where a replica may take that one's place, behind Sentinels or in a Cluster, the
// replica has to have it too; else the disk will do.
func choose(facts info, m mode) (g guarantee, err error) {
	always := facts.config["appendonly"] == "yes" && facts.config["appendfsync"] == "always"
	if m == sentinel || m == cluster && facts.replicas > 0 {
		g = onReplica
	}
	switch {
	case always:
		return g, nil
	case facts.aof && facts.atLeast(7, 2):
		return g | onDisk, nil
	case facts.replicas > 0:
		return onReplica, nil
	}
	return asConfigured, &Fault{Kind: Unsuitable, Detail: "this Redis cannot give durability=strict",
		Cure: "set appendonly yes and appendfsync always, or use Redis 7.2 or later with appendonly yes, or attach a replica; or take durability=fast"}
}
