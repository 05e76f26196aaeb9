package bolt

import (
	"context"
	"sync"

	"github.com/runplane/runplane/store"
)

// watches tells watchers of written keys. It never waits for one: what does not fit its buffer, it misses.
type watches struct {
	mu      sync.Mutex
	readers map[*watcher]struct{}
	closed  bool
}

type watcher struct {
	keys chan store.Key
	stop func() bool // forgets the context
}

// watchBuffer is how many keys a watcher may lag behind: the largest usual group.
const watchBuffer = 256

// Watch sends written keys until ctx or the store ends; see store.Store.
func (s *Store) Watch(ctx context.Context) (<-chan store.Key, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	ws := &s.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		return nil, store.ErrClosed
	}
	w := &watcher{keys: make(chan store.Key, watchBuffer)}
	w.stop = context.AfterFunc(ctx, func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		ws.drop(w)
	})
	ws.readers[w] = struct{}{}
	return w.keys, nil
}

// drop closes the watcher's channel once; the lock is held.
func (ws *watches) drop(w *watcher) {
	if _, ok := ws.readers[w]; ok {
		delete(ws.readers, w)
		close(w.keys)
	}
}

// tell sends the keys that the group's written batches touched.
func (ws *watches) tell(group []*request) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.readers) == 0 {
		return
	}
	for _, r := range group {
		if r.err != nil {
			continue
		}
		for i := range r.puts {
			ws.send(r.puts[i].key)
		}
		for i := range r.deletes {
			ws.send(r.deletes[i].key)
		}
		for i := range r.logs {
			if len(r.puts) == 0 || r.puts[0].key != r.logs[i].key {
				ws.send(r.logs[i].key)
			}
		}
		for i := range r.wakes {
			if len(r.puts) == 0 || r.puts[0].key != r.wakes[i].key {
				ws.send(r.wakes[i].key)
			}
		}
	}
}

func (ws *watches) send(key store.Key) {
	for w := range ws.readers {
		select {
		case w.keys <- key:
		default:
		}
	}
}

func (ws *watches) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.readers {
		w.stop()
		ws.drop(w)
	}
}
