package redis

import (
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/runplane/runplane/store"
)

// All keys that Go code of this package uses. Scripts use more keys of the same tag; doc.go lists them all.

// aboutKey is the key of what applies to the whole prefix.
func aboutKey(prefix string) string { return "{" + prefix + "}:about" }

// shard is one hash tag and the lanes of calls to it.
type shard struct {
	base     string // {rp:00}; KEYS[1] of most scripts
	number   int
	commits  lane
	strict   lane // commits whose answer waits for durability
	requests lane // all other calls
}

func newShard(prefix string, number int) *shard {
	return &shard{base: fmt.Sprintf("{%s:%02d}", prefix, number), number: number}
}

func (s *shard) record(k store.Key) string     { return s.base + ":r:" + k.Kind + ":" + k.ID }
func (s *shard) log(k store.Key) string        { return s.base + ":l:" + k.Kind + ":" + k.ID }
func (s *shard) index(kind string) string      { return s.base + ":i:" + kind }
func (s *shard) term(kind, term string) string { return s.base + ":t:" + kind + ":" + term }
func (s *shard) wakes(kind string) string      { return s.base + ":w:" + kind }
func (s *shard) channel() string               { return s.base + ":c" }
func (s *shard) bucket(key string) string      { return s.base + ":b:" + key }
func (s *Store) shardOf(partition string) *shard {
	return s.shards[shardNumber(partition, len(s.shards))]
}

// shardNumber distributes partitions over n shards. It must never change: it decides where data are read.
func shardNumber(partition string, n int) int {
	if n == 1 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(partition))
	sum := h.Sum64()
	return int((sum ^ sum>>32) % uint64(n))
}

// wakeText is a wake as scripts store it; see wakes.lua.
func wakeText(w *store.Wake) string {
	if w.At.IsZero() {
		return ""
	}
	b := make([]byte, 0, 24+len(w.Fairness))
	b = append(b, byte('0'+priority(w.Priority)))
	b = strconv.AppendInt(b, store.UnixNano(w.At), 10)
	b = append(b, ':')
	return string(append(b, w.Fairness...))
}

func priority(p int) int {
	if p == 0 {
		return 3
	}
	return p
}
