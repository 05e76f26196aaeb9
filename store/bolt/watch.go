package bolt

import (
	"context"

	"github.com/runplane/runplane/store"
)

// Watch sends written keys until ctx or the store ends; see store.Store.
func (s *Store) Watch(ctx context.Context) (<-chan store.Key, error) {
	if ctx.Err() != nil {
		return nil, store.Ended(ctx)
	}
	if err := s.file.usable(); err != nil {
		return nil, err
	}
	return s.watchers.Add(ctx)
}

// notify sends the keys that the group's written batches touched to the watchers, the key of a batch's first put once.
func (s *Store) notify(group []*request) {
	s.watchers.Send(func(send func(store.Key)) {
		for _, r := range group {
			if r.err != nil {
				continue
			}
			var first store.Key
			for i := range r.puts {
				send(r.puts[i].key)
			}
			if len(r.puts) > 0 {
				first = r.puts[0].key
			}
			for i := range r.deletes {
				send(r.deletes[i].key)
			}
			for i := range r.logs {
				if r.logs[i].key != first {
					send(r.logs[i].key)
				}
			}
			for i := range r.wakes {
				if r.wakes[i].key != first {
					send(r.wakes[i].key)
				}
			}
		}
	})
}
