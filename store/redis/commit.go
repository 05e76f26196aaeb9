package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/store"
)

// resends is how often a batch whose answer was lost is sent again.
const resends = 3

// Commit writes the batch in one round trip, which it may share with other calls; see store.Store and the package comment on
// consistency.
func (s *Store) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if err := b.Valid(); err != nil {
		return store.Committed{}, err
	}
	if err := s.ready(ctx); err != nil {
		return store.Committed{}, err
	}
	partition, some := partitionOf(&b)
	if !some {
		return store.Committed{}, nil
	}
	sh := s.shardOf(partition)
	e := encodeBatch(s, sh, &b)
	l := &sh.commits
	if b.Sync && s.durability != asConfigured {
		l = &sh.strict
	}
	var lost error
	for try := 0; ; try++ {
		c := e.call(l == &sh.strict, try > 0)
		err := s.do(ctx, sh, l, c)
		if err == nil {
			out, err := e.answer(sh, c.reply)
			if err != nil && lost != nil {
				err = lost // it may conflict with its own first try
			}
			if err == nil {
				s.notify(sh, &b)
			}
			return out, err
		}
		if !isFault(err, Interrupted) && (lost == nil || !isFault(err, Unreachable)) || !e.resendable || try == resends {
			if lost != nil && ctx.Err() == nil {
				err = lost
			}
			return store.Committed{}, err
		}
		if lost = err; !s.sleep(10 * time.Millisecond << (2 * try)) {
			return store.Committed{}, lost
		}
	}
}

// partitionOf returns the partition of a valid batch; false: the batch is empty.
func partitionOf(b *store.Batch) (string, bool) {
	switch {
	case len(b.Puts) > 0:
		return b.Puts[0].Key.Partition(), true
	case len(b.Appends) > 0:
		return b.Appends[0].Key.Partition(), true
	case len(b.Deletes) > 0:
		return b.Deletes[0].Partition(), true
	case len(b.Wakes) > 0:
		return b.Wakes[0].Key.Partition(), true
	case b.Claim != nil:
		return b.Claim.Key.Partition(), true
	case b.Release != nil:
		return b.Release.Key.Partition(), true
	}
	return "", false
}

// encoded is a batch as the arguments of commit.lua. It copies what belongs to the caller.
type encoded struct {
	batch      *store.Batch
	script     *script
	args       []any
	sent       int   // index in args of the flag that it was sent before
	resendable bool  // a put names the version that it replaces, so that the batch cannot be written twice
	logs       []int // for each append: the number of its group, the appends to one log
	sizes      []int // of the groups
	lease      int64 // token of the claim
}

func encodeBatch(s *Store, sh *shard, b *store.Batch) *encoded {
	e := &encoded{batch: b, script: commitScript}
	if len(b.Puts) == 0 && len(b.Appends) == 0 && b.Claim == nil && len(b.Wakes) == 0 {
		e.script = freeScript
	}
	groups := e.groupAppends(b.Appends)
	keys := 1 + len(b.Puts) + len(groups) + 2*len(b.Deletes)
	args := make([]any, 0, 1+keys+10+7*len(b.Puts)+len(groups)+len(b.Appends)+2*len(b.Deletes)+3*len(b.Wakes)+9)
	args = append(args, keys, sh.base)
	for i := range b.Puts {
		args = append(args, sh.record(b.Puts[i].Key))
	}
	for _, g := range groups {
		args = append(args, sh.log(b.Appends[g].Key))
	}
	for _, k := range b.Deletes {
		args = append(args, sh.record(k), sh.log(k))
	}
	token := binary.BigEndian.AppendUint64(nil, rand.Uint64())
	args = append(args, token, "0", message(s.origin, b), s.listen.count(sh))
	e.sent = len(args) - 3
	args = append(args, len(b.Puts), len(groups), len(b.Deletes), len(b.Wakes), flag(b.Claim != nil), flag(b.Release != nil))
	for i := range b.Puts {
		p := &b.Puts[i]
		e.resendable = e.resendable || p.Version != store.AnyVersion
		ttl := int64(0)
		if p.TTL > 0 {
			ttl = micros(p.TTL)
		}
		block := termBlock(p.Terms)
		args = append(args, p.Key.Kind, p.Key.ID, p.Version, ttl, block, string(p.Value), recordSum(p.Key, block, p.Value))
	}
	for g := range groups {
		args = append(args, e.sizes[g])
		for i := range b.Appends {
			if e.logs[i] == g {
				args = append(args, string(b.Appends[i].Value))
			}
		}
	}
	for _, k := range b.Deletes {
		args = append(args, k.Kind, k.ID)
	}
	for i := range b.Wakes {
		args = append(args, b.Wakes[i].Key.Kind, b.Wakes[i].Key.ID, wakeText(&b.Wakes[i]))
	}
	if c := b.Claim; c != nil {
		e.lease = newToken()*1000 + 999 // Claim's tokens end below 999
		args = append(args, c.Key.Kind, c.Key.ID, c.Owner, micros(c.TTL), e.lease)
	}
	if r := b.Release; r != nil {
		args = append(args, r.Key.Kind, r.Key.ID, r.Token, flag(r.Died))
	}
	e.args = args
	return e
}

// groupAppends groups the appends by log and returns the index of the first append of each group.
func (e *encoded) groupAppends(appends []store.Append) (first []int) {
	if len(appends) == 0 {
		return nil
	}
	e.logs = make([]int, len(appends))
	for i := range appends {
		g := len(first) - 1
		for g >= 0 && appends[first[g]].Key != appends[i].Key {
			g--
		}
		if g < 0 {
			g = len(first)
			first, e.sizes = append(first, i), append(e.sizes, 0)
		}
		e.logs[i] = g
		e.sizes[g]++
	}
	return first
}

// call makes the call of one try. Each try has its own, since the previous one may still be in flight.
func (e *encoded) call(wait, again bool) *call {
	args := e.args
	if again {
		args = append([]any(nil), args...)
		args[e.sent] = "1"
	}
	return &call{script: e.script, args: args, wait: wait, done: make(chan struct{}, 1)}
}

// answer decodes what commit.lua returned.
func (e *encoded) answer(sh *shard, reply any) (out store.Committed, err error) {
	list, _ := reply.([]any)
	if len(list) < 2 {
		return out, errReply
	}
	b := e.batch
	switch list[0] {
	case int64(1):
		at, _ := list[1].(int64)
		if len(list) < 3 || at < 0 || at >= int64(len(b.Puts)) {
			return out, errReply
		}
		return out, fmt.Errorf("%w: %q is at version %v, not %d", store.ErrConflict, b.Puts[at].Key, list[2], b.Puts[at].Version)
	case int64(2):
		return out, fmt.Errorf("%w: %q is leased by %v", store.ErrConflict, b.Claim.Key, list[1])
	case int64(4):
		at, _ := list[1].(int64)
		if at < 0 || at >= int64(len(b.Puts)) {
			return out, errReply
		}
		return out, damaged(sh.record(b.Puts[at].Key), "its version or expiry is no number")
	case int64(3):
		text, _ := list[1].(string)
		list = []any{int64(0)}
		for word := range strings.FieldsSeq(text) {
			list = append(list, word)
		}
	}
	if len(list) != 2+len(e.sizes)+len(b.Puts) {
		return out, errReply
	}
	numbers := make([]int64, len(list)-1)
	for i, v := range list[1:] {
		if numbers[i], err = number(v); err != nil {
			return out, err
		}
	}
	lengths := numbers[1 : 1+len(e.sizes)]
	if len(b.Puts) > 0 {
		out.Versions = numbers[1+len(e.sizes):]
	}
	if len(b.Appends) > 0 {
		out.Seqs = make([]int64, len(b.Appends))
		for i := len(b.Appends) - 1; i >= 0; i-- {
			g := e.logs[i]
			out.Seqs[i] = lengths[g]
			lengths[g]--
		}
	}
	if c := b.Claim; c != nil {
		until, died := numbers[0], numbers[0] < 0
		if died {
			until = -until
		}
		out.Lease = &store.Lease{Key: c.Key, Owner: c.Owner, Token: e.lease, Until: time.UnixMicro(until), Died: died}
	}
	return out, nil
}

func number(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case string:
		return strconv.ParseInt(v, 10, 64)
	}
	return 0, errReply
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// termBlock encodes terms: each preceded by its length in two bytes.
func termBlock(terms []string) string {
	if len(terms) == 0 {
		return ""
	}
	var b []byte
	for _, t := range terms {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...)
	}
	return string(b)
}

func parseTerms(block string) (terms []string, err error) {
	for len(block) > 0 {
		if len(block) < 2 {
			return nil, errReply
		}
		n := 2 + int(block[0])<<8 + int(block[1])
		if n > len(block) {
			return nil, errReply
		}
		terms = append(terms, block[2:n])
		block = block[n:]
	}
	return terms, nil
}

// newToken is a random number of 15 digits that does not begin with 0. With three more digits it fits an int64.
func newToken() int64 { return 1e14 + rand.Int64N(9e14) }
