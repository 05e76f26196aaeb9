package store

import (
	"context"
	"sync"
)

// Watchers holds the channels that a store's Watch returned in this process, and sends to them. The zero value is ready
// to use. It is for implementations of Store.
type Watchers struct {
	mu     sync.Mutex
	open   map[*watcher]struct{}
	closed bool
}

type watcher struct {
	keys chan Key
	stop func() bool // of context.AfterFunc
}

// watchBuffer is how many keys a watcher may leave unread: those of a usual group of commits.
const watchBuffer = 256

// Add opens a channel, which closes when ctx ends or Close is called. After Close it returns ErrClosed.
func (ws *Watchers) Add(ctx context.Context) (<-chan Key, error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		return nil, ErrClosed
	}
	w := &watcher{keys: make(chan Key, watchBuffer)}
	w.stop = context.AfterFunc(ctx, func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		ws.drop(w)
	})
	if ws.open == nil {
		ws.open = map[*watcher]struct{}{}
	}
	ws.open[w] = struct{}{}
	return w.keys, nil
}

// Send sends every key that each passes to send to all watchers. It never blocks: a watcher whose buffer is full misses
// the key. Without watchers each is not called.
func (ws *Watchers) Send(each func(send func(Key))) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.open) == 0 {
		return
	}
	each(func(k Key) {
		for w := range ws.open {
			select {
			case w.keys <- k:
			default:
			}
		}
	})
}

// Close closes every channel.
func (ws *Watchers) Close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.open {
		w.stop()
		ws.drop(w)
	}
}

// drop closes the watcher's channel once. The caller holds ws.mu.
func (ws *Watchers) drop(w *watcher) {
	if _, ok := ws.open[w]; ok {
		delete(ws.open, w)
		close(w.keys)
	}
}
