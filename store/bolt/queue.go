package bolt

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// Queue counts the wakes of a kind; see store.Store. Due ones are counted in memory, sleeping ones in the file.
func (s *Store) Queue(ctx context.Context, kind string) (out store.Queue, err error) {
	if err := store.ValidKind(kind); err != nil {
		return out, err
	}
	if ctx.Err() != nil {
		return out, store.Ended(ctx)
	}
	if err := s.file.usable(); err != nil {
		return out, err
	}
	out, leased, now, err := s.queues.count(kind)
	if err != nil {
		return out, err
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		due, prefix := tx.Bucket(dueBucket.name).Cursor(), appendKind(nil, kind)
		if now < math.MaxInt64 {
			for k, _ := due.Seek(appendInstant(bytes.Clone(prefix), now+1)); bytes.HasPrefix(k, prefix); k, _ = due.Next() {
				if out.Sleeping++; out.Sleeping%checkEvery == 0 && ctx.Err() != nil {
					return store.Ended(ctx)
				}
			}
		}
		wakes := tx.Bucket(wakesBucket.name)
		for _, key := range leased {
			rec := appendRecordKey(nil, key)
			if b := wakes.Get(rec); b != nil {
				if w, err := openWake(rec, b, s.unsealed); err == nil && w.at > now {
					out.Sleeping--
				}
			}
		}
		return nil
	})
	return out, err
}

// count counts due and leased keys and returns the time of the count.
func (qs *queues) count(kind string) (out store.Queue, leased []store.Key, at int64, err error) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.closed {
		return out, nil, 0, store.ErrClosed
	}
	now := qs.clock.Now()
	q := qs.queue(kind)
	qs.expireLeases(now)
	if err := qs.load(q, now); err != nil {
		return out, nil, 0, err
	}
	for i := range q.ready.levels {
		out.Due[i] = q.ready.levels[i].items
	}
	if at, ok := q.ready.oldest(); ok {
		out.Oldest = time.Unix(0, at)
	}
	for key := range qs.leases.byKey {
		if key.Kind == kind {
			leased = append(leased, key)
		}
	}
	out.Leased = len(leased)
	return out, leased, qs.dueBy(q, now), nil
}

// Places returns the wakes and leases of keys; see store.Store.
func (s *Store) Places(ctx context.Context, keys []store.Key) ([]store.Place, error) {
	for _, k := range keys {
		if err := k.Valid(); err != nil {
			return nil, err
		}
	}
	out := make([]store.Place, len(keys))
	s.queues.mu.Lock()
	defer s.queues.mu.Unlock()
	now := s.clock.Now()
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		wakes := tx.Bucket(wakesBucket.name)
		for i, k := range keys {
			if l := s.queues.leases.byKey[k]; l != nil && l.liveAt(now) {
				lease := l.Lease
				out[i].Lease = &lease
			}
			rec := appendRecordKey(nil, k)
			b := wakes.Get(rec)
			if b == nil {
				continue
			}
			w, err := openWake(rec, b, s.unsealed)
			if err != nil {
				return fmt.Errorf("wake of %q: %w", k, err)
			}
			out[i].Wake = &store.Wake{Key: k, At: time.Unix(0, w.at), Priority: w.priority, Fairness: w.fairness}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
