package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/runplane/runplane/store"
)

var watchTests = []test{
	{"a watcher receives written keys", func(f *fixture) {
		keys := f.watch(f.ctx)
		f.put(store.Put{Key: key("x", "put")})
		f.receive(keys, key("x", "put"))
		f.commit(store.Batch{Appends: []store.Append{{Key: key("x", "log")}}})
		f.receive(keys, key("x", "log"))
		f.commit(store.Batch{Deletes: []store.Key{key("x", "put")}})
		f.receive(keys, key("x", "put"))
	}},
	{"every watcher receives a key", func(f *fixture) {
		a, b := f.watch(f.ctx), f.watch(f.ctx)
		f.put(store.Put{Key: key("x", "k")})
		f.receive(a, key("x", "k"))
		f.receive(b, key("x", "k"))
	}},
	{"a failed batch is not sent", func(f *fixture) {
		keys := f.watch(f.ctx)
		f.refuse(store.Batch{Puts: []store.Put{{Key: key("x", "bad"), Version: 5}}}, store.ErrConflict)
		f.put(store.Put{Key: key("x", "good")})
		f.receive(keys, key("x", "good"))
	}},
	{"a watcher that never reads delays no commit", func(f *fixture) {
		f.watch(f.ctx)
		for i := range 3000 {
			if i%100 == 0 {
				f.put(store.Put{Key: key("x", fmt.Sprint(i))})
			}
			f.commit(store.Batch{})
		}
		var b store.Batch
		for i := range 3000 {
			b.Puts = append(b.Puts, store.Put{Key: key("x", fmt.Sprint("p/", i))})
		}
		f.commit(b)
	}},
	{"the channel closes with its context", func(f *fixture) {
		ctx, cancel := context.WithCancel(f.ctx)
		keys := f.watch(ctx)
		cancel()
		f.closes(keys)
	}},
	{"the channel closes with the store", func(f *fixture) {
		keys := f.watch(f.ctx)
		if err := f.s.Close(); err != nil {
			f.Fatal(err)
		}
		f.closes(keys)
	}},
}

func (f *fixture) watch(ctx context.Context) <-chan store.Key {
	f.Helper()
	keys, err := f.s.Watch(ctx)
	if err != nil {
		f.Fatalf("watch: %v", err)
	}
	return keys
}

// receive waits for a key; receiving an earlier key again is not a failure.
func (f *fixture) receive(keys <-chan store.Key, want store.Key) {
	f.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case k, ok := <-keys:
			if !ok {
				f.Fatalf("the channel closed before %q", want)
			}
			if k == want {
				return
			}
			if k.Kind != want.Kind || k.ID == "bad" {
				f.Fatalf("received %q, want %q", k, want)
			}
		case <-timeout:
			f.Fatalf("did not receive %q", want)
		}
	}
}

// closes drains the channel until it closes.
func (f *fixture) closes(keys <-chan store.Key) {
	f.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case _, ok := <-keys:
			if !ok {
				return
			}
		case <-timeout:
			f.Fatal("the channel did not close")
		}
	}
}
