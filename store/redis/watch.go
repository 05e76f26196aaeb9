package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/runplane/runplane/store"
)

// Watch sends written keys until ctx or the store ends; see store.Store. While the connection is down, keys written by other
// processes are missed.
func (s *Store) Watch(ctx context.Context) (<-chan store.Key, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	s.subscribe()
	s.listen.await(ctx, s.stop)
	return s.watchers.Add(ctx)
}

// notify notifies the watchers and claims in this process of a written batch.
func (s *Store) notify(sh *shard, b *store.Batch) {
	s.watchers.Send(func(send func(store.Key)) { eachWritten(b, send) })
	for i := range b.Wakes {
		if w := &b.Wakes[i]; claimable(b, w) {
			s.claims.hint(w.Key.Kind, sh.number, w.At)
		}
	}
}

// claimable reports whether waiting claims are notified of a wake: unless the batch leases the key itself. When a lease
// expires, claims learn it from the server.
func claimable(b *store.Batch, w *store.Wake) bool {
	return !w.At.IsZero() && (b.Claim == nil || b.Claim.Key != w.Key)
}

// eachWritten calls do with every key that the batch wrote, and in general once with each.
func eachWritten(b *store.Batch, do func(store.Key)) {
	for i := range b.Puts {
		do(b.Puts[i].Key)
	}
	for _, k := range b.Deletes {
		do(k)
	}
	var last store.Key
	if len(b.Puts) > 0 {
		last = b.Puts[len(b.Puts)-1].Key
	}
	for i := range b.Appends {
		if k := b.Appends[i].Key; k != last {
			do(k)
			last = k
		}
	}
	for i := range b.Wakes {
		if k := b.Wakes[i].Key; k != last {
			do(k)
		}
	}
}

// maxMessage is about the most bytes of a message; of a larger batch it has the first keys.
const maxMessage = 16 << 10

// message encodes a batch for other processes: the origin, then the keys, each with the time of its wake in nanoseconds, or 0.
// nil: there are none.
func message(origin string, b *store.Batch) []byte {
	out := []byte(origin)
	add := func(k store.Key, at int64) {
		if len(out) > maxMessage {
			return
		}
		out = binary.AppendVarint(out, at)
		out = append(append(out, byte(len(k.Kind))), k.Kind...)
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(k.ID))), k.ID...)
	}
	for i := range b.Wakes {
		if w := &b.Wakes[i]; claimable(b, w) {
			add(w.Key, max(store.UnixNano(w.At), 1))
		}
	}
	eachWritten(b, func(k store.Key) { add(k, 0) })
	if len(out) == len(origin) {
		return nil
	}
	return out
}

// receive notifies watchers and claims of a message of another process, up to where it is damaged.
func (s *Store) receive(sh *shard, text string) {
	n := len(s.origin)
	if len(text) < n || text[:n] == s.origin {
		return
	}
	for b := []byte(text[n:]); len(b) > 0; {
		at, size := binary.Varint(b)
		if size <= 0 || len(b) < size+1 {
			return
		}
		b = b[size:]
		kind := int(b[0])
		if len(b) < 1+kind+2 {
			return
		}
		k := store.Key{Kind: string(b[1 : 1+kind])}
		b = b[1+kind:]
		id := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+id {
			return
		}
		k.ID = string(b[2 : 2+id])
		b = b[2+id:]
		if at != 0 {
			s.claims.hint(k.Kind, sh.number, time.Unix(0, at))
		} else {
			s.watchers.Send(func(send func(store.Key)) { send(k) })
		}
	}
}
