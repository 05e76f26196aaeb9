package redis

import (
	"context"

	"github.com/runplane/runplane/store"
)

// Queue counts the wakes of a kind; see store.Store.
func (s *Store) Queue(ctx context.Context, kind string) (out store.Queue, err error) {
	if err := store.ValidKind(kind); err != nil {
		return out, err
	}
	if err := s.ready(ctx); err != nil {
		return out, err
	}
	calls, err := s.all(ctx, s.shards, func(sh *shard) *call {
		return run(queueScript, []string{sh.base}, kind).again()
	})
	if err != nil {
		return out, err
	}
	for _, c := range calls {
		list, _ := c.reply.([]any)
		if len(list) != store.Priorities+3 {
			return out, errReply
		}
		var n [store.Priorities + 3]int64
		for i, v := range list {
			if i != store.Priorities {
				if n[i], err = number(v); err != nil {
					return out, err
				}
			}
		}
		for p := range store.Priorities {
			out.Due[p] += int(n[p])
		}
		oldest, err := parseMicros(list[store.Priorities])
		if err != nil {
			return out, err
		}
		if !oldest.IsZero() && (out.Oldest.IsZero() || oldest.Before(out.Oldest)) {
			out.Oldest = oldest
		}
		out.Leased += int(n[store.Priorities+1])
		out.Sleeping += int(n[store.Priorities+2])
	}
	return out, nil
}

// placesAtOnce is how many keys one script looks up.
const placesAtOnce = 1000

// Places returns the wakes and leases of keys; see store.Store.
func (s *Store) Places(ctx context.Context, keys []store.Key) ([]store.Place, error) {
	for _, k := range keys {
		if err := k.Valid(); err != nil {
			return nil, err
		}
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	out := make([]store.Place, len(keys))
	for sh, all := range s.byShard(len(keys), func(i int) store.Key { return keys[i] }) {
		for len(all) > 0 {
			at := all[:min(len(all), placesAtOnce)]
			all = all[len(at):]
			if err := s.placesOf(ctx, sh, keys, at, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// placesOf sets out[i] for each i in at; their keys are of one shard.
func (s *Store) placesOf(ctx context.Context, sh *shard, keys []store.Key, at []int, out []store.Place) error {
	var args []any
	for _, i := range at {
		args = append(args, keys[i].Kind, keys[i].ID)
	}
	c := run(placesScript, []string{sh.base}, args...).again()
	if err := s.do(ctx, sh, &sh.requests, c); err != nil {
		return err
	}
	list, _ := c.reply.([]any)
	if len(list) != 3*len(at) {
		return errReply
	}
	for n, i := range at {
		wake, _ := list[3*n].(string)
		holder, _ := list[3*n+1].(string)
		var err error
		if out[i].Wake, err = parseWake(sh, keys[i], wake); err != nil {
			return err
		}
		if holder == "" {
			continue
		}
		l := &store.Lease{Key: keys[i]}
		if l.Token, l.Owner, err = parseHolder(holder); err != nil {
			return err
		}
		if l.Until, err = parseMicros(list[3*n+2]); err != nil {
			return err
		}
		out[i].Lease = l
	}
	return nil
}
